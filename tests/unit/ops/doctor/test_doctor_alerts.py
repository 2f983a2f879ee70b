"""`stream-app doctor` on the alerts file: absent, invalid, valid, and valid with a sink that no rule uses."""

from pathlib import Path

import pytest

from stream_app.findings import Severity
from stream_app.ops.doctor.alerts import alerts
from stream_app.settings import Settings
from tests.unit.alerts.parts import SECRET

GOOD = f"""
sinks:
  crm: {{kind: webhook, url: "https://crm.example.org/hook", secret: {SECRET}}}
  duty: {{kind: alertmanager, url: "http://alertmanager:9093"}}
rules:
  - {{name: phones, sinks: [crm]}}
  - {{name: the rest, sinks: [duty]}}
"""


@pytest.fixture
def named(tmp_path: Path) -> tuple[Path, Settings]:
    path = tmp_path / "alerts.yaml"
    return path, Settings(alerts_file=str(path))


def test_no_alerts_file_is_fine() -> None:
    (found,) = alerts(Settings())
    assert found.state is Severity.OK
    assert "STREAM_APP_ALERTS_FILE is empty" in found.found


def test_a_readable_file_is_reported_with_its_sinks_and_rules(named: tuple[Path, Settings]) -> None:
    path, settings = named
    path.write_text(GOOD)
    (found,) = alerts(settings)
    assert found.state is Severity.OK
    assert found.found.endswith("sinks: crm, duty; rules: phones, the rest")
    assert SECRET not in found.found


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("sinks: [crm]", "sinks: [cmr]", "rule phones: there is no sink 'cmr'; did you mean crm?"),
        ('kind: alertmanager, url: "http:', 'kind: apprise, url: "nowhere:', "sink duty"),
    ],
)
def test_a_file_that_keeps_alerts_from_starting_is_a_problem_with_its_place(
    named: tuple[Path, Settings], before: str, after: str, message: str
) -> None:
    path, settings = named
    path.write_text(GOOD.replace(before, after))
    (found,) = alerts(settings)
    assert found.state is Severity.PROBLEM
    assert message in found.found
    assert str(path) in found.advice


def test_a_file_that_is_not_there_is_a_problem(named: tuple[Path, Settings]) -> None:
    (found,) = alerts(named[1])
    assert found.state is Severity.PROBLEM
    assert "cannot be read" in found.found


def test_a_sink_that_no_rule_names_is_reported(named: tuple[Path, Settings]) -> None:
    path, settings = named
    path.write_text(GOOD.replace("sinks: [duty]", "sinks: [crm]"))
    _, found = alerts(settings)
    assert found.state is Severity.WARNING
    assert found.found.endswith("names duty")
