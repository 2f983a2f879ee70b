"""Whose clock is wrong: the producer's, or this worker's."""

from collections.abc import Sequence

import numpy as np
import pytest

from stream_app.core.group.clocks import ClockDoubtError, Clocks

HOUR_S = 3600.0
MAX_AHEAD_S = 300.0
SOURCE = ("posts", 0)


def clocks(broker: float | None = None, **peers: float) -> Clocks:
    made = Clocks()
    made.broker_ahead_s, made.peers_ahead_s = broker, peers
    return made


def judged(made: Clocks, ts_ahead: Sequence[float], stamped: float = 0.0, now_s: float = 0.0, n: int = 0) -> list[bool]:
    mask = made.judge(("posts", n), np.array(ts_ahead), stamped, MAX_AHEAD_S, now_s)
    return [bool(ahead) for ahead in mask]


def test_with_right_clocks_an_event_ahead_is_its_producers_fault() -> None:
    assert judged(clocks(0.5), [0, 301 + HOUR_S, 299]) == [False, True, False]
    assert clocks(0.5).complaint == ""


def test_a_small_difference_counts_in_favour_of_the_event() -> None:
    assert judged(clocks(30.0), [320, 331]) == [False, True]


def test_a_worker_an_hour_behind_waits_and_sets_aside_what_is_ahead_of_both() -> None:
    behind = clocks(HOUR_S)
    with pytest.raises(ClockDoubtError):
        judged(behind, [HOUR_S] * 500)
    with pytest.raises(ClockDoubtError):
        judged(behind, [0, HOUR_S, 3 * HOUR_S])
    assert judged(behind, [0, 3 * HOUR_S]) == [False, True]
    assert "3,600 s behind" in behind.complaint


def test_a_worker_years_ahead_does_not_let_an_event_of_its_own_year_end_the_window() -> None:
    ahead = clocks(-365 * 24 * HOUR_S)
    assert judged(ahead, [-365 * 24 * HOUR_S]) == [False], "events of the present are counted"
    with pytest.raises(ClockDoubtError):
        judged(ahead, [-300 * 24 * HOUR_S])
    assert "ahead of" in ahead.complaint
    assert ahead.least_ahead_s < 0


def test_the_median_decides_so_that_one_wrong_clock_stops_nobody_else() -> None:
    assert clocks(-HOUR_S, a=0.1, b=-0.1).complaint == "", "the clock of a broker is wrong"
    assert clocks(0.1, a=-HOUR_S).complaint == "", "the clock of another worker is wrong"
    assert clocks(HOUR_S, a=HOUR_S).complaint
    assert clocks(a=-HOUR_S).complaint == "", "of two workers nobody knows which is right"
    assert judged(clocks(a=-HOUR_S), [0.0, 250.0]) == [False, False], "and the newcomer does not stop the other"


def test_without_a_witness_a_whole_batch_from_the_future_waits_for_a_while() -> None:
    alone = clocks()
    with pytest.raises(ClockDoubtError):
        judged(alone, [HOUR_S] * 5, stamped=HOUR_S)
    with pytest.raises(ClockDoubtError):
        judged(alone, [HOUR_S] * 5, stamped=HOUR_S, now_s=9)
    assert judged(alone, [HOUR_S] * 5, stamped=HOUR_S, now_s=11) == [True] * 5
    assert judged(alone, [HOUR_S] * 5, stamped=HOUR_S, now_s=12) == [True] * 5, "and not again for every batch"


def test_several_partitions_from_the_same_future_are_believed_longer_and_not_forever() -> None:
    alone = clocks()
    for second in range(30):
        for number in (0, 1):
            with pytest.raises(ClockDoubtError):
                judged(alone, [HOUR_S], stamped=HOUR_S, now_s=second, n=number)
    assert judged(alone, [HOUR_S], stamped=HOUR_S, now_s=31) == [True]


@pytest.mark.parametrize(("ts_ahead", "stamped"), [([HOUR_S, 0.0], HOUR_S), ([HOUR_S], 0.0)])
def test_without_a_witness_anything_of_the_present_is_enough(ts_ahead: list[float], stamped: float) -> None:
    assert judged(clocks(), ts_ahead, stamped=stamped) == [ahead > MAX_AHEAD_S for ahead in ts_ahead]


def test_a_record_of_the_present_in_another_partition_is_enough_too() -> None:
    alone = clocks()
    alone.note_record_time(2.0, now_s=0)
    assert judged(alone, [HOUR_S], stamped=HOUR_S, now_s=30) == [True]
