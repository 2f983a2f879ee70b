"""Messages ping nobody, link nowhere, and fit, for every service that Apprise knows and whatever names hold."""

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest import mock

import pytest
import requests
from apprise import NotifyBase, NotifyFormat, OverflowMode, conversion, manager_plugins

from stream_app.alerts.sinks.alertmanager import _alert
from stream_app.alerts.sinks.apprise import _fits
from stream_app.alerts.sinks.fit import MessageText, fitted
from stream_app.alerts.sinks.message import AlertMessage, DeliveryResult, message_of
from stream_app.core.messages import ALL_TOPICS, FlagType
from tests.hostile import FORBIDDEN, HOSTILE
from tests.servers.mail import mail_server
from tests.unit.alerts.parts import a_flag
from tests.unit.alerts.sinks.test_sinks import sender

PINGS = (
    *("@everyone", "@here", "@channel", "@all", "@room", "@user", "\uff20user", "@user:matrix.example", "@**all**"),
    *("<!channel>", "<!here>", "<!everyone|x>", "<@U123ABC>", "<@&42>", "<#C123>", "<users/all>", "&lt;!channel&gt;"),
    *("<at>team</at>", '<at user_id="all">', "u/somebody", "/u/somebody", "#general", "$TSLA", "/start", ":tada:"),
)
LINKS = (
    *("[x](http://evil.example)", "[x](<http://evil.example>)", "![x](http://evil.example/p.png)", "[x][1]"),
    *("http://evil.example", "HTTPS://EVIL.EXAMPLE/a?b=c", "hxxp://evil.example", "www.evil.example", "evil.example"),
    *("<http://evil.example|safe>", "<a href='http://evil.example'>x</a>", "mailto:a@evil.example", "tg://user?id=1"),
    *("evil\uff0eexample", "javascript:alert(1)", "192.168.0.1", "=?utf-8?b?aHR0cDovL2V2aWwuZXhhbXBsZQ==?="),
)
FORMATS = ("*bold*", "**bold**", "~~x~~", "`code`", "```x```", "||spoiler||", "\\*", "<b>x</b>", "a|b")
TRIGGER = re.compile(r"[@\uff20\ufe6b<>\[\]&#$!*~`|\\]|://|:\w|/\w|\w[.\uff0e\u3002\uff61]\w|=\?|www\.", re.IGNORECASE)
"""What a chat, a mail client or a converter takes for more than text."""
BASE: Any = NotifyBase
MANAGER: Any = manager_plugins.NotificationManager
CONVERT: Any = conversion.convert_between
OWN_NUMBER = re.compile(r"\b\d+[.:]\d\d?\b")
LONG = ["x" * 300, "👩" * 300, "&" * 300, "_'" * 150]


def plugins() -> list[Any]:
    known: Any = MANAGER()
    known.load_modules()
    return sorted(known.plugins(), key=lambda plugin: plugin.__name__)


def digest_of(name: str, count: int = 47) -> AlertMessage:
    types = list(FlagType)
    return message_of(
        "digest-1", name[:40], [a_flag(f"f{n}", user_id=name, topic=name, type=types[n % 4]) for n in range(count)]
    )


@pytest.mark.parametrize("name", [*PINGS, *LINKS, *FORMATS, *HOSTILE.values()])
def test_a_name_pings_nobody_and_links_nowhere(name: str) -> None:
    for flags in ([a_flag("f", user_id=name, topic=name, population=name)], [a_flag("1", user_id=name), a_flag("2")]):
        message = message_of("digest-1", "r", flags)
        alert = _alert(flags[0], "r", 0)
        shown = [message.title, message.body, *alert["annotations"].values(), alert["labels"]["user_id"]]
        for text in shown:
            assert not TRIGGER.search(OWN_NUMBER.sub("", text))
            assert not (set(text) - {"\n"}) & set(FORBIDDEN)


def test_labels_that_are_routed_by_stay() -> None:
    labels = _alert(a_flag("f", topic=ALL_TOPICS, user_id="ann-1_b"), "r", 0)["labels"]
    assert (labels["topic"], labels["user_id"]) == (ALL_TOPICS, "ann-1_b")


def service_of(plugin: Any, target: NotifyFormat) -> Any:
    """What Apprise knows of the limits of a plugin, without an account."""
    service: Any = object.__new__(type("AService", (BASE,), {}))
    BASE.__init__(service)
    service.notify_format = target
    for name in ("body_maxlen", "title_maxlen"):
        limit = getattr(plugin, name)
        if isinstance(limit, property):
            limit = 160 if name == "body_maxlen" else 0  # the account decides: as for an SMS
        setattr(service, name, limit)
    for name in ("body_max_line_count", "overflow_amalgamate_title", "overflow_buffer"):
        setattr(service, name, getattr(plugin, name))
    return service


@pytest.mark.parametrize("plugin", plugins(), ids=lambda plugin: plugin.__name__)
def test_every_message_fits_every_service(plugin: Any) -> None:
    for target in (NotifyFormat.TEXT, NotifyFormat.HTML, NotifyFormat.MARKDOWN):
        service = service_of(plugin, target)
        for name in LONG:
            for message in (digest_of(name, 1), digest_of(name)):
                text = fitted(message, partial(_fits, service))
                sent = [
                    CONVERT(NotifyFormat.TEXT, target, content=text.title)
                    if text.title and service.title_maxlen <= 0
                    else text.title,
                    CONVERT(NotifyFormat.TEXT, target, content=text.body),
                ]
                pieces = service._apply_overflow(sent[1], sent[0], overflow=OverflowMode.SPLIT, body_format=target)
                whole = service._apply_overflow(sent[1], sent[0], overflow=OverflowMode.UPSTREAM, body_format=target)
                assert pieces == whole, (plugin, target, text)
                assert len(pieces[0]["body"]) <= service.body_maxlen
                assert text.title
                if message.is_digest and text.body:
                    listed = len(text.body.splitlines()) - 1
                    assert f"… and {47 - listed:,} more." in text.body


def test_a_digest_for_a_service_that_takes_little_counts_the_rest() -> None:
    message = digest_of("ann")
    text = fitted(message, lambda text: len(text.title) + len(text.body) <= 300)
    assert text.title == message.title
    assert re.fullmatch(r"(ann .*\n)+… and 4\d more\.", text.body)
    assert fitted(message, lambda text: len(text.title) + len(text.body) <= 20) == MessageText(
        message.title[:19] + "…", ""
    )


@pytest.fixture
def posted() -> Iterator[list[dict[str, Any]]]:
    """What is sent to services on the internet, as they would get it."""
    got: list[dict[str, Any]] = []

    def answer(self: object, method: str, url: str, data: Any = None, **options: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = 200
        response._content = b'{"ok": true, "result": []}'
        sent = data if data is not None else options.get("json")
        got.append(json.loads(sent) if isinstance(sent, str | bytes) else dict(sent or {}))
        return response

    with mock.patch.object(requests.Session, "request", answer), mock.patch("time.sleep"):
        yield got


URLS = (
    "discord://1234567890/abcdefghijklmnop/?footer=no",
    "discord://1234567890/abcdefghijklmnop/?format=markdown",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
    "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general?format=text",
    "tgram://123456789:abcdefg_hijklmnop/12315544/?format=markdown",
    "tgram://123456789:abcdefg_hijklmnop/12315544/?format=markdown&mdv=2",
    "tgram://123456789:abcdefg_hijklmnop/12315544/?format=html",
    "tgram://123456789:abcdefg_hijklmnop/12315544/?format=text",
    "mmost://127.0.0.1/3ccdd113474722377935511fc85d3dd4",
    "rocket://user:password@127.0.0.1/#general",
    "workflows://host:443/5b21b0c3/abcdefgh",
    "gchat://space/key/token",
    "zulip://bot@org/a6dpwgJJ2VkvLvVM6Ywlw3XXXXXXXXXX/",
)


@pytest.mark.parametrize("url", URLS)
def test_services_get_no_ping_no_link_and_no_message_that_is_too_long(url: str, posted: list[dict[str, Any]]) -> None:
    for name in ("@everyone <!channel> <@U123> @here", "[x](http://evil.example) evil.example", "*_~`|" * 30):
        sender(kind="apprise", url=url).send(digest_of(name))
    assert posted
    text = json.dumps(posted, ensure_ascii=False)
    assert not re.search(r"@everyone|@here|!channel|@U123|http://evil|evil\.example|\]\(http", text)
    if url.startswith("discord"):
        assert all(payload["allowed_mentions"] == {"parse": []} for payload in posted)


def test_discord_pings_those_whom_the_url_names(posted: list[dict[str, Any]]) -> None:
    url = "discord://1234567890/abcdefghijklmnop/?ping=<@42>"
    assert sender(kind="apprise", url=url).send(digest_of("ann")).result is DeliveryResult.DELIVERED
    assert "allowed_mentions" not in posted[0]


def test_a_name_adds_no_header_to_a_mail() -> None:
    name = "ann\r\nBcc: evil@evil.example\r\n\r\n=?utf-8?q?=40everyone?="
    with mail_server() as server:
        assert sender(kind="apprise", url=server.url).send(digest_of(name, 1)).result is DeliveryResult.DELIVERED
    (mail,) = server.got
    assert mail["bcc"] is None
    assert "ann" in mail["subject"]
    assert "@everyone" not in str(mail["subject"])
