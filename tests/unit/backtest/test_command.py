"""`stream-app backtest`: what it prints for people and for programs, and what it refuses."""

import json
import re
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from stream_app.backtest.funnel.recorded_funnel import FunnelSpans, recorded_funnel
from stream_app.backtest.run import backtest
from stream_app.cli import main
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.unit.backtest.test_naive import recorded, stream

SVG = "{http://www.w3.org/2000/svg}"
RULES = ("--window", "3h", "--dwell", "10m", "--min-users", "10", "--min-posts", "2", "--min-impressions", "20")

MAIL = (
    *("--pane", "6h", "--short", "1d", "--step", "2h", "--dwell", "6h", "--emerging-near-horizon", "1d"),
    *("--emerging-horizon", "4d", "--min-impressions", "20", "--min-users", "10", "--min-ts", "1990-01-01"),
)


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


def test_it_can_begin_with_the_settings_for_employees(events: str) -> None:
    for arguments, window in ((("--employees",), "28d"), (("--employees", "--window", "7d"), "7d")):
        found = json.loads(run(events, *arguments, "--json").output)
        expected = json.loads(run(events, *MAIL, "--window", window, "--json").output)
        assert found == expected


def test_a_picture_has_what_the_report_has(events: str, tmp_path: Path) -> None:
    plot, report = tmp_path / "found.svg", tmp_path / "found.json"
    result = run(events, *RULES, "--plot", str(plot), "--report", str(report))
    assert result.exit_code == 0, result.output
    (found,) = json.loads(report.read_bytes())
    root = ET.fromstring(plot.read_text())  # noqa: S314 - written a moment ago
    words = [text.text for text in root.iter(SVG + "text")]
    assert f"Backtest: {found['both']['emerging']:,} emerging flags, {found['both']['entered']:,} entries" in words
    assert f"{100 * found['both']['precision']:.0f} %" in words
    drawn = Counter[str]()
    for title in root.iter(SVG + "title"):
        day = re.fullmatch(r"[\d-]{10}: ([\d,]+) (\w+)", title.text or "")
        if day:
            drawn[day[2]] += int(day[1].replace(",", ""))
    assert +drawn == found["types"]


def test_a_picture_of_no_flags_says_so(tmp_path: Path) -> None:
    events, plot = tmp_path / "events.jsonl", tmp_path / "found.svg"
    events.write_bytes(b'{"event_id": 1, "user_id": "ann", "ts": 1475000000000, "topics": ["tea"]}\n')
    assert run(str(events), "--plot", str(plot)).exit_code == 0
    assert "There was none." in plot.read_text()


def test_a_picture_is_written_as_svg_only(events: str, tmp_path: Path) -> None:
    result = run(events, "--plot", str(tmp_path / "found.png"))
    assert result.exit_code == 2
    assert "does not end with .svg" in result.output


@pytest.mark.parametrize("text", ["no_such=1", "share", "brokers=elsewhere:1"])
def test_a_setting_that_does_not_exist_is_refused_with_those_that_do(events: str, text: str) -> None:
    result = run(events, "--set", text)
    assert result.exit_code == 2
    assert "give NAME=VALUE of one of" in result.output


def test_a_value_that_is_wrong_is_refused_with_its_setting(events: str) -> None:
    result = run(events, "--set", "share=2")
    assert result.exit_code != 0
    assert "--set: STREAM_APP_SHARE" in result.output


def test_events_ahead_of_the_present_are_rejected_as_by_a_worker() -> None:
    ahead_ms = round((time.time() + 3600) * 1000)
    value = b'{"event_id":"ahead","user_id":"u","ts":%d}' % ahead_ms
    events = [RecordedEvent(share=False, key=b"u", value=value, ts_ms=ahead_ms)]
    found = backtest(events, Settings())
    assert (found.counted.applied, found.counted.rejected) == (0, 1)
    funnel = recorded_funnel(events, Settings(), FunnelSpans(1, 1, None))
    assert (funnel.applied, funnel.rejected) == (0, 1)


def test_events_whose_key_is_not_the_user_are_rejected_as_by_a_worker() -> None:
    post = b'{"event_id":"p","user_id":"u","ts":1700000000000}'
    retract = b'{"kind":"retract","of":"post","event_id":"p","user_id":"u","ts":1700000000000}'
    events = [
        RecordedEvent(share=False, key=b"somebody-else", value=post, ts_ms=1_700_000_000_000),
        RecordedEvent(share=False, key=b"u", value=post, ts_ms=1_700_000_000_000),
        RecordedEvent(share=False, key=b"u2", value=retract, ts_ms=1_700_000_000_000, retraction=True),
    ]
    found = backtest(events, Settings()).counted
    assert (found.applied, found.duplicate, found.rejected) == (1, 0, 2)
    funnel = recorded_funnel(events, Settings(), FunnelSpans(1, 1, None))
    assert (funnel.applied, funnel.duplicate, funnel.rejected) == (1, 0, 2)


def test_a_file_of_retractions_alone_has_no_times() -> None:
    value = b'{"kind":"retract","of":"post","event_id":"e","user_id":"u","ts":1700000000000}'
    event = RecordedEvent(share=False, key=b"u", value=value, ts_ms=1_700_000_000_000, retraction=True)
    found = recorded_funnel([event], Settings(), FunnelSpans(1, 1, None))
    assert (found.applied, found.first_ms, found.newest_ms, found.scopes) == (1, None, None, [])
