"""`stream-app backtest`: what it prints for people and for programs, and what it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stream_app.cli import main
from tests.unit.backtest.test_naive import recorded, stream

RULES = ("--window", "3h", "--dwell", "10m", "--min-users", "10", "--min-posts", "2", "--min-impressions", "20")


@pytest.fixture
def events(tmp_path: Path) -> str:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(recorded(event).value + b"\n" for event in stream(3, 400)))
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["backtest", *arguments], env={})


def test_runs_with_other_settings_stand_beside_the_first(events: str) -> None:
    result = run(events, *RULES, "--set", "share=0.5")
    assert result.exit_code == 0, result.output
    assert "400 events read" in result.output
    assert "share 0.5" in result.output
    assert "precision: entered within 12 h" in result.output
    assert "chance stated" in result.output


def test_programs_get_the_same_figures_as_json_and_all_flags_in_a_report(events: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    result = run(events, *RULES, "--set", "min_posts=3", "--json", "--report", str(report))
    first, second = json.loads(result.output)
    assert (first["settings"], second["settings"]) == ({}, {"min_posts": "3"})
    assert first["read"] == first["applied"] + first["duplicate"] + first["late"] + first["rejected"]
    written, _ = json.loads(report.read_bytes())
    assert len(written.pop("raised")) == written["flags"] == first["flags"] > 0
    assert {**written, "raised": []} == first
    assert sum(tenth["flags"] for tenth in first["calibration"]) == first["both"]["emerging"] > 0


@pytest.mark.parametrize("text", ["no_such=1", "share", "brokers=elsewhere:1"])
def test_a_setting_that_does_not_exist_is_refused_with_those_that_do(events: str, text: str) -> None:
    result = run(events, "--set", text)
    assert result.exit_code == 2
    assert "give NAME=VALUE of one of" in result.output


def test_a_value_that_is_wrong_is_refused_with_its_setting(events: str) -> None:
    result = run(events, "--set", "share=2")
    assert result.exit_code != 0
    assert "--set: STREAM_APP_SHARE" in result.output
