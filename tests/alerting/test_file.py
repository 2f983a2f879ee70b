"""The alerts file: the example loads, mistakes are told with their place, secrets are shown nowhere."""

import json
from pathlib import Path

import msgspec
import pytest

from stream_app.alerts.config import AlertsFileError, load, parsed
from stream_app.alerts.sinks.senders import senders_of
from stream_app.settings.secret import Redaction
from tests.alerting.parts import SECRET

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
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
    file = parsed(text.encode(), "alerts.yaml")
    assert {*senders_of(file)} == {"brand-team", "mail", "crm", "duty"}
    assert [rule.name for rule in file.rules] == ["phones", "employees", "everything else, calmly"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("sinks:", "sinkz:", "alerts.yaml: Object contains unknown field `sinkz`"),
        ("kind: apprise", "kind: chat", "sink chat: kind is apprise, webhook or alertmanager"),
        ("kind: apprise, url", "kind: apprise, uri", "sink chat: Object contains unknown field `uri`"),
        ('url: "slack', 'url_file: "/nowhere', "sink chat: the file '/nowhere://T1JJ3T3L2"),
        ("kind: apprise,", "kind: apprise, url_file: x,", "sink chat: give either url or url_file"),
        ("https://crm.example.org/hook", "${NOT_SET}", "sink crm: url: the variable NOT_SET is not set"),
        ("https://crm", "http://crm", "sink crm: url is http://: use https://, or say `private: true`"),
        ("https://crm", "crm", "sink crm: url does not begin with https://"),
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
def test_a_mistake_is_told_with_its_place(before: str, after: str, told: str) -> None:
    assert before in GOOD
    with pytest.raises(AlertsFileError) as caught:
        parsed(GOOD.replace(before, after, 1).encode(), "alerts.yaml")
    assert told in str(caught.value)


def test_rules_of_one_name_are_a_mistake() -> None:
    twice = GOOD + "  - {name: phones, sinks: [crm]}\n"
    with pytest.raises(AlertsFileError, match="two rules are called 'phones'"):
        parsed(twice.encode(), "alerts.yaml")


@pytest.mark.parametrize(("path", "told"), [("", "no alerts file is named"), ("/nowhere.yaml", "cannot be read")])
def test_a_file_that_is_not_there_is_told(path: str, told: str) -> None:
    with pytest.raises(AlertsFileError, match=told):
        load(path)


def test_what_is_no_yaml_is_told() -> None:
    with pytest.raises(AlertsFileError, match=r"alerts\.yaml: "):
        parsed(b"sinks: [", "alerts.yaml")


def test_a_url_that_apprise_does_not_know_is_told_without_it() -> None:
    file = parsed(GOOD.replace("slack://", "slacck://").encode(), "alerts.yaml")
    with pytest.raises(AlertsFileError, match="sink chat: url is none that Apprise knows") as caught:
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
    written = json.dumps({"sinks": {"s": {"kind": "apprise", "url": url}}, "rules": [{"name": "r", "sinks": ["s"]}]})
    file = parsed(written.encode(), "alerts.yaml")
    told = Redaction(file.secrets)(f"cannot reach {url}, {' '.join(hidden)} {' '.join(shown)}")
    assert not [text for text in hidden if text in told]
    assert all(text in told for text in shown)
    assert url not in repr(file)
    assert "planted" not in repr(msgspec.structs.asdict(file))
