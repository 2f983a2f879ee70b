"""The alerts: promtool tests each one firing and not firing, and the runbook explains it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from stream_app.cli import main
from stream_app.settings import NAMES, environment_name
from tests.servers.prometheus import FOLDER, promtool
from tests.unit.monitoring.asked import DASHBOARDS, DEPLOY, asked_by_rules, dashboard, everything_asked, rules

CASES = sorted((Path(__file__).parent / "rules").glob("*.test.yaml"))
DOCS = DEPLOY.parent / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text()
PARTS = ("**Means**", "**See**", "**Do**")

ALERTS = list(rules("alert"))
RECORDED = [rule["record"] for rule in rules("record")]


def _tests(kind: str) -> Iterator[dict[str, Any]]:
    for path in CASES:
        for test in yaml.safe_load(path.read_text())["tests"]:
            yield from test.get(kind, ())


def _sections() -> dict[str, str]:
    """The text of each section of the runbook."""
    headed = re.split(r"^## (.+)$", RUNBOOK, flags=re.MULTILINE)[1:]
    return dict(zip(headed[::2], headed[1::2], strict=True))


def test_prometheus_takes_the_configuration_and_the_rules() -> None:
    promtool("check", "config", FOLDER / "prometheus.yml")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_the_rules_do_what_their_cases_say(path: Path) -> None:
    promtool("test", "rules", path)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(subtests: pytest.Subtests) -> None:
    for alert in [alert["alert"] for alert in ALERTS]:
        with subtests.test(alert=alert):
            cases = [bool(case.get("exp_alerts")) for case in _tests("alert_rule_test") if case["alertname"] == alert]
            assert {*cases} == {True, False}


def test_every_recording_rule_has_a_case_and_somebody_who_needs_it(subtests: pytest.Subtests) -> None:
    for name in RECORDED:
        with subtests.test(name=name):
            assert any(name in case["expr"] for case in _tests("promql_expr_test"))
            assert any(name in asked.metrics for asked in everything_asked())


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_how_bad_it_is_what_is_the_matter_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["alert"].startswith("Influence"), "a name that is not that of another system's alert"
    assert alert["labels"]["severity"] in {"critical", "warning"}
    annotations = alert["annotations"]
    assert set(annotations) == {"summary", "description", "runbook_url"}
    assert not annotations["summary"].endswith(".")
    assert annotations["description"].endswith(".")
    assert annotations["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"


def test_no_alert_is_there_twice() -> None:
    names = [alert["alert"] for alert in ALERTS]
    assert len({*names}) == len(names)


def test_the_runbook_has_a_section_for_every_alert_and_for_nothing_else() -> None:
    assert list(_sections()) == [alert["alert"] for alert in ALERTS]


def test_a_section_of_the_runbook_says_what_it_means_how_to_see_it_and_what_to_do(subtests: pytest.Subtests) -> None:
    for alert in ALERTS:
        with subtests.test(alert=alert):
            text = _sections()[alert["alert"]]
            assert re.findall(r"^- (\*\*\w+\*\*)", text, re.MULTILINE) == [*PARTS]
            assert f"*{alert['labels']['severity']}*" in text


def test_the_panels_in_the_runbook_exist() -> None:
    boards = [dashboard(path) for path in DASHBOARDS]
    titles = {board["title"] for board in boards} | {panel["title"] for board in boards for panel in board["panels"]}
    named = {" ".join(name.split()) for name in re.findall(r"(?<![*\w])\*([A-Z][^*]+)\*(?!\*)", RUNBOOK)}
    assert len(named) > 10
    assert not {name for name in named if not any(title.startswith(name) for title in titles)}


def test_the_commands_settings_and_links_in_the_runbook_exist() -> None:
    context = click.Context(main)
    for line in re.findall(r"`stream-app ([a-z][^`]*)`", RUNBOOK):
        command: click.Command | None = main
        for word in line.split():
            if word.startswith("--"):
                assert command is not None
                assert word in {option for param in command.params for option in param.opts}, line
            else:
                assert isinstance(command, click.Group), line
                command = command.get_command(context, word)
                assert command is not None, line
    named = set(re.findall(r"STREAM_APP_[A-Z_]+", RUNBOOK))
    assert named <= {environment_name(name) for name in NAMES}
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", RUNBOOK):
        assert (DOCS / target).exists(), target


def test_rules_ask_for_what_is_recorded_by_its_right_name() -> None:
    recorded = {name for asked in everything_asked() for name in asked.metrics if ":" in name}
    assert recorded == {*RECORDED}


def test_alerts_keep_trackers_apart() -> None:
    """Two trackers on one Prometheus are two jobs: a sum over both would hide the one that is ill."""
    for asked in asked_by_rules("alert") + asked_by_rules("record"):
        for labels in re.findall(r"\bby \(([^)]*)\)", asked.expr):
            assert "job" in labels.split(", "), asked
