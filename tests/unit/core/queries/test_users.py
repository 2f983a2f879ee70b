"""Which users a query finds, in which order, and their pace: against a slow and obvious computation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.arrays import Ints
from stream_app.core.events.schema import Event, Post
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.flags.standing import EMERGING, ENTERED, NONE, StandingRules
from stream_app.core.messages import Role
from stream_app.core.queries.users import UserLookup, UserQueries, UserQuery
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from tests.naive import Given
from tests.unit.core import streams
from tests.unit.core.partitions import Partitions
from tests.unit.core.streams import POSTS, Batch

ALL = ScopeName("all", "*")
X = ScopeName("all", "x")
ENDS = st.lists(st.integers(0, 60), max_size=4)


def posts(ledger: Ledger, counts: dict[str, int], topic: str = "x") -> None:
    """So many posts of each user, now."""
    events: list[Event] = [
        Post(event_id=f"{user}/{number}", ts=0, user_id=user, topics=(topic,), audience=10)
        for user, count in counts.items()
        for number in range(count)
    ]
    streams.apply(ledger, Batch(POSTS, events, len(events)))


def queries(ledger: Ledger) -> UserQueries:
    """Queries about a ledger while nobody has published a cut."""
    return UserQueries(ledger, FollowedCuts())


def users_of(ledger: Ledger, rows: Ints) -> list[str]:
    return [ledger.users.names[user] for user in ledger.rows.users[rows].tolist()]


def found(ledger: Ledger, question: UserQuery, most: int = 100) -> list[str]:
    return [one.user for one in queries(ledger).find(question, most).first]


@settings(max_examples=60)
@given(streams.events(), ENDS, st.sampled_from([0, 1]), st.integers(0, 3))
def test_the_highest_values_come_first(stream: list[Event], ends: list[int], role: int, most: int) -> None:
    ledger = streams.new_ledger()
    for batch in streams.batches_of(stream, ends):
        streams.apply(ledger, batch)
    values = {
        user: made[role]
        for (population, topic, user), made in streams.totals_of(ledger).items()
        if (population, topic) == ALL and made[role]
    }
    answer = queries(ledger).find(UserQuery(ALL, role), most)
    assert answer.total == len(values)
    got = [values[one.user] for one in answer.first]
    assert [one.value for one in answer.first] == got
    assert got == sorted(values.values(), reverse=True)[:most]


def test_a_scope_that_is_not_there_has_nobody_and_is_not_made() -> None:
    ledger = streams.new_ledger()
    posts(ledger, {"a": 1})
    scopes = len(ledger.scopes)
    assert found(ledger, UserQuery(ScopeName("all", "unheard-of"), 0)) == []
    assert queries(ledger).rows_of(["a"], ScopeName("staff", "x")).tolist() == []
    assert len(ledger.scopes) == scopes


def test_a_part_of_the_name_is_enough_in_any_case() -> None:
    ledger = streams.new_ledger()
    posts(ledger, {"Anna": 3, "Joanna": 2, "Bob": 1})
    assert found(ledger, UserQuery(X, 0, search="ANN")) == ["Anna", "Joanna"]
    assert found(ledger, UserQuery(X, 0, search="nobody")) == []


def test_only_those_with_the_standings_asked_for_are_found_even_without_a_value() -> None:
    ledger = streams.new_ledger()
    posts(ledger, {"a": 3, "b": 2, "c": 1})
    ledger.rows.standings[0, queries(ledger).rows_of(["b"], X)] = ENTERED
    assert found(ledger, UserQuery(X, 0, (ENTERED,))) == ["b"]
    assert found(ledger, UserQuery(X, 0, (NONE,))) == ["a", "c"]
    ledger.advance(10_000)
    assert found(ledger, UserQuery(X, 0)) == ["b"]


def test_users_inside_the_interval_of_the_threshold_are_borderline() -> None:
    parts = Partitions(1, streams.new_ledger)
    posts(parts.ledgers[0], {f"u{number}": 1 + number**3 // 100 for number in range(30)})
    users = UserQueries(parts.ledgers[0], parts.followed)
    lookup = UserLookup([f"u{number}" for number in range(30)], X, [Role.MAVEN])
    assert not any(one.borderline for _, one in users.look_up([lookup])), "nobody has published a cut"
    parts.exchange()
    number = parts.followed.find(X)
    low, high = (int(bounds[0, number]) for bounds in parts.followed.intervals[2:])
    found_ = {one.value: one.borderline for _, one in users.look_up([lookup])}
    assert found_ == {value: low <= value <= high for value in found_}
    assert {*found_.values()} == {True, False}


def test_connectors_have_what_others_amplified_them_by_and_recruiters_are_found() -> None:
    ledger = streams.new_ledger()
    streams.apply(ledger, Batch(POSTS, [Post(event_id=1, ts=5, user_id="a", topics=("x",), audience=7)], 1))
    credit = Given(event_id=2, ts=5, user_id="a", topics=("x",), recruits=1, amplified=14)
    streams.apply(ledger, Batch(streams.CREDITS, [credit], 1))
    found_ = {one.role: (one.value, one.amplified) for _, one in queries(ledger).look_up([UserLookup(["a"], X)])}
    assert found_ == {Role.MAVEN: (1, None), Role.CONNECTOR: (7, 14), Role.RECRUITER: (1, None)}
    assert found(ledger, UserQuery(X, Role.RECRUITER.place)) == ["a"]


def test_emerging_users_come_first_the_soonest_before_the_others() -> None:
    parts = Partitions(1, lambda: Ledger(pane_ms=1000, panes=100, short_panes=10))
    ledger = parts.ledgers[0]
    # The short window is the last tenth; `slow` and `fast` post in it, `old` did before.
    for user, times in {
        "old": range(0, 80_000, 500),
        "slow": range(91_000, 99_000, 1000),
        "fast": range(91_000, 99_000, 400),
    }.items():
        events: list[Event] = [Post(event_id=f"{user}{ts}", ts=ts, user_id=user, topics=("x",)) for ts in times]
        streams.apply(ledger, Batch(POSTS, events, len(events)))
    for user in ("slow", "fast"):
        ledger.rows.standings[0, queries(ledger).rows_of([user], X)] = EMERGING
    parts.exchange()
    assert parts.cuts(0).thresholds[0].max() == 160
    fast, slow, old = UserQueries(ledger, parts.followed).find(UserQuery(X, 0, emerging_first=True), 10).first
    assert (fast.user, slow.user, old.user) == ("fast", "slow", "old")
    assert (fast.is_emerging, slow.is_emerging, old.is_emerging) == (True, True, False)
    assert fast.eta_s is not None
    assert slow.eta_s is not None
    assert fast.eta_s < slow.eta_s
    assert old.eta_s is None
    assert found(ledger, UserQuery(X, 0)) == ["old", "fast", "slow"]


@settings(max_examples=60)
@given(streams.events(), ENDS, st.permutations(["a", "b", "c", "nobody"]))
def test_all_rows_of_some_users_are_found(stream: list[Event], ends: list[int], names: list[str]) -> None:
    ledger = streams.new_ledger()
    for batch in streams.batches_of(stream, ends):
        streams.apply(ledger, batch)
    wanted = names[:2]
    scopes = ledger.scopes.names()
    rows = queries(ledger).rows_of(wanted)
    got = {(*scopes[ledger.rows.scopes[row]], *users_of(ledger, np.array([row]))) for row in rows.tolist()}
    assert got == {key for key, made in streams.totals_of(ledger).items() if key[2] in wanted and any(made[:2])}
    in_one = queries(ledger).rows_of(wanted, ALL)
    assert set(users_of(ledger, in_one)) >= {key[2] for key in got if key[:2] == ALL}


@pytest.mark.parametrize("role", [0, 1])
def test_paces_are_those_that_the_rules_decide_by(role: int) -> None:
    rules = StandingRules(RankingRules(1, 1.0), floors=(1, 1))
    parts = Partitions(1, lambda: Ledger(pane_ms=1000, panes=100, short_panes=10), ranking=rules.ranking)
    quick = range(90_000, 99_900, 700)
    parts.count([Post(event_id=f"q{ts}", ts=ts, user_id="quick", audience=ts % 977) for ts in quick])
    parts.count([Post(event_id=f"s{ts}", ts=ts, user_id="steady", audience=50) for ts in range(0, 99_900, 500)])
    ledger = parts.ledgers[0]
    parts.advance(99_900)
    parts.exchange()
    cuts = parts.cuts(0)
    changes = parts.evaluate(0, rules)
    of_role = changes.roles == role
    rows = changes.rows[of_role]
    going = queries(ledger).paces(role, rows, cuts.thresholds[role][ledger.rows.scopes[rows]])
    decided = (changes.short_rates, changes.past_rates, changes.rate_errors, changes.z, changes.events)
    assert len(rows)
    for now, then in zip((going.short, going.past, going.error, going.z, going.moments), decided, strict=True):
        assert now == pytest.approx(then[of_role], rel=1e-5)
