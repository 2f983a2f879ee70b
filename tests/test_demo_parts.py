"""The parts of the demo: foresight judged, workers revived, views that fit, numbers that read well."""

import io
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from stream_app.core.messages import Cut, Flag, FlagType, Role
from stream_app.core.state.watermark import Source
from stream_app.demo import workers as workers_module
from stream_app.demo.embedded import process
from stream_app.demo.embedded.process import LOCALHOST, free_port
from stream_app.demo.feed import LIVE_MS, LIVE_SPEED, demo_stream
from stream_app.demo.generator.activity import TrueCut
from stream_app.demo.generator.delivery import Tally
from stream_app.demo.generator.population import Truth
from stream_app.demo.generator.risers import Riser
from stream_app.demo.picture import Picture, Rate
from stream_app.demo.result import print_result
from stream_app.demo.runner import DemoResult
from stream_app.demo.truth import foresight, measured
from stream_app.demo.view import LiveView, PlainView, drawn
from stream_app.demo.workers import WorkerFailedError, Workers, WorkerState
from stream_app.settings import Settings
from stream_app.terminal.format import hours, moment, plural, span
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


def picture(**given: Any) -> Picture:
    fields: dict[str, Any] = {
        "stage": "counting",
        "seconds": 12.0,
        "size": 1000,
        "produced": 600,
        "counted": Source(watermark=NOON_MS, applied=390, duplicate=10),
        "produced_per_s": 50.0,
        "counted_per_s": 40.0,
        "tops": {("*", role): [(f"user-with-a-name-of-its-own-{n}", 10**n) for n in range(5)] for role in Role},
        "cuts": {("*", Role.CONNECTOR): cut(topic="*")},
        "flags": FLAGS[-8:],
        "emerging": [flag for flag in FLAGS if flag.type is FlagType.EMERGING],
        "flag_counts": {"emerging": 8, "entered": 5, "left": 1},
        "workers": [WorkerState(1, 4711, 6066, 0), WorkerState(2, 4712, 0, 1)],
        "is_counting": True,
        "news": ["worker 2 died by SIGKILL and was started again"],
    }
    return Picture(**(fields | given))


def result(**given: Any) -> DemoResult:
    counted = Source(watermark=NOON_MS, applied=390, duplicate=10)
    fields: dict[str, Any] = {"settings": Settings(), "counted": counted, "cuts": [cut()], "flags": FLAGS}
    return DemoResult(**(fields | {"seconds": 2.0, "is_settled": True, "truth": truth()} | given))


def printed(shown: DemoResult, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_result(console, shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_risers_are_foreseen_when_they_are_flagged_as_emerging_before_they_enter() -> None:
    seen = foresight(truth(), FLAGS)
    assert seen.leads_ms == [30 * MINUTE_MS, 90 * MINUTE_MS]
    assert seen.median_lead_ms == 60 * MINUTE_MS
    assert [rise.lead_ms is not None for rise in seen.risers] == [True, True, False, False]


def test_who_was_flagged_as_emerging_and_did_not_enter_is_a_false_alarm() -> None:
    seen = foresight(truth(), FLAGS)
    assert (seen.others, seen.false_alarms, seen.undecided) == (3, 2, 1)
    assert [decoy.user_id for decoy in seen.decoys] == ["steady"]


@pytest.mark.parametrize(
    ("undecided", "wording"), [(0, "0 of these were"), (1, "1 of these was"), (2, "2 of these were")]
)
def test_false_alarms_are_told_in_plain_english(undecided: int, wording: str) -> None:
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


@pytest.mark.parametrize(("width", "height"), [(60, 20), (80, 24), (120, 50)])
def test_the_live_view_fits_the_terminal_and_shows_what_goes_on(width: int, height: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    console.print(drawn(picture(), width, height))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert len(text.splitlines()) <= height
    for wanted in ("600", "400", "2016-10-05 12:00", "connectors · *", "8 emerging", "cy", "died by SIGKILL"):
        assert wanted in text
    if width >= 80:
        assert "lag 200, 15s to go" in text


def test_the_live_view_can_do_without_anything_known_yet() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    with LiveView(console) as view:
        view.show(picture(size=None, tops={}, flags=[], emerging=[], news=[], is_counting=False))
    assert isinstance(console.file, io.StringIO)
    assert "joining …" in console.file.getvalue()


def test_plain_lines_tell_the_news_once_and_not_too_much() -> None:
    console = Console(file=io.StringIO(), width=100)
    emerging = [flag(FlagType.EMERGING, f"u{number}", number) for number in range(9)]
    with PlainView(console) as view:
        view.show(picture(emerging=emerging[:1]))
        view.show(picture(emerging=emerging))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "worker 2 died by SIGKILL and was started again"
    assert sum("emerging  connector" in line for line in lines) == 6
    assert lines[-1] == "… and 3 more are emerging"


def test_a_worker_that_dies_is_started_again_and_at_last_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_command: Sequence[str], log: Any, _variables: Any) -> Any:
        return process.spawn([sys.executable, "-c", "raise SystemExit('no room here')"], log)

    monkeypatch.setattr(workers_module, "spawn", broken)
    told = []
    with Workers(Settings(http_port=0), 1, tmp_path) as workers:
        for _ in range(workers_module.MOST_DEATHS - 1):
            workers._workers[0].process.wait(20)
            told += workers.revive()
        workers._workers[0].process.wait(20)
        with pytest.raises(WorkerFailedError, match=r"(?s)died 3 times, at last by exit status 1; .*no room here"):
            workers.revive()
    assert told == ["worker 1 died by exit status 1 (no room here) and was started again"] * 2


def test_workers_that_do_not_end_are_ended_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stubborn(_command: Sequence[str], log: Any, _variables: Any) -> Any:
        code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
        started = process.spawn([sys.executable, "-c", code], log)
        while b"up" not in Path(log.name).read_bytes():
            pass
        return started

    monkeypatch.setattr(workers_module, "spawn", stubborn)
    monkeypatch.setattr(workers_module, "_STOP_S", 0.2)
    with Workers(Settings(http_port=0), 2, tmp_path) as workers:
        processes = [worker.process for worker in workers._workers]
    assert [process.returncode for process in processes] == [-9, -9]


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


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.create_server((LOCALHOST, 0)) as server:
        taken = server.getsockname()[1]
        port = free_port(LOCALHOST, taken)
    assert port not in {0, taken}
    assert free_port(LOCALHOST, port) == port


def test_no_port_is_free_on_another_machine() -> None:
    assert free_port("192.0.2.1", 6066) == 0
