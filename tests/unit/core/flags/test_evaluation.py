"""Who is found in a small society: steady users, one on the rise, and one who went viral once."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.flags.evaluation import EvaluationTime, Spans, _rounded, flags_of, pace, spans_of
from stream_app.core.flags.outcomes import DAY_MS, FORESIGHT_MS
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.flags.standing import NONE, StandingRules
from stream_app.core.flags.track_record import TrackRecord
from stream_app.core.messages import Flag, FlagType, Reason, Role
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from tests.naive import Given, ms_of
from tests.unit.core.partitions import Partitions

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
PANE_MS = 15 * MINUTE_MS
START_MS = 1_475_280_000_000
HOURS = 36
LOUD_FROM_MS = 28 * HOUR_MS
STEP_MS = 6 * MINUTE_MS
STEADY = 60
ALL = ScopeName("all", "*")


def _day_ledger() -> Ledger:
    return Ledger(PANE_MS, panes=96, short_panes=4)


def _steady() -> Iterator[Event]:
    """A few heavy users and many light ones, each at a pace of its own; each brings in others as often as it posts."""
    for user in range(STEADY):
        step_ms = round(2 * MINUTE_MS * (user + 1) ** 1.3)
        for number, offset in enumerate(range(user * 7_000, HOURS * HOUR_MS, step_ms)):
            name, at_ms = f"steady{user}", START_MS + offset
            yield Post(event_id=f"s{user}/{number}", ts=at_ms, user_id=name, audience=1000 + user)
            yield Given(event_id=f"s{user}/{number}", ts=at_ms, user_id=name, topics=("*",), recruits=1)


def _riser() -> Iterator[Event]:
    """One post in three hours, and at last one every six minutes."""
    quiet = range(0, LOUD_FROM_MS, 3 * HOUR_MS)
    loud = range(LOUD_FROM_MS, HOURS * HOUR_MS, 6 * MINUTE_MS)
    for number, offset in enumerate(itertools.chain(quiet, loud)):
        yield Post(event_id=f"r{number}", ts=START_MS + offset, user_id="riser", audience=1000)
        yield Given(event_id=f"r{number}", ts=START_MS + offset, user_id="riser", topics=("*",), recruits=1)


def _viral() -> Iterator[Event]:
    """Hardly anything, and then one share with a huge audience."""
    for number, hour in enumerate(range(0, HOURS, 4)):
        yield Share(event_id=f"v{number}", ts=START_MS + hour * HOUR_MS + 1, user_id="viral", audience=500)
    yield Share(event_id="v", ts=START_MS + LOUD_FROM_MS + 2, user_id="viral", audience=200_000)


class Seen(NamedTuple):
    """A flag, and when it was raised: ms since the start."""

    at_ms: int
    flag: Flag


def raised(parts: Partitions, partition: int, rules: StandingRules) -> list[Flag]:
    """The flags that an evaluation raises."""
    ledger, changes = parts.ledgers[partition], parts.evaluate(partition, rules)
    moment = EvaluationTime(0, 1, ledger.horizon, 2, "test", warming_up=False)
    return flags_of(
        changes, np.ones(len(changes.rows), np.int64), moment, ledger, TrackRecord("test", DAY_MS, FORESIGHT_MS)
    )


def _watched(events: Iterable[Event], partitions: int, rules: StandingRules) -> list[Seen]:
    """Every flag as the hours go by, evaluated every six minutes of event time."""
    found = list(events)
    steps = (np.array([ms_of(event) for event in found]) - START_MS) // STEP_MS
    parts = Partitions(partitions, _day_ledger, ranking=rules.ranking)
    seen: list[Seen] = []
    for step in np.unique(steps).tolist():
        parts.count([found[place] for place in np.flatnonzero(steps == step).tolist()])
        at_ms = (step + 1) * STEP_MS
        parts.advance(START_MS + at_ms - 1)
        parts.exchange(1)
        for partition in range(partitions):
            seen += (Seen(at_ms, flag) for flag in raised(parts, partition, rules))
    return seen


def _types(seen: list[Seen]) -> set[FlagType]:
    return {flag.type for _, flag in seen}


@pytest.fixture(scope="module", params=[1, 3])
def seen(request: pytest.FixtureRequest) -> list[Seen]:
    return _watched([*_steady(), *_riser(), *_viral()], request.param, StandingRules())


def _flags_of(seen: list[Seen], user: str, role: Role, since_ms: int = 0) -> list[FlagType]:
    return [c.type for at_ms, c in seen if (c.user_id, c.role) == (user, role) and at_ms >= since_ms]


@pytest.mark.parametrize("role", list(Role))
def test_a_riser_is_emerging_before_it_has_entered(seen: list[Seen], role: Role) -> None:
    assert _flags_of(seen, "riser", role, LOUD_FROM_MS) == [FlagType.EMERGING, FlagType.ENTERED]


@pytest.mark.parametrize("role", list(Role))
def test_a_steady_user_never_accelerates_and_is_flagged_once(seen: list[Seen], role: Role) -> None:
    flags = [_flags_of(seen, f"steady{user}", role) for user in range(STEADY)]
    steady = [flag for _, flag in seen if flag.role == role and flag.user_id.startswith("steady")]
    assert {flag.reason for flag in steady if flag.type is FlagType.EMERGING} <= {
        Reason.AT_THE_DOOR,
        Reason.NEARLY_RANKED,
    }
    assert flags[0] == flags[1] == [FlagType.EMERGING, FlagType.ENTERED]
    assert flags[-1] == []


def test_a_single_viral_event_is_not_emerging(seen: list[Seen]) -> None:
    assert _flags_of(seen, "viral", Role.CONNECTOR) == [FlagType.ENTERED]
    assert _flags_of(seen, "viral", Role.MAVEN) == []


def test_a_flag_has_the_numbers_that_decided(seen: list[Seen]) -> None:
    emerging, entered = (
        c for at_ms, c in seen if (c.user_id, c.role) == ("riser", Role.MAVEN) and at_ms > LOUD_FROM_MS
    )
    assert (emerging.population, emerging.topic, emerging.rule, entered.rule) == (*ALL, 3, 1)
    assert emerging.value < emerging.threshold
    assert entered.value >= entered.threshold
    assert emerging.z >= StandingRules().emerging_z
    assert emerging.events >= StandingRules().emerging_moments
    assert emerging.eta_s is not None
    assert 0 < emerging.eta_s <= StandingRules().emerging_horizon_s
    assert emerging.short_rate > emerging.long_rate > 0
    assert emerging.rate_error > 0
    assert 0 < emerging.share < entered.share < 1


def test_a_diffuse_scope_flags_nobody() -> None:
    events: list[Event] = [
        Post(event_id=f"{user}/{number}", ts=START_MS + number * HOUR_MS, user_id=f"u{user}")
        for user in range(40)
        for number in range(10 + user // 20)
    ]
    assert _watched(events, 2, StandingRules()) == []
    assert FlagType.ENTERED in _types(_watched(events, 2, StandingRules(RankingRules(diffuse_fraction=0.99))))


def test_a_scope_of_few_users_flags_nobody() -> None:
    events: list[Event] = [
        Post(event_id=f"{user}/{number}", ts=START_MS + number * MINUTE_MS, user_id=f"u{user}")
        for user in range(17)
        for number in range(300 if user == 0 else 1)
    ]
    assert _watched(events, 1, StandingRules()) == []
    nearly = _watched(events, 1, StandingRules(RankingRules(min_users=18)))
    assert [(flag.type, flag.user_id, flag.reason) for _, flag in nearly][:1] == [
        (FlagType.EMERGING, "u0", Reason.NEARLY_RANKED)
    ]
    ranked = _watched(events, 1, StandingRules(RankingRules(min_users=17)))
    assert (FlagType.ENTERED, "u0") in [(flag.type, flag.user_id) for _, flag in ranked]


def test_an_empty_ledger_changes_nothing() -> None:
    assert raised(Partitions(1, _day_ledger), 0, StandingRules()) == []


def test_a_user_whose_scope_is_gone_leaves_after_the_dwell_time() -> None:
    parts = Partitions(1, _day_ledger)
    parts.count([Post(event_id=1, ts=START_MS, user_id="a")])
    (ledger,) = parts.ledgers
    ledger.rows.standings[0, 0] = 2
    flags: list[Flag] = []
    for hours in (30, 30.1, 30.5, 31):
        parts.advance(START_MS + round(hours * HOUR_MS))
        flags += raised(parts, 0, StandingRules())
    assert [(flag.type, flag.share, flag.rule, flag.reason) for flag in flags] == [
        (FlagType.LEFT, 0.0, 9, Reason.NO_LONGER_RANKED)
    ]
    assert ledger.rows.standings[0].tolist() == [NONE]


def test_changed_standings_are_sent_to_the_other_partitions() -> None:
    parts = Partitions(1, _day_ledger)
    parts.count(
        [Post(event_id=f"{n}/{m}", ts=START_MS, user_id=f"u{n}") for n in range(30) for m in range(1 + n**4 // 2000)]
    )
    parts.exchange()
    flagged = sum(flag.type is FlagType.ENTERED for flag in raised(parts, 0, StandingRules()))
    parts.exchange()
    assert int(parts.cuts(0).flagged[0, 0]) == flagged > 0


def _pace(value: float, squares: float, short: float, short_squares: float, spans: Spans) -> tuple[float, ...]:
    made = pace(
        np.array([value], np.int64),
        np.array([100]),
        np.array([squares]),
        np.array([short]),
        np.array([short_squares]),
        spans,
    )
    return tuple(float(column[0]) for column in made)


def test_the_pace_of_a_user_with_the_same_rate_throughout_is_unremarkable() -> None:
    short, past, error, z, events, eta_s = _pace(50, 50, 10, 10, Spans(3600, 4 * 3600))
    assert (short, past) == (10 / 3600, 10 / 3600)
    assert abs(z) < 0.1
    assert error == pytest.approx(np.sqrt(10) / 3600)
    assert (events, eta_s) == (10, np.inf)


def test_the_pace_of_a_user_who_trebles_is_remarkable() -> None:
    short, past, _, z, events, eta_s = _pace(70, 70, 30, 30, Spans(3600, 4 * 3600))
    assert (short, past) == (30 / 3600, 10 / 3600)
    assert z == pytest.approx(2 * (np.sqrt(30.375) - np.sqrt(40.375 / 4)) / np.sqrt(1.25))
    assert events == 30
    assert eta_s == pytest.approx(30 / (20 / 3600))


def test_one_large_event_is_no_pace() -> None:
    _, _, _, z, events, _ = _pace(10_040, 10_000**2 + 40, 10_000, 10_000**2, Spans(3600, 4 * 3600))
    assert events == 1
    assert z < 2.5


def test_without_a_past_nothing_accelerates() -> None:
    assert _pace(30, 30, 30, 30, Spans(3600, 3599))[1:4:2] == (0.0, 0.0)


def test_the_past_is_only_what_was_observed() -> None:
    ledger = _day_ledger()
    ledger.since, ledger.horizon = START_MS, START_MS + 10 * HOUR_MS - 1
    assert spans_of(ledger) == Spans(short_s=3600, past_s=9 * 3600)
    ledger.horizon = START_MS + 50 * HOUR_MS - 1
    assert spans_of(ledger) == Spans(short_s=3600, past_s=23 * 3600)
    ledger.horizon = START_MS
    assert spans_of(ledger) == Spans(short_s=1, past_s=0)


@given(st.lists(st.floats(1e-9, 1e15) | st.floats(-1e15, -1e-9) | st.sampled_from([0.0, np.inf])))
def test_the_measures_of_a_flag_have_six_digits(values: list[float]) -> None:
    rounded = _rounded(np.array(values, np.float64)).tolist()
    assert rounded == [float(f"{value:.6g}") for value in rounded]
    assert rounded == pytest.approx(values, rel=5.01e-6)
