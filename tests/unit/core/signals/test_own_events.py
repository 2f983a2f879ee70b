"""Own events: regular, one-sided, always on, jumps of the audience, and what is left with audiences bounded."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from stream_app.core.signals.facts import Fact, Signal, facts_at
from stream_app.core.signals.own_events import NOBODY, OwnEvents, OwnEventSignals
from stream_app.core.signals.pair_counts import MOST, OTHERS, SQUARES, TIMES, PairCounts

MINUTE, HOUR = 60_000, 3_600_000
START = 1_475_280_000_000
ANN, BOB = 1, 2


class Did(NamedTuple):
    """An event of somebody."""

    minute: float
    author: int = NOBODY
    post: int = NOBODY
    audience: int = 100
    user: int = ANN


def _signals(events: list[Did], until_h: float = 24.0, signals: OwnEventSignals | None = None) -> OwnEventSignals:
    columns = [np.array(column) for column in zip(*events, strict=True)]
    minutes, authors, posts, audiences, users = columns
    signals = signals or OwnEventSignals()
    signals.add(
        OwnEvents(
            (START + minutes * MINUTE).astype(np.int64),
            users.astype(np.uint64),
            np.arange(len(events)).astype(np.uint64),
            authors.astype(np.uint64),
            posts.astype(np.uint64),
            audiences,
            np.maximum(audiences, 0),
        )
    )
    signals.advance(START + round(until_h * HOUR) + 15 * MINUTE)
    return signals


def _facts(events: list[Did], until_h: float = 24.0) -> dict[Signal, Fact]:
    measured = _signals(events, until_h).measured(np.array([ANN], np.uint64))
    return {fact.name: fact for fact in facts_at(measured)}


def _left(signals: OwnEventSignals) -> tuple[int, int]:
    left = signals.trusted(np.array([ANN], np.uint64))
    return int(left.impressions[0]), int(left.bounded[0])


def test_a_bot_that_shares_one_post_every_minute_is_regular_and_one_sided() -> None:
    facts = _facts([Did(minute, BOB, 7) for minute in range(80)])
    assert facts[Signal.REGULAR] == Fact(Signal.REGULAR, 0.0, 0.1, 80, {"mean_gap_s": 60.0})
    assert facts[Signal.ONE_SIDED] == Fact(Signal.ONE_SIDED, 1.0, 0.9, 80, {"distinct_posts": 1.0})
    assert len(facts) == 2


def test_a_person_with_thirty_own_videos_is_neither() -> None:
    minutes = np.random.default_rng(1).choice(1400, 30, replace=False).tolist()
    assert _facts([Did(minute) for minute in minutes]) == {}


def test_nine_events_say_nothing_about_gaps_and_all_at_once_have_none() -> None:
    assert _facts([Did(minute) for minute in range(9)]) == {}
    assert Signal.REGULAR in _facts([Did(minute) for minute in range(10)])
    assert _facts([Did(5)] * 30) == {}


def test_a_fan_is_one_sided_and_who_shares_from_others_too_is_not() -> None:
    mixed = [Did(minute**1.3, BOB if minute % 10 else 3, minute + 1) for minute in range(100)]
    assert _facts(mixed)[Signal.ONE_SIDED] == Fact(Signal.ONE_SIDED, 0.9, 0.9, 100, {"distinct_posts": 100.0})
    assert _facts([*mixed, Did(900, 4, 1), Did(901, 4, 1)]) == {}


def test_who_is_active_in_twenty_two_hours_of_a_day_is_always_on() -> None:
    hours = [Did(hour * 60 + hour**2 % 50) for hour in range(22)]
    assert _facts(hours)[Signal.ALWAYS_ON].value == 22
    assert _facts(hours[:-1]) == {}
    assert _facts(hours, until_h=27) == {}, "some of them have left the window"


def test_bought_followers_are_a_jump_and_only_some_of_them_are_trusted() -> None:
    events = [Did(7 * minute**1.1, audience=1000 if minute < 10 else 24_000) for minute in range(20)]
    assert _facts(events)[Signal.AUDIENCE_JUMP] == Fact(Signal.AUDIENCE_JUMP, 24.0, 1.5, 10)
    assert _left(_signals(events)) == (250_000, 10 * 1000 + 10 * 1550)


def test_they_are_trusted_by_and_by_half_as_much_again_each_day() -> None:
    days = [Did(day * 1380, audience=1000 if day == 0 else 24_000) for day in range(6)]
    left = [_left(_signals(days[: day + 1], until_h=day * 23 + 1))[1] for day in range(6)]
    trusted = [1000, 1550, 2375, 2375, 3612, 3612]
    assert left == [trusted[0], *map(sum, pairwise(trusted))], "there are two of them in a window"


def test_an_audience_that_falls_again_is_none_of_the_person_but_bounded_all_the_same() -> None:
    mails = [1, 2, 1, 30, 3, 2, 300, 1, 300, 2]
    events = [Did(7 * place**1.5, audience=people) for place, people in enumerate(mails)]
    assert _facts(events) == {}
    assert _left(_signals(events)) == (642, 42 + 2 * 51)


def test_growth_an_unknown_audience_and_the_first_one_are_trusted() -> None:
    grown = [Did(60 * hour + hour**2, audience=1000 + 20 * hour) for hour in range(20)]
    unknown = [Did(60 * hour + 30, audience=-1) for hour in range(20)]
    assert Signal.AUDIENCE_JUMP not in _facts([*grown, *unknown])
    raw, bounded = _left(_signals([*grown, *unknown]))
    assert raw == bounded
    assert _left(_signals([Did(0, audience=1_000_000)])) == (1_000_000, 1_000_000)


def test_who_is_new_again_has_had_no_steady_audience() -> None:
    signals = _signals([*[Did(50 + minute) for minute in range(9)], Did(24 * 60 + 1)], until_h=24.1)
    _signals([Did(24 * 60 + 10, audience=10_000)], until_h=24.5, signals=signals)
    (jump,) = (one for one in signals.measured(np.array([ANN], np.uint64)) if one.name is Signal.AUDIENCE_JUMP)
    assert not jump.is_marked[0]


def test_nothing_is_left_of_who_is_marked_if_they_are_left_out() -> None:
    signals = _signals([Did(0), Did(10, audience=200), Did(11, user=BOB, audience=-1)])
    left = signals.trusted(np.array([ANN, BOB, 3], np.uint64))
    assert left.part(np.array([False, False, False])).tolist() == [1.0, 1.0, 1.0]
    assert left.part(np.array([True, False, False])).tolist() == [0.0, 1.0, 1.0]


def test_what_left_the_window_is_forgotten_and_takes_no_place() -> None:
    signals = _signals([Did(minute / 10, BOB, minute, user=minute + 1) for minute in range(5000)])
    full = signals.nbytes
    signals.advance(START + 60 * HOUR)
    assert len(signals) == 0
    assert signals.nbytes < full / 20
    assert [int(one.events[0]) for one in signals.measured(np.array([ANN], np.uint64))] == [0, 0, 0, 0]


def test_pairs_beyond_the_room_shorten_the_window() -> None:
    pairs = PairCounts(most=100)
    for hour in range(10):
        others = np.arange(hour * 30, hour * 30 + 30).astype(np.uint64)
        pairs.add(np.full(30, hour), np.full(30, ANN, np.uint64), others)
        pairs.advance(hour * HOUR, HOUR, 24)
    known = pairs.of(np.array([ANN], np.uint64))[:, 0]
    assert known[[TIMES, OTHERS, SQUARES, MOST]].tolist() == [90, 90, 90, 1]


def test_the_one_most_often_is_right_after_another_left_the_window() -> None:
    pairs = PairCounts(most=1000)
    ann = np.full(8, ANN, np.uint64)
    pairs.add(np.array([0, 0, 0, 0, 0, 3, 3, 3]), ann, np.array([5, 5, 5, 5, 6, 6, 6, 7], np.uint64))
    assert pairs.of(ann[:1])[:, 0].tolist() == [8, 3, 16 + 9 + 1, 4]
    pairs.advance(5 * HOUR, HOUR, 3)
    assert pairs.of(ann[:1])[:, 0].tolist() == [3, 2, 4 + 1, 2]
