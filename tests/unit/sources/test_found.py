"""What recorded events turn out to be: rejected here for the same reasons as by a worker with the same settings."""

import datetime as dt
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from stream_app.cli.views.found_events import print_found
from stream_app.core.events.decode import implausible
from stream_app.core.events.limits import TimeRange
from stream_app.demo.feed import recorded_stream
from stream_app.settings import Settings
from stream_app.sources.files import recorded
from stream_app.sources.found import FoundEvents

SETTINGS = Settings()
NOW_MS = 1_767_225_600_000


def found_in(*lines: bytes, settings: Settings = SETTINGS) -> FoundEvents:
    found = FoundEvents(settings)
    assert [event.value for event in found.passing(map(recorded, lines))] == [*lines]
    return found


def event(ts: object, **more: object) -> bytes:
    return msgspec.json.encode({"event_id": "1", "user_id": "ann", "ts": ts, **more})


@pytest.mark.parametrize(
    ("ts", "reason", "unit"),
    [
        (1_767_225_600, "implausible-time", "seconds"),
        ("1767225600", "implausible-time", "seconds"),
        (NOW_MS * 1000, "invalid", "microseconds"),
        (NOW_MS * 1_000_000, "invalid", "nanoseconds"),
    ],
)
def test_times_in_another_unit_are_rejected_with_a_guess_of_it(ts: object, reason: str, unit: str) -> None:
    found = found_in(event(ts), event(ts), event(NOW_MS))
    (kind,) = found.rejected
    assert (kind.reason, kind.records, found.unreadable, found.count) == (reason, 2, 2, 3)
    assert f"looks like {unit}" in kind.message


def test_the_reason_is_that_of_the_worker_with_its_settings() -> None:
    early = msgspec.structs.replace(SETTINGS, min_ts=dt.date(2026, 1, 2), max_id_bytes=64, max_event_bytes=500)
    (kind,) = found_in(event(NOW_MS), settings=early).rejected
    times = TimeRange.of_days(early.min_ts, early.max_ts)
    (same,) = implausible(np.array([NOW_MS]), [0], times)
    assert (kind.reason, kind.message) == (same.reason, same.message)
    later = NOW_MS + 2 * 86_400_000
    long, large = event(later, post_id="p" * 65), event(later, more="x" * 500)
    assert [kind.reason for kind in found_in(long, large, settings=early).rejected] == ["invalid", "oversized"]
    assert found_in(long, large).rejected == []
    reserved, digits = event(NOW_MS, population="(other)"), event(NOW_MS).replace(b'"ann"', b"9" * 39)
    (kind,) = found_in(reserved, digits).rejected
    assert (kind.reason, kind.records) == ("invalid", 2)


def test_retractions_are_judged_as_such() -> None:
    taken = event(NOW_MS, kind="retract", of="post")
    assert found_in(taken, event(NOW_MS, kind="erase")).rejected == []
    (kind, _) = found_in(event(NOW_MS, kind="retract"), event(NOW_MS, kind="retract"), event(5)).rejected
    assert (kind.reason, kind.records, "`of`" in kind.message) == ("invalid", 2, True)
    (kind,) = found_in(taken.replace(b'"ann"', b"9" * 39)).rejected
    assert "over 38 digits" in kind.message


def test_a_file_in_seconds_is_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([event(1_767_225_600)] * 3))
    stream = recorded_stream([path], None, None, SETTINGS)
    assert stream.found is not None
    console = Console(width=200)
    with console.capture() as printed:
        print_found(console, stream.found, SETTINGS)
    assert "3 of them cannot be counted" in printed.get()
    assert "implausible-time  3 events, the first is number 1: ts 1767225600 looks like seconds" in printed.get()
