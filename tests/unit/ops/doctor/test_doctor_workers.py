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


def test_cuts_that_wait_for_a_partition_are_a_warning_that_names_both_sides() -> None:
    waiting = {n: msgspec.structs.replace(status_at(0), partition=n, unheard=[2] if n < 2 else []) for n in range(4)}
    (warning,) = states(heard("w1"), statuses=waiting)[Severity.WARNING.value]
    assert warning == "the cuts put together in partitions 0, 1 wait to hear from partition 2"
    many = {0: msgspec.structs.replace(status_at(0), unheard=[*range(64)])}
    (warning,) = states(heard("w1"), statuses=many)[Severity.WARNING.value]
    assert warning.endswith("partition 0 wait to hear from partitions 0, 1, 2, 3, 4, 5, 6, 7 …")


def test_two_releases_are_a_warning() -> None:
    (warning,) = states(heard("w1", release="0.2.9"), heard("w2"))[Severity.WARNING.value]
    assert "0.2.9" in warning


def test_a_clock_an_hour_back_is_a_problem() -> None:
    (problem,) = states(heard("w1"), heard("w2", clock_off_s=-3600))[Severity.PROBLEM.value]
    assert "w2 is 3,600 s behind" in problem


def unstamped(name: str, clock_off_s: float = 0.0) -> HeardWorker:
    """As heard on a topic that keeps the time of the writer."""
    return heard(name, clock_off_s)._replace(kafka_ms=None)


HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("clocks_s", "wrong"),
    [
        ((-HOUR_S,), ["w1 is 3,600 s behind that of this machine"]),
        ((0.0, -HOUR_S), ["w2 is 3,600 s behind most others"]),
        ((HOUR_S, 0.0, 0.0), ["w1 is 3,600 s ahead of most others"]),
        ((HOUR_S, HOUR_S), ["this machine is 3,600 s behind most others"]),
        ((0.0, -HOUR_S, -HOUR_S), ["w2 is 3,600 s behind", "w3 is 3,600 s behind"]),
        ((0.0, HOUR_S, -2 * HOUR_S), ["w2 is 3,600 s ahead of", "w3 is 7,200 s behind"]),
    ],
)
def test_without_kafkas_clock_those_of_the_workers_and_the_doctor_are_compared(
    clocks_s: tuple[float, ...], wrong: list[str]
) -> None:
    (problem,) = states(*(unstamped(f"w{n}", off_s) for n, off_s in enumerate(clocks_s, 1)))[Severity.PROBLEM.value]
    assert all(words in problem for words in wrong)
    assert problem.count(" is ") == len(wrong)


def test_clocks_that_agree_are_fine_without_kafkas_too() -> None:
    found = states(unstamped("w1", -4), unstamped("w2", 5))
    assert set(found) == {Severity.OK.value}
    assert any("at most 5 s apart" in each for each in found[Severity.OK.value])


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
