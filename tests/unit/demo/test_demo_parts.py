"""The parts of the demo: foresight, progress, and numbers that read well."""

import io
import re
from typing import Any

import msgspec
import pytest
from rich.console import Console

from stream_app.core.messages import Cut, Flag, FlagType, Role
from stream_app.core.state.watermark import Source
from stream_app.demo import progress as progress_module
from stream_app.demo.feed import LIVE_MS, LIVE_SPEED, demo_stream
from stream_app.demo.generator.activity import TrueCut
from stream_app.demo.generator.delivery import Tally
from stream_app.demo.generator.population import Truth
from stream_app.demo.generator.risers import Riser
from stream_app.demo.progress import DemoProgress, ProgressView, Rate
from stream_app.demo.result import print_result
from stream_app.demo.runner import DemoResult
from stream_app.demo.truth import foresight, measured
from stream_app.settings import Settings
from stream_app.terminal.format import hours, interval, moment, plural, rounded, span
from tests.board_samples import a_flag

NOON_MS = 1_475_668_800_000
"""2016-10-05T12:00Z."""
MINUTE_MS = 60_000


def flag(flag_type: FlagType, user: str, minute: int, *, topic: str = "tea", role: Role = Role.CONNECTOR) -> Flag:
    eta_s = 7200.0 if flag_type is FlagType.EMERGING else None
    return msgspec.structs.replace(
        a_flag(user, topic, flag_id=f"{flag_type}-{user}-{topic}-{role}-{minute}", flag_type=flag_type, eta_s=eta_s),
        role=role,
        value=1500,
        threshold=9000,
        z=5.5,
        event_time=NOON_MS + minute * MINUTE_MS,
    )


def cut(**given: Any) -> Cut:
    fields: dict[str, Any] = {
        "topic": "tea",
        "population": "all",
        "role": Role.CONNECTOR,
        "users": 1000,
        "total": 50_000,
        "k": 62,
        "threshold": 9000,
        "ties": 1,
        "coverage": 0.8004,
        "percent_of_users": 6.2,
        "gini": 0.8,
        "diffuse": False,
        "exact": True,
        "flagged": 60,
        "emerging": 2,
        "share": 0.8,
        "window_start": 0,
        "window_end": 1,
        "computed_at": 1,
        "settings_version": "v",
    }
    return Cut(**(fields | given))


def truth() -> Truth:
    cuts = [TrueCut("tea", Role.CONNECTOR, 1000, 50_000, 62, 9000, 6.2, 3.1)]
    risers = [
        Riser(f"riser-{number}", "tea", Role.CONNECTOR, NOON_MS, NOON_MS + 60 * MINUTE_MS) for number in range(1, 5)
    ]
    return Truth(cuts, risers, ("steady",), Tally(0, 0, 0, 0, 0, 0))


FLAGS = [
    flag(FlagType.EMERGING, "riser-1", 10),
    flag(FlagType.ENTERED, "riser-1", 40),
    flag(FlagType.EMERGING, "riser-2", 10),
    flag(FlagType.ENTERED, "riser-2", 100),
    flag(FlagType.ENTERED, "riser-3", 50),
    flag(FlagType.EMERGING, "riser-3", 60),
    flag(FlagType.EMERGING, "riser-4", 60, topic="*"),
    flag(FlagType.EMERGING, "steady", 5),
    flag(FlagType.EMERGING, "ann", 5),
    flag(FlagType.ENTERED, "ann", 25),
    flag(FlagType.EMERGING, "bob", 5),
    flag(FlagType.LEFT, "bob", 25),
    flag(FlagType.EMERGING, "cy", 5),
    flag(FlagType.ENTERED, "cy", 25, role=Role.MAVEN),
]


def progress(**given: Any) -> DemoProgress:
    fields: dict[str, Any] = {
        "stage": "counting",
        "seconds": 12.0,
        "size": 1000,
        "produced": 600,
        "counted": Source(watermark=NOON_MS, applied=390, duplicate=10),
        "flags": FLAGS,
        "news": ["worker 2 died by SIGKILL and was started again"],
    }
    return DemoProgress(**(fields | given))


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def result(**given: Any) -> DemoResult:
    counted = Source(watermark=NOON_MS, applied=390, duplicate=10)
    fields: dict[str, Any] = {"settings": Settings(), "counted": counted, "cuts": [cut()], "flags": FLAGS}
    return DemoResult(**(fields | {"seconds": 2.0, "is_settled": True, "truth": truth()} | given))


def printed(shown: DemoResult, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_result(console, shown)
    return text_of(console).splitlines()


def test_risers_are_foreseen_when_they_are_flagged_as_emerging_before_they_enter() -> None:
    seen = foresight(truth(), FLAGS)
    assert seen.leads_ms == [30 * MINUTE_MS, 90 * MINUTE_MS]
    assert seen.median_lead_ms == 60 * MINUTE_MS
    assert [rise.lead_ms is not None for rise in seen.risers] == [True, True, False, False]


def test_a_user_flagged_as_emerging_who_did_not_enter_is_a_false_alarm() -> None:
    seen = foresight(truth(), FLAGS)
    assert (seen.others, seen.false_alarms, seen.undecided) == (3, 2, 1)
    assert [decoy.user_id for decoy in seen.decoys] == ["steady"]


@pytest.mark.parametrize(
    ("undecided", "wording"), [(0, "0 of these were"), (1, "1 of these was"), (2, "2 of these were")]
)
def test_false_alarms_are_counted_in_plain_english(undecided: int, wording: str) -> None:
    risen = [flag(FlagType.EMERGING, f"new-{number}", 5) for number in range(undecided)]
    assert wording in " ".join(" ".join(printed(result(flags=risen))).split())


@pytest.mark.parametrize(("percent", "right"), [(6.2, True), (6.7, True), (6.8, False), (5.6, False)])
def test_a_cut_is_right_within_half_a_point(percent: float, right: bool) -> None:
    (row,) = measured(truth(), [cut(percent_of_users=percent)])
    assert row.is_right is right


def test_a_cut_that_is_missing_or_wrong_for_the_population_is_not_right() -> None:
    assert [row.is_right for row in measured(truth(), [])] == [False]
    assert [row.is_right for row in measured(truth(), [cut(percent_of_population=3.7)])] == [False]


def test_the_result_says_it_all_on_80_columns() -> None:
    lines = printed(result(cuts=[cut(total=10**9, threshold=10**8), cut(role=Role.MAVEN, diffuse=True)]))
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert "400 events in 2s (200/s): 390 applied, 10 duplicate, 0 late, 0 rejected." in text
    assert re.search(r"^tea +connector +1,000 +62 +6\.2 +80\.0 +100,000,000 +60 +2$", text, re.MULTILINE)
    assert re.search(r"^ +maven .* diffuse +–$", text, re.MULTILINE)
    text = " ".join(text.split())
    assert "1 of 1 are within 0.5 percentage points." in text
    assert "2 of 4 were flagged as emerging before they entered: 1h 00m before (median), at least 0h 30m." in text
    assert "False alarms: 2 of 3" in text
    assert "Decoys flagged: steady." in text


def test_a_result_without_cuts_or_not_settled_says_so() -> None:
    assert any("no cuts" in line for line in printed(result(cuts=[], truth=None)))
    assert any("still changed" in line for line in printed(result(is_settled=False, truth=None)))


def test_plain_lines_report_news_once_and_few_flags_at_once() -> None:
    console = Console(file=io.StringIO(), width=100)
    emerging = [flag(FlagType.EMERGING, f"u{number}", number) for number in range(9)]
    with ProgressView(console) as view:
        view.show(progress(flags=emerging[:1]))
        view.show(progress(flags=[*emerging, flag(FlagType.ENTERED, "u0", 10)]))
    lines = text_of(console).splitlines()
    assert lines[0] == "worker 2 died by SIGKILL and was started again"
    assert sum("emerging  connector" in line for line in lines) == 6
    assert lines[-1] == "… and 3 more are emerging"


def test_a_plain_line_now_and_then_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_LINE_EVERY_S", 0.0)
    console = Console(file=io.StringIO(), width=100)
    with ProgressView(console) as view:
        view.show(progress(size=None, news=[], flags=[], stage="making the stream"))
        view.show(progress(news=[], flags=[]))
    making, counting = text_of(console).splitlines()
    assert making.split() == ["12s", "making", "the", "stream"]
    assert "counting: produced 600 of 1,000, counted 400 (" in counting
    assert counting.endswith("event time 2016-10-05 12:00, 0 flags")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_terminal_a_bar_of_one_line_stands_below_the_flags(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, _environ={})
    with ProgressView(console) as view:
        view.show(progress(size=None, news=[], flags=[], counted=Source()))
        view.show(progress(flags=[flag(FlagType.EMERGING, "ann", 5)]))
    lines = re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "\n", text_of(console)).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= width
    assert "worker 2 died by SIGKILL and was started again" in lines
    assert any(line.startswith("12:05  emerging  connector  tea             ann") for line in lines)
    (bar,) = {line.rstrip() for line in lines if "400 of 1,000" in line}
    assert bar.startswith("counting ━")
    assert bar.endswith("2016-10-05 12:00")


@pytest.mark.parametrize(("end", "expected"), [(KeyboardInterrupt, True), (SystemExit, True), (ValueError, False)])
def test_ending_early_says_what_takes_a_moment(end: type[BaseException], expected: bool) -> None:
    console = Console(file=io.StringIO(), width=100)
    with pytest.raises(end), ProgressView(console):
        raise end
    assert ("Ending the workers and the servers" in text_of(console)) is expected


def test_the_end_of_the_demo_stream_is_sent_as_if_live() -> None:
    stream = demo_stream(1000, None, None)
    first, last = stream.parts
    events = [*first.events, *last.events]
    assert (first.speed, last.speed) == (None, LIVE_SPEED)
    assert stream.size == len(events)
    assert stream.truth is not None
    assert min(riser.onset_ms for riser in stream.truth.risers) >= next(iter(last.events)).ts_ms
    assert max(event.ts_ms for event in events[-100:]) - next(iter(last.events)).ts_ms <= LIVE_MS


def test_a_demo_stream_that_is_cut_short_has_no_truth() -> None:
    end_ms = 1_772_300_000_000
    stream = demo_stream(1000, end_ms, 60.0)
    assert stream.truth is None
    assert [part.speed for part in stream.parts] == [60.0]
    assert stream.size == sum(event.ts_ms < end_ms for event in stream.parts[0].events)


def test_a_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 10.0, 11.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    rate = Rate()
    assert [rate.per_s(count) for count in (0, 100, 100, 400)] == [0.0, 100.0, 0.0, 300.0]


def test_numbers_and_times_read_well() -> None:
    assert [span(s) for s in (0.4, 59, 61, 7830, 200_000)] == ["0s", "59s", "1m 01s", "2h 10m", "2d 7h"]
    assert [hours(s) for s in (59, 780, 90_000)] == ["0h 00m", "0h 13m", "25h 00m"]
    assert moment(NOON_MS) == "2016-10-05 12:00"
    assert moment(-(2**62)) == "–"
    assert (plural(1, "worker"), plural(2000, "worker")) == ("1 worker", "2,000 workers")


def test_digits_end_where_the_error_begins() -> None:
    assert [rounded(31.0, 26.2, 36.2), rounded(3.2, 1.2, 10.6), rounded(6.24, 5.9, 6.6)] == ["31", "3", "6.2"]
    assert [rounded(10_656, 9_000, 13_100), rounded(0.4, 0.4, 10.6), rounded(80, 80, 80)] == ["11,000", "0.4", "80"]
    assert [interval(8_951, 13_100), interval(0.4, 10.6), interval(None, None)] == ["[9,000–13,000]", "[0.4–11]", ""]


def test_cuts_are_printed_with_their_intervals_where_there_is_room() -> None:
    bounds = {
        "percent_of_users_low": 4.4,
        "percent_of_users_high": 8.6,
        "threshold_low": 7900,
        "threshold_high": 12_100,
    }
    shown = result(cuts=[cut(**bounds, k_low=44, k_high=86)])
    assert re.search(r" 62 +6 +[–0-9.]* *80.0 +9,000 ", "\n".join(printed(shown)))
    assert re.search(r" 62 +6 \[4–9\] .*9,000 \[8,000–12,000\]", "\n".join(printed(shown, width=120)))
