"""The README says what the code does: examples, topics, keys, metrics, rules, settings and commands."""

import ast
import re
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
from stream_app.serving.metrics import Metrics
from stream_app.serving.redis import layout
from stream_app.settings import NAMES, Settings, environment_name
from stream_app.settings.text import setting_text

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "deploy" / "reference.md").read_text()
SCHEMAS_README = (ROOT / "schemas" / "README.md").read_text()
STANDINGS = {NONE: "none", EMERGING: "emerging", ENTERED: "entered", FADING: "fading"}


def _rows(text: str = README + REFERENCE) -> list[list[str]]:
    """The cells of every row of a table, without backticks."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def _row(first_cell: str) -> list[str]:
    (found,) = [row for row in _rows() if row[0] == first_cell]
    return found


def _commands() -> set[str]:
    """Every stream-app command in the README, with its options: `stream-app replay events.jsonl --speed 60`."""
    lines = re.findall(r"stream-app ([a-z][^`#\n]*)", README)
    return {line.strip() for line in lines}


@pytest.mark.parametrize("example", ["produce_events.py", "consume_flags.py"])
def test_an_example_in_the_readme_is_the_file_that_is_tested(example: str) -> None:
    _, _, code = (ROOT / "deploy" / "examples" / example).read_text().partition("\n\n")
    assert f"```python\n{code}```" in README


@pytest.mark.parametrize("topic", topics_of(Settings()), ids=lambda topic: topic.name)
def test_every_topic_is_in_the_readme_with_its_compaction(topic: TopicSpec) -> None:
    _name, _key, what, compacted = _row(topic.name)
    assert compacted == ("yes" if topic.config.get("cleanup.policy") == "compact" else "no")
    assert what.split()[0].rstrip(":,") == topic.purpose.split()[0].rstrip(":")


def test_every_redis_key_is_in_the_readme() -> None:
    documented = {line.split()[0] for line in (layout.__doc__ or "").splitlines() if line.startswith("    influence:")}
    assert documented
    assert documented == {row[0] for row in _rows() if row[0].startswith("influence:")}


def test_every_metric_is_in_the_readme_with_its_labels() -> None:
    registry = CollectorRegistry()
    kept = {**vars(Metrics(registry, Settings().input_topics, ())), **vars(AlertMetrics(registry, []))}
    metrics = [metric for metric in kept.values() if isinstance(metric, MetricWrapperBase)]
    assert len(metrics) == len(list(registry.collect()))
    labels = {
        metric._name + "_total" * isinstance(metric, Counter): ", ".join(metric._labelnames) for metric in metrics
    }
    assert {row[0]: row[1] for row in _rows() if row[0].startswith("influence_")} == labels


def test_every_exit_status_is_in_the_reference() -> None:
    documented = {(int(row[0]), row[1]) for row in _rows(REFERENCE) if row[0].isdigit()}
    assert documented == {(status.value, status.name) for status in Exit}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.number))
def test_every_rule_is_in_the_readme_as_it_is(rule: StandingRule) -> None:
    before = ", ".join(STANDINGS[code] for code in rule.before)
    assert _row(str(rule.number))[:4] == [str(rule.number), before, STANDINGS[rule.after], rule.says]


def test_every_setting_in_the_readme_exists_with_its_default() -> None:
    variables = {environment_name(name): name for name in NAMES}
    for text in (README, SCHEMAS_README):
        assert {*re.findall(r"STREAM_APP_[A-Z_]+", text)} <= {*variables}
    described = [row for row in _rows() if row[0] in variables]
    assert len(described) == 10
    for variable, default, *_ in described:
        name = variables[variable]
        assert default == (setting_text(name, getattr(Settings(), name)) or "none"), variable


def test_every_command_in_the_readme_exists_with_its_options() -> None:
    context = click.Context(main)
    for line in _commands():
        name, *arguments = line.split()
        command = main.get_command(context, name)
        assert command is not None, line
        if isinstance(command, click.Group):
            command = command.get_command(context, arguments[0].rstrip("`)"))
            assert command is not None, line
        known = {option for param in command.params for option in param.opts}
        assert {word for word in arguments if word.startswith("--")} <= known, line


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_every_reason_for_rejecting_is_in_the_readme_of_the_schemas() -> None:
    given = set()
    for path in (ROOT / "stream_app").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in {"Rejected", "_BadRecord", "_dead_letter"}:
                given |= {text.value for text in call.args if isinstance(text, ast.Constant)}
    documented = {row[0] for row in _rows(SCHEMAS_README) if len(row) == 3 and row[1].startswith("influence.")}
    assert documented == {reason for reason in given if isinstance(reason, str) and re.fullmatch("[a-z-]+", reason)}


def test_every_link_in_the_readmes_leads_somewhere() -> None:
    for folder, text in ((ROOT, README), (ROOT / "schemas", SCHEMAS_README)):
        for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
            assert (folder / target).exists(), target


def test_every_field_of_a_cut_and_a_flag_can_be_looked_up() -> None:
    for name, kind in (("cuts", Cut), ("flags", Flag)):
        schema = (ROOT / "schemas" / f"influence.{name}.schema.json").read_text()
        assert all(f'"{field}"' in schema for field in kind.__struct_fields__)


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 350
