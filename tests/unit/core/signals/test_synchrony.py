"""Synchrony: who shares in step with others more often than the pace of the posts explains, and who does not."""

from collections.abc import Iterable

import numpy as np
import pytest

from stream_app.core.signals.facts import Fact, Signal, facts_at
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.step_evidence import SharerSteps, StepEvidence, added_up
from stream_app.core.signals.synchrony import CreditedShares, StepJudge, Trials

SECOND, HOUR = 1000, 3_600_000
NOON = 1_475_323_200_000 + 1
"""And a thousandth, so that it is exact."""
END = NOON + 1000 * HOUR
Row = tuple[float, int, int]
"""Second, post, sharer."""


def _trials(rows: Iterable[Row], limits: SignalLimits = SignalLimits()) -> Trials:  # noqa: B008
    judge = StepJudge(limits)
    judge.add(_shares(rows))
    return judge.advance(END)


def _shares(rows: Iterable[Row]) -> CreditedShares:
    seconds, posts, sharers = (np.array(column) for column in zip(*rows, strict=True))
    none = np.zeros(len(posts), np.int64)
    ts_ms = (NOON + seconds * SECOND).astype(np.int64)
    return CreditedShares(ts_ms, posts.astype(np.uint64), sharers.astype(np.uint64), none)


def _fact(rows: Iterable[Row], sharer: int) -> Fact | None:
    evidence = StepEvidence()
    evidence.add(added_up(_trials(rows)))
    return next(facts_at([evidence.measured(np.array([sharer], np.uint64))]), None)


def _p(trials: Trials, sharer: int) -> float:
    return float(trials.expected[trials.sharers == sharer][0]) / 1e6


def _pods(posts: int, accounts: int, jitter_s: float = 20.0) -> list[Row]:
    rng = np.random.default_rng(1)
    return [
        (post * 7200.0 + rng.uniform(0, jitter_s), post + 1, account + 1)
        for post in range(posts)
        for account in range(accounts)
    ]


@pytest.mark.parametrize("accounts", [2, 5, 10, 30, 100])
def test_an_account_of_a_pod_is_marked_however_large_the_pod_is(accounts: int) -> None:
    fact = _fact(_pods(6, accounts, jitter_s=9), 1)
    assert fact is not None
    assert (fact.name, fact.events, fact.numbers["in_step"]) == (Signal.SYNCHRONY, 6, 6)
    assert fact.numbers["expected"] == pytest.approx(6 * 0.0124, abs=0.001)


def test_who_always_comes_first_in_a_pod_is_marked_too() -> None:
    rows = [(post * 7200.0 + 3 * account, post + 1, account + 1) for post in range(5) for account in range(4)]
    assert _fact(rows, 1) is not None


def test_a_pod_that_acted_twice_is_not_marked_yet() -> None:
    assert _fact(_pods(2, 10, jitter_s=9), 1) is None
    assert _fact(_pods(3, 10, jitter_s=9), 1) is not None


def test_those_who_share_what_goes_round_are_not_marked() -> None:
    rng = np.random.default_rng(2)
    rows = [
        (post * 90_000.0 + after, post + 1, sharer)
        for post in range(20)
        for sharer, after in enumerate(np.sort(rng.exponential(1200, 2000)).tolist(), 1)
    ]
    everything = _trials(rows, SignalLimits(most_by_chance=1.0))
    assert everything.in_step[everything.sharers == 5].sum() == 20
    assert 5 not in _trials(rows).sharers
    evidence = StepEvidence()
    evidence.add(added_up(everything))
    people = np.arange(1, 2001, dtype=np.uint64)
    assert not evidence.measured(people).is_marked.any(), "nor would they be if these were trials"


def test_who_shares_much_is_not_marked_for_some_chance_meetings() -> None:
    alone = [(post * 7200.0, post, 1) for post in range(1, 201)]
    assert _fact([*alone, *[(post * 7200.0 + 5, post, 2) for post in (3, 80, 81, 150, 151)]], 1) is None


def test_the_same_person_again_is_nobody_else() -> None:
    trials = _trials([(0, 1, 1), (2, 1, 1), (4, 1, 1)])
    assert trials.in_step.tolist() == [0, 0, 0]
    between = _trials([(0, 1, 1), (8, 1, 2), (8, 1, 2), (16, 1, 1)])
    assert between.in_step.tolist() == [1, 1, 1, 1]


def test_the_pace_is_that_of_the_busier_side_and_not_of_what_is_near() -> None:
    lonely = _p(_trials([(0, 1, 1), (30, 1, 2), (100, 1, 3)]), 1)
    after = _p(_trials([(0, 1, 1), *[(300 + 60 * other, 1, 10 + other) for other in range(10)]]), 1)
    both = [(side * (300 + 60 * other), 1, 10 + other) for other in range(10) for side in (-1, 1)]
    assert lonely == pytest.approx(1 - np.exp(-21 * 1 / 1680), abs=1e-5)
    assert after == pytest.approx(1 - np.exp(-21 * 11 / 1680), abs=1e-5)
    assert _p(_trials([(0, 1, 1), *both]), 1) == after


def test_a_time_in_whole_minutes_is_taken_as_exact_to_a_minute() -> None:
    trials = _trials([(59.999, 1, 1), (59.999, 1, 2)])
    assert trials.in_step.tolist() == [1, 1]
    assert _p(trials, 1) == pytest.approx(1 - np.exp(-60 * 2 / 1680), abs=1e-5)


def test_times_in_whole_hours_say_nothing() -> None:
    noon = -0.001
    assert len(_trials([(noon, 1, sharer) for sharer in range(1, 100)]).ts_ms) == 0
    assert len(_trials([(noon + 1, 1, sharer) for sharer in range(1, 100)]).ts_ms) == 99


def test_shares_of_an_author_whose_posts_have_no_names_are_compared_with_each_other() -> None:
    assert _trials([(0, 0, 1), (5, 0, 2)]).in_step.tolist() == [1, 1]
    assert _trials([(0, 1, 1), (5, 2, 2)]).in_step.tolist() == [0, 0]


def test_a_share_is_judged_once_and_only_when_what_follows_is_known() -> None:
    limits = SignalLimits()
    judge = StepJudge(limits)
    judge.add(_shares([(0, 1, 1), (5, 1, 2)]))
    found = [len(judge.advance(NOON + minutes * 60 * SECOND).ts_ms) for minutes in range(120)]
    assert sum(found) == 2
    assert found.index(2) * 60 * SECOND >= limits.pace_ms + limits.disorder_ms


def test_no_more_is_held_than_there_is_room_for() -> None:
    judge = StepJudge(SignalLimits(most_held=100))
    for minute in range(120):
        judge.add(_shares([(minute * 60 + number, number + 1, number + 1) for number in range(50)]))
        judge.advance(NOON + minute * 60 * SECOND)
        assert judge.nbytes <= (100 + 50 * 6) * 26, "what came since it was last looked at comes on top"
    assert judge.late > 0


def test_evidence_adds_up_from_anywhere_and_those_silent_longest_are_forgotten_first() -> None:
    trials = _trials(_pods(4, 10, jitter_s=9))
    whole, halves = StepEvidence(), StepEvidence()
    whole.add(added_up(trials))
    for half in (0, 1):
        part = StepEvidence()
        part.add(added_up(trials.take(np.arange(half, len(trials.ts_ms), 2))))
        halves.restore(part.stored())
    people = np.arange(1, 11, dtype=np.uint64)
    assert whole.measured(people).values.tolist() == halves.measured(people).values.tolist()
    small = StepEvidence(SignalLimits(most_sharers=8))
    ones = np.ones(10, np.int64)
    small.add(SharerSteps(people, ones, ones, ones, ones, np.arange(10)))
    small.forget(0)
    assert small.measured(people).events.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    small.erase(people[:5])
    assert len(small) == 5


def test_evidence_is_forgotten_after_the_time_that_was_set() -> None:
    evidence = StepEvidence(SignalLimits(memory_ms=24 * HOUR))
    evidence.add(added_up(_trials([(0, 1, 1), (5, 1, 2), (3600, 1, 2)])))
    evidence.forget(NOON + 24 * HOUR + 60 * SECOND)
    assert evidence.measured(np.array([1, 2], np.uint64)).events.tolist() == [0, 2]
