"""The documents say what the code does: topics, keys, metrics, exit statuses, rules, settings, commands, reasons."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics import MetricWrapperBase

from stream_app.alerts.metrics import AlertMetrics
from stream_app.cli import main
from stream_app.core.flags.standing import EMERGING, ENTERED, FADING, NONE, RULES, StandingRule
from stream_app.core.messages import Cut, Flag
from stream_app.engine.liveness.exit_codes import Exit
from stream_app.kafka.topics import TopicSpec, topics_of
from stream_app.serving.flag_quality_metrics import FlagQualityCollector
from stream_app.serving.metrics import Metrics
from stream_app.serving.redis import layout
from stream_app.settings import ENV_FILE, FILE_SUFFIX, NAMES, SECRETS, Settings, environment_name
from stream_app.settings.text import setting_text
from tests.unit.docs.pages import DOCS, PAGES, README, REFERENCE, ROOT, START, blocks, name, prose, row, rows, section

DECIDES = (DOCS / "how-it-decides.md").read_text()
SCHEMAS_README = (ROOT / "schemas" / "README.md").read_text()
STANDINGS = {NONE: "none", EMERGING: "emerging", ENTERED: "entered", FADING: "fading"}
VARIABLES = {environment_name(name): name for name in NAMES}
EVERYTHING = "\n".join(page.read_text() for page in PAGES)
NOT_YET = {"check", "lint", "types"}
"""Targets of make that the documents name already."""


@pytest.mark.parametrize("example", ["produce_events.py", "consume_flags.py"])
def test_an_example_is_the_file_that_is_tested(example: str) -> None:
    _, _, code = (ROOT / "deploy" / "examples" / example).read_text().partition("\n\n")
    assert code in blocks(START, "python")


@pytest.mark.parametrize("topic", topics_of(Settings()), ids=lambda topic: topic.name)
def test_every_topic_is_in_the_reference_with_its_compaction(topic: TopicSpec) -> None:
    _name, _key, what, compacted = row(section(REFERENCE, "Topics"), topic.name)
    assert compacted == ("yes" if topic.config.get("cleanup.policy") == "compact" else "no")
    assert what.split()[0].rstrip(":,") == topic.purpose.split()[0].rstrip(":")


def test_every_redis_key_is_in_the_reference() -> None:
    documented = {line.split()[0] for line in (layout.__doc__ or "").splitlines() if line.startswith("    influence:")}
    assert documented
    assert documented == {cells[0] for cells in rows(REFERENCE) if cells[0].startswith("influence:")}


def test_every_metric_is_in_the_reference_with_its_labels() -> None:
    registry = CollectorRegistry()
    kept = {**vars(Metrics(registry, Settings().input_topics, ())), **vars(AlertMetrics(registry, []))}
    metrics = [metric for metric in kept.values() if isinstance(metric, MetricWrapperBase)]
    at_once = [one for value in kept.values() if isinstance(value, FlagQualityCollector) for one in value.describe()]
    assert len(metrics) + len(at_once) == len(list(registry.collect()))
    labels = {
        metric._name + "_total" * isinstance(metric, Counter): ", ".join(metric._labelnames) for metric in metrics
    }
    labels |= {gauge.name: ", ".join(gauge._labelnames) for gauge in at_once}
    assert {cells[0]: cells[1] for cells in rows(REFERENCE) if cells[0].startswith("influence_")} == labels


def test_every_exit_status_is_in_the_reference() -> None:
    documented = {(int(cells[0]), cells[1]) for cells in rows(REFERENCE) if cells[0].isdigit()}
    assert documented == {(status.value, status.name) for status in Exit}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.number))
def test_every_rule_of_standings_is_explained_as_it_is(rule: StandingRule) -> None:
    before = ", ".join(STANDINGS[code] for code in rule.before)
    assert row(DECIDES, str(rule.number))[:4] == [str(rule.number), before, STANDINGS[rule.after], rule.says]


def test_every_setting_is_in_the_reference_with_its_default() -> None:
    described = [cells for cells in rows(section(REFERENCE, "Settings")) if cells[0] in VARIABLES]
    assert sorted(cells[0] for cells in described) == sorted(VARIABLES)
    for variable, default, *_ in described:
        assert default == _default(variable), variable


def test_the_settings_to_start_with_have_their_defaults() -> None:
    described = [cells for cells in rows(START) if cells[0] in VARIABLES]
    assert len(described) == 10
    for variable, default, *_ in described:
        assert default == _default(variable), variable


def _default(variable: str) -> str:
    setting = VARIABLES[variable]
    return setting_text(setting, getattr(Settings(), setting)) or "none"


def test_every_setting_that_a_page_names_exists() -> None:
    known = {*VARIABLES, ENV_FILE, *(environment_name(secret) + FILE_SUFFIX for secret in SECRETS)}
    assert set(re.findall(r"STREAM_APP_[A-Z_]+[A-Z]", EVERYTHING)) <= known


def _runnable(group: click.Group, prefix: str = "stream-app") -> Iterator[str]:
    context = click.Context(group)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if isinstance(command, click.Group):
            yield from _runnable(command, f"{prefix} {word}")
        else:
            yield f"{prefix} {word}"


def test_every_command_is_in_the_reference_and_no_other() -> None:
    assert isinstance(main, click.Group)
    documented = {cells[0] for cells in rows(section(REFERENCE, "Commands")) if cells[0].startswith("stream-app")}
    assert documented == {*_runnable(main)}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    assert [line for line in _commands(page.read_text()) if not _is_known(line)] == []


def _commands(text: str) -> list[str]:
    """Every stream-app command of a page, with its options: `stream-app replay events.jsonl --speed 60`."""
    shell = re.sub(r" +#.*", "", "\n".join(blocks(text, "sh")))
    inline = re.findall(r"`(?:\S*/)?stream-app ([a-z][^`]*)`", prose(text))
    return [line.strip() for line in (*inline, *re.findall(r"^(?:\S*/)?stream-app ([a-z].*)", shell, re.MULTILINE))]


def _is_known(line: str) -> bool:
    command: click.Command | None = main
    words = iter(line.split())
    while isinstance(command, click.Group):
        word = next(words, None)
        if word is None:
            return True  # a group: `stream-app alerts`
        command = command.get_command(click.Context(command), word)
    if command is None:
        return line.startswith("bench")  # the changelog says that it is gone
    known = {option for param in command.params for option in param.opts}
    return {word for word in words if word.startswith("--")} <= known


def test_every_target_of_make_that_a_page_names_exists_and_every_one_is_documented() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", EVERYTHING, re.MULTILINE))
    assert named <= targets | NOT_YET
    assert targets - {"help"} <= named
    assert "make demo" in README


def test_every_reason_for_rejecting_is_in_the_readme_of_the_schemas() -> None:
    given = set()
    for path in (ROOT / "stream_app").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"Rejected", "_BadRecord", "_dead_letter"}:
                given |= {text.value for text in call.args if isinstance(text, ast.Constant)}
    documented = {cells[0] for cells in rows(SCHEMAS_README) if len(cells) == 3 and cells[1].startswith("influence.")}
    assert documented == {reason for reason in given if isinstance(reason, str) and re.fullmatch("[a-z-]+", reason)}


def test_every_field_of_a_cut_and_a_flag_can_be_looked_up() -> None:
    for topic, kind in (("cuts", Cut), ("flags", Flag)):
        schema = (ROOT / "schemas" / f"influence.{topic}.schema.json").read_text()
        assert all(f'"{field}"' in schema for field in kind.__struct_fields__)
