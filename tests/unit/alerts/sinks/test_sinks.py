"""The sinks, each with a real server: mail through Apprise, Alertmanager, and an HTTP receiver that verifies."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from stream_app.alerts.config import AlertmanagerSink, AppriseSink, WebhookSink, signing_key
from stream_app.alerts.sinks.message import DeliveryResult, Sender, message_of
from stream_app.alerts.sinks.senders import senders_of
from stream_app.alerts.sinks.urls import SinkUrl
from stream_app.alerts.sinks.webhook import payload, signature
from stream_app.core.messages import FlagType
from stream_app.demo.embedded.process import LOCALHOST, free_port
from stream_app.settings.secret import Secret
from tests.servers.alertmanager import alertmanager
from tests.servers.mail import mail_server
from tests.unit.alerts.parts import SECRET, a_flag, a_hook, parsed_file, to_hook

ANN = message_of("", "phones", [a_flag("f1", user_id="ann")])
MANY = message_of(
    "digest-1-17",
    "phones",
    [a_flag(f"f{n}", user_id=f"u{n}", share=n / 1000, type=FlagType.ENTERED) for n in range(12)] + [a_flag("f99")],
)


def sender(**given: Any) -> Sender:
    (made,) = senders_of(parsed_file({"sinks": {"s": given}, "rules": [{"name": "r", "sinks": ["s"]}]})).values()
    return made


def hooked(url: str, *, private: bool = True) -> Sender:
    return sender(kind="webhook", url=url, secret=SECRET, private=private)


def test_mail_has_the_title_as_its_subject_and_the_numbers_in_its_body() -> None:
    with mail_server() as server:
        assert sender(kind="apprise", url=server.url).send(ANN).result is DeliveryResult.DELIVERED
    (mail,) = server.got
    assert mail["subject"] == "ann is taking off: connector of phone"
    assert mail["to"].addresses[0].addr_spec == "team@example.org"
    body = mail.get_body(("plain", "html"))
    assert body is not None
    assert "3,470 impressions in 24 hours; 10,656 make a mass connector (θ)." in body.get_content()


def test_a_mail_server_that_refuses_or_is_away_is_retried_and_its_password_is_not_shown() -> None:
    with mail_server() as server:
        server.answer = "451 try later"
        outcome = sender(kind="apprise", url=server.url).send(ANN)
    assert outcome.result is DeliveryResult.RETRY
    assert outcome.reason
    url = f"mailto://user:planted-password@{LOCALHOST}:{free_port()}?from=a@b.org&to=c@d.org"
    away = sender(kind="apprise", url=url).send(ANN)
    assert away.result is DeliveryResult.RETRY
    assert away.reason
    assert "planted" not in away.reason


def test_a_client_error_that_apprise_reports_is_a_refusal() -> None:
    with a_hook() as hook:
        hook.is_signed = False
        hook.answers = [(404, {}), (503, {}), (429, {})]
        by_json = sender(kind="apprise", url=f"json://{LOCALHOST}:{hook.port}/planted-token-1234567")
        results = [by_json.send(ANN) for _ in range(4)]
    assert [outcome.result for outcome in results] == [
        DeliveryResult.REFUSED,
        DeliveryResult.RETRY,
        DeliveryResult.RETRY,
        DeliveryResult.DELIVERED,
    ]
    assert "404" in results[0].reason
    assert not [outcome for outcome in results if "planted" in outcome.reason]


def test_a_digest_by_mail_lists_the_most_important_and_counts_the_rest() -> None:
    with mail_server() as server:
        assert sender(kind="apprise", url=server.url).send(MANY).result is DeliveryResult.DELIVERED
    (mail,) = server.got
    assert mail["subject"] == "13 more from “phones”: 1 taking off, 12 entered"
    assert MANY.body.splitlines()[0].startswith("user-of-f99 is taking off")
    assert MANY.body.splitlines()[1].startswith("u11 is now a mass connector of phone")
    assert MANY.body.splitlines()[-1] == "… and 3 more."


def test_a_flag_sent_twice_to_alertmanager_is_one_alert(tmp_path: Path) -> None:
    with alertmanager(tmp_path) as server:
        sent_at = dt.datetime.now(dt.UTC)
        to_alertmanager = sender(kind="alertmanager", url=server.url, lasts="2h")
        assert [to_alertmanager.send(message).result for message in (ANN, ANN, MANY)] == [DeliveryResult.DELIVERED] * 3
        alerts = {alert["labels"]["user_id"]: alert for alert in server.alerts()}
        assert len(server.alerts()) == len(alerts) == 14
        ann = alerts["ann"]
        refused = sender(kind="alertmanager", url=f"{server.url}/nowhere").send(ANN)
    assert ann["labels"] == {
        "alertname": "InfluenceFlag",
        "type": "emerging",
        "role": "connector",
        "topic": "phone",
        "population": "all",
        "user_id": "ann",
        "rule": "phones",
    }
    assert ann["annotations"]["summary"] == ANN.title
    assert ann["annotations"]["flag_id"] == "f1"
    assert ann["status"]["state"] in {"active", "unprocessed"}
    lasts = dt.datetime.fromisoformat(ann["endsAt"]) - sent_at
    assert dt.timedelta(hours=1.9) < lasts < dt.timedelta(hours=2.1)
    assert refused.result is DeliveryResult.REFUSED
    assert refused.reason.startswith("404")


def test_a_webhook_is_signed_and_holds_the_whole_flag_or_digest() -> None:
    with a_hook() as hook:
        hooks = hooked(hook.url)
        assert [hooks.send(message).result for message in (ANN, MANY)] == [DeliveryResult.DELIVERED] * 2
    one, many = hook.got
    assert hook.ids == ["f1", "digest-1-17"]
    assert one["type"] == "influence.flag"
    assert one["data"]["flag"]["user_id"] == "ann"
    assert one["data"]["title"] == ANN.title
    assert many["type"] == "influence.digest"
    assert many["data"]["count"] == len(many["data"]["flags"]) == 13


def test_a_signature_equals_that_of_the_standard_webhooks_library() -> None:
    (sink,) = parsed_file(to_hook_of("https://h.example.org")).sinks.values()
    assert isinstance(sink, WebhookSink)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    body = payload(ANN, int(now.timestamp()))
    made = signature(signing_key(sink.secret), "f1", int(now.timestamp()), body)
    assert made == Verifier(SECRET).sign("f1", now, body.decode())


def to_hook_of(url: str) -> dict[str, Any]:
    with a_hook() as hook:
        file = to_hook(hook)
    file["sinks"]["hook"]["url"] = url
    return file


@pytest.mark.parametrize(
    ("status", "headers", "result", "wait_s"),
    [
        (200, {}, DeliveryResult.DELIVERED, 0),
        (204, {}, DeliveryResult.DELIVERED, 0),
        (301, {"Location": "/"}, DeliveryResult.REFUSED, 0),
        (400, {}, DeliveryResult.REFUSED, 0),
        (401, {}, DeliveryResult.REFUSED, 0),
        (408, {}, DeliveryResult.RETRY, 0),
        (410, {}, DeliveryResult.REFUSED, 0),
        (429, {"Retry-After": "7"}, DeliveryResult.RETRY, 7),
        (500, {}, DeliveryResult.RETRY, 0),
        (503, {"Retry-After": "99999"}, DeliveryResult.RETRY, 3600),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, DeliveryResult.RETRY, 0),
        (503, {"Retry-After": "soon"}, DeliveryResult.RETRY, 0),
    ],
)
def test_a_status_decides_the_outcome(
    status: int, headers: dict[str, str], result: DeliveryResult, wait_s: float
) -> None:
    with a_hook() as hook:
        hook.answers = [(status, headers)]
        outcome = hooked(hook.url).send(ANN)
    assert (outcome.result, outcome.wait_s) == (result, wait_s)
    assert hook.asked == 1


def test_a_response_is_shown_without_the_secrets_that_it_repeats() -> None:
    with a_hook() as hook:
        hook.is_signed = False
        hook.answers = [(403, {})]
        hook.response = f"bad key {SECRET} for planted-token-1234567"
        outcome = hooked(f"{hook.url}?token=planted-token-1234567").send(ANN)
    assert outcome.reason == "403 Forbidden: bad key *** for ***"


def test_user_and_password_of_a_url_are_sent_as_basic_authentication() -> None:
    with a_hook() as hook:
        place = hook.url.replace("http://", "http://duty:p%40ss@")
        assert hooked(place).send(ANN).result is DeliveryResult.DELIVERED
    assert hook.headers["authorization"] == "Basic ZHV0eTpwQHNz"


def test_a_receiver_that_cannot_be_reached_is_retried() -> None:
    away = hooked(f"http://{LOCALHOST}:{free_port()}/planted-path-1234").send(ANN)
    assert away.result is DeliveryResult.RETRY
    assert "ConnectionRefusedError" in away.reason
    assert "planted" not in away.reason
    unknown = hooked("https://does-not-exist.invalid/").send(ANN)
    assert unknown.result is DeliveryResult.RETRY


def test_secrets_of_sinks_are_never_shown() -> None:
    sinks = [
        AppriseSink(url=SinkUrl("slack://planted-a/planted-b/planted-c")),
        WebhookSink(url=SinkUrl("https://x.org/planted"), secret=Secret("planted")),
        AlertmanagerSink(url=SinkUrl("http://planted:planted@x.org")),
    ]
    assert "planted" not in repr(sinks) + str(sinks) + json.dumps([str(sink) for sink in sinks])


def test_a_message_about_one_flag_is_the_same_with_and_without_a_digest() -> None:
    message = message_of("digest-1-3", "phones", list(ANN.flags))
    assert message == ANN
    assert (message.id, message.rule) == ("f1", "phones")
