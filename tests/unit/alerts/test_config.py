"""The alerts file: the example loads, errors name the place, secrets are never shown."""

import json
from pathlib import Path

import msgspec
import pytest

from stream_app.alerts.config import AlertsFileError, load, parse
from stream_app.alerts.sinks.senders import senders_of
from stream_app.extras import MissingExtraError
from stream_app.settings.secret import Redaction
from tests.unit.alerts.parts import SECRET, without_package

DEPLOY = Path(__file__).parents[3] / "deploy"
GOOD = f"""
sinks:
  chat: {{kind: apprise, url: "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"}}
  crm: {{kind: webhook, url: "https://crm.example.org/hook", secret: {SECRET}}}
rules:
  - name: phones
    sinks: [chat, crm]
    quiet: {{from: "22:00", to: "07:00", zone: Europe/Berlin}}
"""


def test_the_example_loads_and_every_sink_of_it_has_a_sender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crm-webhook").write_text(SECRET + "\n")
    text = (DEPLOY / "alerts.yaml").read_text().replace("/run/secrets/influence", str(tmp_path))
    monkeypatch.setenv("SLACK_URL", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general")
    monkeypatch.setenv("MAIL_URL", "mailtos://user:planted@example.org?to=team@example.org")
    file = parse(text.encode(), "alerts.yaml")
    assert {*senders_of(file)} == {"brand-team", "mail", "crm", "duty"}
    assert [rule.name for rule in file.rules] == ["phones", "employees", "everything else, calmly"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("sinks:", "sinkz:", "alerts.yaml: Object contains unknown field `sinkz`"),
        ("kind: apprise", "kind: chat", "sink chat: kind is apprise, webhook or alertmanager"),
        ("kind: apprise, url", "kind: apprise, uri", "sink chat: Object contains unknown field `uri`"),
        ('url: "slack', 'url_file: "/nowhere', "sink chat: the file '/nowhere://T1JJ3T3L2"),
        ("kind: apprise,", "kind: apprise, url_file: x,", "sink chat: give either url or url_file"),
        ("https://crm.example.org/hook", "${NOT_SET}", "sink crm: url: the variable NOT_SET is not set"),
        ("https://crm", "http://crm", "sink crm: url is http://: use https://, or set `private: true`"),
        ("https://crm", "crm", "sink crm: url must begin with https://"),
        (f"secret: {SECRET}", "secret: abc", "sink crm: secret is not whsec_ and 24 to 64 bytes in base64"),
        ("sinks: [chat, crm]", "sinks: [chat, cmr]", "rule phones: there is no sink 'cmr'; did you mean crm?"),
        ("sinks: [chat, crm]", "sinks: []", "rule phones: sinks: Expected `array` of length >= 1"),
        ("name: phones", "nam: phones", "rule number 1: Object contains unknown field `nam`"),
        ("Europe/Berlin", "Berlin", "rule phones: quiet: there is no time zone 'Berlin'"),
        ('"22:00"', '"25:00"', "rule phones: quiet: '25:00' is no time of day"),
        ('"22:00"', '"07:00"', "rule phones: quiet: `from` and `to` are the same time"),
        ("    quiet", "    cooldown: soon\n    quiet", "rule phones: 'soon' is not a duration"),
        ("    quiet", "    types: [rising]\n    quiet", "rule phones: types[0]: Invalid enum value 'rising'"),
        ("rules:", "max_age: old\nrules:", "max_age: 'old' is not a duration"),
    ],
)
def test_an_error_names_the_place(before: str, after: str, message: str) -> None:
    assert before in GOOD
    with pytest.raises(AlertsFileError) as caught:
        parse(GOOD.replace(before, after, 1).encode(), "alerts.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("https://10.0.0.1/hook", ""),
        ("https://localhost/hook", ""),
        ("https://[::1]:8443/hook", ""),
        ("http://crm.internal/hook", ", private: true"),
        ("https://crm.internal/hook", ", private: true"),
    ],
)
def test_every_webhook_address_is_accepted_and_http_only_with_private(url: str, extra: str) -> None:
    text = GOOD.replace('"https://crm.example.org/hook"', f'"{url}"{extra}')
    assert parse(text.encode(), "alerts.yaml").sinks["crm"].url.reveal() == url


@pytest.mark.parametrize(("module", "package"), [("apprise", "Apprise"), ("yaml", "PyYAML")])
def test_a_missing_package_is_an_error_when_the_file_is_read(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_package(monkeypatch, module)
    with pytest.raises(MissingExtraError) as caught:
        parse(GOOD.encode(), "alerts.yaml")
    assert str(caught.value) == f"{package} is not installed: pip install 'stream-app[alerts]'"


def test_a_file_without_apprise_sinks_needs_no_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    without_package(monkeypatch, "apprise")
    lines = [line for line in GOOD.splitlines() if "apprise" not in line]
    file = parse("\n".join(lines).replace("[chat, crm]", "[crm]").encode(), "alerts.yaml")
    assert {*senders_of(file)} == {"crm"}


def test_two_rules_of_one_name_are_an_error() -> None:
    twice = GOOD + "  - {name: phones, sinks: [crm]}\n"
    with pytest.raises(AlertsFileError, match="two rules are called 'phones'"):
        parse(twice.encode(), "alerts.yaml")


@pytest.mark.parametrize(("path", "message"), [("", "there is no alerts file"), ("/nowhere.yaml", "cannot be read")])
def test_a_missing_file_is_an_error(path: str, message: str) -> None:
    with pytest.raises(AlertsFileError, match=message):
        load(path)


def test_invalid_yaml_is_an_error() -> None:
    with pytest.raises(AlertsFileError, match=r"alerts\.yaml: "):
        parse(b"sinks: [", "alerts.yaml")


def test_the_error_about_a_url_that_apprise_does_not_support_does_not_show_it() -> None:
    file = parse(GOOD.replace("slack://", "slacck://").encode(), "alerts.yaml")
    with pytest.raises(AlertsFileError, match="sink chat: Apprise does not support this url") as caught:
        senders_of(file)
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "hidden", "shown"),
    [
        (
            "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general",
            ["T1JJ3T3L2", "TIiajkdnlazkcOXrIdevi7FQ"],
            [],
        ),
        ("mailtos://user:planted@example.org?to=a@b.org", ["planted"], ["example.org"]),
        ("https://x.org/services/T00000000/B00000000/XXXXXXXXXXXXXXXX", ["T00000000", "X" * 16], ["x.org", "services"]),
        ("json://h.org/path?token=abcdefgh12345678", ["abcdefgh12345678"], []),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", ["123456789", "abcdefg_hijklmnop"], []),
        ("discord://planted%2Fid4/token%20123456", ["planted/id4", "token 123456"], []),
    ],
)
def test_the_parts_of_a_url_that_may_be_tokens_are_hidden(url: str, hidden: list[str], shown: list[str]) -> None:
    raw = json.dumps({"sinks": {"s": {"kind": "apprise", "url": url}}, "rules": [{"name": "r", "sinks": ["s"]}]})
    file = parse(raw.encode(), "alerts.yaml")
    redacted = Redaction(file.secrets)(f"cannot reach {url}, {' '.join(hidden)} {' '.join(shown)}")
    assert not [text for text in hidden if text in redacted]
    assert all(text in redacted for text in shown)
    assert url not in repr(file)
    assert "planted" not in repr(msgspec.structs.asdict(file))
