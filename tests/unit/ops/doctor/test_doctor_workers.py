"""The doctor on workers together: settings, releases, clocks, and event time."""

import time
from collections.abc import Callable

import msgspec
import pytest

from stream_app import __version__
from stream_app.core.changelog.status import VERSION, Status
from stream_app.core.group.announcement import Announcement
from stream_app.findings import Severity
from stream_app.ops.doctor.curves_topic import CurvesTopic, HeardWorker, _live
from stream_app.ops.doctor.group import event_time, workers
from stream_app.settings import Settings
from stream_app.settings.text import ruling_texts

DAY_MS = 86_400_000
SETTINGS = Settings()


def heard(
    name: str, clock_off_s: float = 0.0, settings: Settings = SETTINGS, release: str = __version__
) -> HeardWorker:
    now_ms = round(time.time() * 1000)
    said = Announcement(
        format=1,
        worker=name,
        name=name,
        release=release,
        settings=ruling_texts(settings),
        standing="regular",
        joined=int(name[1:]),
        patience_s=9.0,
        now_ms=now_ms + round(clock_off_s * 1000),
    )
    return HeardWorker(said, int(name[1:]), now_ms)


def status_at(horizon: int) -> Status:
    return Status(VERSION, 0, {}, horizon, False, 0, 0, 0, 0, release=__version__)


def states(*live: HeardWorker, silent: int = 0, statuses: dict[int, Status] | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in workers(SETTINGS, CurvesTopic(statuses or {}, list(live), ""), len(live) + silent):
        found.setdefault(finding.state.value, []).append(finding.found)
    return found


def test_workers_that_are_alike_are_fine() -> None:
    assert set(states(heard("w1"), heard("w2"))) == {Severity.OK.value}


def test_other_settings_are_a_problem_that_names_both_workers_and_the_values() -> None:
    other = msgspec.structs.replace(SETTINGS, window_s=3600.0 * 12)
    (problem,) = states(heard("w1"), heard("w2", settings=other))[Severity.PROBLEM.value]
    assert "STREAM_APP_WINDOW_S is 24h at w1 and 12h at w2" in problem


def test_settings_of_this_command_that_no_worker_has_are_a_warning() -> None:
    other = msgspec.structs.replace(SETTINGS, min_posts=7)
    (warning,) = states(heard("w1", settings=other))[Severity.WARNING.value]
    assert "STREAM_APP_MIN_POSTS is 7 at worker w1 and 5 at this command" in warning


def test_a_worker_that_does_not_announce_itself_there_may_have_another_topic_for_curves() -> None:
    (warning,) = states(heard("w1"), silent=1)[Severity.WARNING.value]
    assert warning == "the group has 2, and 1 announced themselves on influence.curves"
    (warning,) = states(silent=1)[Severity.WARNING.value]
    assert "0 announced" in warning
    old = {0: msgspec.structs.replace(status_at(0), release="")}
    found = states(heard("w1"), silent=1, statuses=old)[Severity.WARNING.value]
    assert not any("announced themselves" in each for each in found), "one before 0.3 does not announce itself"


def test_two_releases_are_a_warning() -> None:
    (warning,) = states(heard("w1", release="0.2.9"), heard("w2"))[Severity.WARNING.value]
    assert "0.2.9" in warning


def test_a_clock_an_hour_back_is_a_problem() -> None:
    (problem,) = states(heard("w1"), heard("w2", clock_off_s=-3600))[Severity.PROBLEM.value]
    assert "w2 is 3,600 s behind" in problem


def test_a_worker_that_others_outlive_is_not_counted_among_the_live_ones() -> None:
    dead, alive = heard("w1"), heard("w2")
    assert _live([("w1", dead), ("w2", alive)]) == [dead, alive]
    assert _live([("w1", dead), *[("w2", alive)] * 5]) == [alive]
    assert _live([("w1", dead), ("w2", alive), ("w1", None)]) == [alive]


@pytest.mark.parametrize(
    ("horizon", "state", "words"),
    [
        (lambda now_ms: now_ms - 2000, Severity.OK, "behind this machine's clock"),
        (lambda now_ms: now_ms // 1000, Severity.PROBLEM, "1970"),
        (lambda now_ms: now_ms - 40 * DAY_MS, Severity.WARNING, "40 days old: replaying history?"),
        (lambda now_ms: now_ms + DAY_MS, Severity.PROBLEM, "ahead of this machine's clock"),
        (lambda _: 10**30, Severity.PROBLEM, "ahead of this machine's clock"),
    ],
)
def test_event_time_is_compared_with_the_clock(horizon: Callable[[int], int], state: Severity, words: str) -> None:
    (finding,) = event_time(SETTINGS, CurvesTopic({0: status_at(horizon(round(time.time() * 1000)))}, [], ""))
    assert finding.state is state
    assert words in finding.found


def test_without_any_event_nothing_is_said_of_event_time() -> None:
    assert list(event_time(SETTINGS, CurvesTopic({}, [], ""))) == []
