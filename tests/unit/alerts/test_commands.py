"""`stream-app alerts test` and `dry-run`: what they print, as tables and as JSON, and that no secret is in it."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stream_app.cli import main
from stream_app.ops.doctor.alerts import alerts
from stream_app.settings import Settings
from tests.unit.alerts.parts import (
    DAY_MS,
    SECRET,
    AlertInstances,
    Hook,
    a_flag,
    a_hook,
    now_ms,
    to_hook,
    without_package,
)

MINUTE_MS = 60_000


@pytest.fixture
def hook() -> Iterator[Hook]:
    with a_hook() as made:
        yield made


def run(file: dict[str, Any], folder: Path, *arguments: str) -> Result:
    path = folder / "alerts.yaml"
    path.write_text(json.dumps(file))
    return CliRunner().invoke(main, ["alerts", *arguments, "--alerts-file", str(path)])


def test_a_sample_goes_to_every_sink_and_the_outcomes_are_printed(hook: Hook, tmp_path: Path) -> None:
    file = to_hook(hook)
    chat = f"json://127.0.0.1:{hook.port}/planted-token-1234567"
    file["sinks"] |= {"chat": {"kind": "apprise", "url": chat}}
    hook.answers = [(204, {}), (204, {})]
    done = run(file, tmp_path, "test", "--sink", "hook")
    assert done.exit_code == 0, done.output
    assert "took it" in done.output
    (body,) = hook.got
    assert body["data"]["title"] == "Test of stream_app: test-user is taking off: connector of test-topic"
    hook.is_signed = False
    hook.answers = [(403, {}), (503, {})]
    both = run(file, tmp_path, "test")
    assert both.exit_code == 1
    assert "refuses it" in both.output
    assert "did not take it now" in both.output
    assert not [text for text in (SECRET, "planted") if text in both.output]


def test_outcomes_are_printed_as_json(hook: Hook, tmp_path: Path) -> None:
    hook.answers = [(403, {})]
    done = run(to_hook(hook), tmp_path, "test", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == [
        {"sink": "hook", "kind": "webhook", "result": "refused", "reason": "403 Forbidden"}
    ]


@pytest.mark.parametrize(
    ("changed", "arguments", "message"),
    [
        ({}, ("--sink", "hok"), "has no sink 'hok': it has hook"),
        ({"rules": []}, (), "alerts.yaml: rules: Expected `array` of length >= 1"),
    ],
)
def test_an_error_is_one_line(
    hook: Hook, tmp_path: Path, changed: dict[str, Any], arguments: tuple[str, ...], message: str
) -> None:
    done = run(to_hook(hook) | changed, tmp_path, "test", *arguments)
    assert done.exit_code != 0
    assert message in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", ["run", "test", "dry-run"])
def test_without_apprise_no_command_starts_with_an_apprise_sink_and_doctor_reports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    without_package(monkeypatch, "apprise")
    file = {
        "sinks": {"chat": {"kind": "apprise", "url": "json://127.0.0.1/x"}},
        "rules": [{"name": "all", "sinks": ["chat"]}],
    }
    done = run(file, tmp_path, command)
    assert done.exit_code == 1
    assert done.output.strip() == "Error: Apprise is not installed: pip install 'stream-app[alerts]'"
    (finding,) = alerts(Settings(alerts_file=str(tmp_path / "alerts.yaml")))
    assert (finding.found, finding.advice) == (
        "Apprise is not installed: pip install 'stream-app[alerts]'",
        "pip install 'stream-app[alerts]'",
    )


def test_a_dry_run_prints_what_would_have_been_sent_and_sends_nothing(brokers: str, tmp_path: Path, hook: Hook) -> None:
    alerted = AlertInstances(brokers, "alerts-dry", tmp_path, to_hook(hook, per_hour=2, cooldown="2h"))
    start_ms = now_ms() - 5 * 60 * MINUTE_MS
    at = [start_ms + n * MINUTE_MS for n in range(6)]
    flags = [a_flag(f"f{n}", detected_at=when, user_id=f"u{n}") for n, when in enumerate(at)]
    again = a_flag("again", detected_at=at[5] + 1, user_id="u0")
    alerted.raise_flags(a_flag("old", detected_at=start_ms - 2 * DAY_MS), *flags, again, flags[0])
    done = CliRunner().invoke(main, ["alerts", "dry-run", "--json"], env=alerted.environment)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed["flags"] == 8
    steps = [(step["what"], [flag["flag_id"] for flag in step["flags"]]) for step in printed["acts"]]
    assert [what for what, _ in steps] == [
        "send",
        "repeat",
        "send",
        "limit",
        "limit",
        "limit",
        "limit",
        "cooldown",
        "digest",
    ]
    assert sorted(steps[-1][1]) == ["f2", "f3", "f4", "f5"]
    assert printed["acts"][-1]["at"] == at[2] + 60 * MINUTE_MS
    table = CliRunner().invoke(main, ["alerts", "dry-run"], env=alerted.environment).output
    assert "8 flags since" in table
    assert "3 messages sent; held back: 1 repeat, 4 limit, 1 cooldown." in table
    assert "u1 is taking off: connector of phone" in table
    assert max(map(len, table.splitlines())) <= 110
    assert SECRET not in table
    assert hook.asked == 0
    since = CliRunner().invoke(main, ["alerts", "dry-run", "--json", "--since", str(at[4])], env=alerted.environment)
    assert json.loads(since.stdout)["flags"] == 3
    long_ago = CliRunner().invoke(main, ["alerts", "dry-run", "--since", "2020-01-01"], env=alerted.environment)
    assert "9 flags since 2020-01-01" in long_ago.output


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Restores the logging that a long-running command configures for its process."""
    names = ("", "faust", "mode", "aiokafka", "asyncio", "kafka")
    before = [
        (logging.getLogger(name), logging.getLogger(name).level, logging.getLogger(name).handlers[:]) for name in names
    ]
    yield
    for logger, level, handlers in before:
        for handler in set(logger.handlers) - set(handlers):
            logger.removeHandler(handler)
            handler.close()
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.mark.usefixtures("logging_as_before")
def test_errors_about_missing_topics_and_a_missing_file_say_what_to_do(
    brokers: str, tmp_path: Path, hook: Hook
) -> None:
    path = tmp_path / "alerts.yaml"
    path.write_text(json.dumps(to_hook(hook)))
    given = {
        "STREAM_APP_BROKERS": brokers,
        "STREAM_APP_ALERTS_TOPIC": "alerts-nowhere",
        "STREAM_APP_ALERTS_FILE": str(path),
    }
    done = CliRunner().invoke(main, ["alerts", "run"], env=given)
    assert done.exit_code == 1
    assert "topic alerts-nowhere: missing: create it with `stream-app topics create`" in done.output
    without = CliRunner().invoke(main, ["alerts", "run"], env=given | {"STREAM_APP_ALERTS_FILE": ""})
    assert without.exit_code == 1
    assert "set STREAM_APP_ALERTS_FILE" in without.output
