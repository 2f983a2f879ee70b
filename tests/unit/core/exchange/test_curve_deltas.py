"""Curve deltas: added up, they are the curves of the ledger, however rows change, grow and are renumbered."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.arrays import Ints
from stream_app.core.cuts.histogram import EXACT_BINS, bin_floors, bins_of
from stream_app.core.exchange import curve_deltas
from stream_app.core.exchange.curve_deltas import EMERGED, FLAGGED, CurveDelta, CurveDeltas
from stream_app.core.flags.standing import EMERGING, ENTERED
from stream_app.core.messages import ROLE_BITS, ROLE_MASK
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

HOUR_MS = 3_600_000
TOPICS = [ScopeName("consumer", topic) for topic in ("t0", "t1", "t2", "*")]
Curve = tuple[ScopeName, int]


@pytest.fixture(autouse=True)
def _soon_binned() -> Iterator[None]:
    with patch.multiple(curve_deltas, EXACT_USERS=4, _LARGE_USERS=5):
        yield


class Receiver:
    """Adds up what it is sent."""

    def __init__(self) -> None:
        self.cells: dict[Curve, Counter[int]] = {}
        self.totals: Counter[Curve] = Counter()

    def take(self, delta: CurveDelta, names: list[ScopeName]) -> None:
        if delta.is_everything:
            self.cells, self.totals = {}, Counter()
        for curve in delta.replaced.tolist():
            self.cells.pop((names[curve >> ROLE_BITS], curve & ROLE_MASK), None)
            self.totals.pop((names[curve >> ROLE_BITS], curve & ROLE_MASK), None)
        for curve, value, users, total in zip(*(column.tolist() for column in delta.cells), strict=True):
            place = (names[curve >> ROLE_BITS], curve & ROLE_MASK)
            self.cells.setdefault(place, Counter())[value] += users
            self.totals[place] += total

    def seen(self) -> dict[Curve, dict[int, int]]:
        held = {place: {value: users for value, users in cells.items() if users} for place, cells in self.cells.items()}
        return {place: cells for place, cells in held.items() if cells}


class World:
    """A ledger whose rows change by hand."""

    def __init__(self) -> None:
        self.ledger = Ledger(HOUR_MS, 4, 1)
        self.thresholds: dict[Curve, int] = {}

    def set(self, topic: int, user: int, posts: int, impressions: int, recruits: int = 0) -> None:
        ledger = self.ledger
        scopes = ledger.scopes.add([TOPICS[topic]])
        rows = ledger.rows.rows(scopes, ledger.users.add([f"u{user}"]))
        now = [ledger.rows.values(role)[rows].astype(np.int64) for role in range(3)]
        more = np.array([recruits]) - now[2]
        given_ = (more, np.zeros(1, np.int64)) if more.any() else (None, None)
        ledger.rows.add(rows, np.array([posts]) - now[0], np.array([impressions]) - now[1], np.zeros(1), *given_)

    def stand(self, topic: int, user: int, role: int, standing: int) -> None:
        ledger = self.ledger
        rows = ledger.rows.rows(ledger.scopes.add([TOPICS[topic]]), ledger.users.add([f"u{user}"]))
        ledger.rows.set_standings(role, rows, [standing])

    def threshold(self, curves: Ints) -> Ints:
        names = self.ledger.scopes.names()
        return np.array(
            [self.thresholds.get((names[c >> ROLE_BITS], c & ROLE_MASK), 0) for c in curves.tolist()], np.int64
        )

    def active_users(self) -> int:
        """How many users have something in the scope of all topics."""
        everybody = self.ledger.rows.scopes == self.ledger.scopes.find(TOPICS[-1])
        return int((self.ledger.rows.totals.any(axis=0) & everybody).sum())

    def expected(self, deltas: CurveDeltas) -> dict[Curve, dict[int, int]]:
        """What the curves are, in the forms that they are sent in, from all rows."""
        names, rows, cells = self.ledger.scopes.names(), self.ledger.rows, dict[Curve, Counter[int]]()
        for row, scope in enumerate(rows.scopes.tolist()):
            for role in range(rows.roles):
                form = int(deltas._forms[scope << ROLE_BITS | role])
                found = cells.setdefault((names[scope], role), Counter())
                standing = int(rows.standings[role, row])
                found[FLAGGED] += standing >= ENTERED
                found[EMERGED] += standing == EMERGING
                if value := int(rows.totals[role, row]):
                    in_bin = int(bins_of(np.array([value]))[0])
                    is_exact = form == curve_deltas._EXACT or abs(in_bin - form) <= EXACT_BINS
                    found[value if is_exact else int(bin_floors(np.array([in_bin]))[0])] += 1
        held = {place: {v: n for v, n in found.items() if n} for place, found in cells.items()}
        return {place: found for place, found in held.items() if found}


RECRUITS = st.sampled_from([0] * 9 + [1, 300])
CHANGE = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 3), st.integers(0, 11), st.integers(0, 3), st.integers(0, 5000), RECRUITS),
    st.tuples(st.just("stand"), st.integers(0, 3), st.integers(0, 11), st.integers(0, 2), st.integers(0, 3)),
    st.tuples(st.just("theta"), st.integers(0, 3), st.integers(0, 2), st.integers(1, 5000)),
    st.just(("drop",)),
    st.just(("erase",)),
    st.just(("collect",)),
)


@settings(max_examples=300)
@given(st.lists(CHANGE, max_size=40))
def test_deltas_add_up_to_the_curves(changes: list[tuple[Any, ...]]) -> None:
    world, deltas, receiver = World(), CurveDeltas(), Receiver()
    for what, *given_ in [*changes, ("collect",)]:
        match what:
            case "set":
                world.set(*given_)
            case "stand":
                world.stand(*given_)
            case "theta":
                world.thresholds[TOPICS[given_[0]], given_[1]] = given_[2]
            case "drop":
                world.ledger.drop_rows(world.ledger.rows.done_with())
            case "erase":
                world.ledger.drop_rows(world.ledger.rows.dead())
            case "collect":
                receiver.take(deltas.collect(world.ledger, world.threshold), world.ledger.scopes.names())
                assert receiver.seen() == world.expected(deltas)
                assert deltas.users == world.active_users()
    names, rows = world.ledger.scopes.names(), world.ledger.rows
    totals = Counter[Curve]()
    for row, scope in enumerate(rows.scopes.tolist()):
        for role in range(rows.roles):
            totals[names[scope], role] += int(rows.totals[role, row])
    assert +receiver.totals == +totals


def test_what_nobody_can_have_counts_as_the_most_that_is_believed() -> None:
    world, deltas, receiver = World(), CurveDeltas(), Receiver()
    for topic in range(2):
        world.set(topic, 0, 1, 2**62)
    world.set(0, 1, 1, 7)
    receiver.take(deltas.collect(world.ledger, world.threshold), world.ledger.scopes.names())
    world.set(0, 0, 1, 2**61)
    world.set(1, 0, 1, 9)
    receiver.take(deltas.collect(world.ledger, world.threshold), world.ledger.scopes.names())
    assert receiver.seen()[TOPICS[0], 1] == {curve_deltas.MOST_VALUE: 1, 7: 1}
    assert receiver.seen()[TOPICS[1], 1] == {9: 1}
    assert receiver.totals[TOPICS[0], 1] == curve_deltas.MOST_VALUE + 7


def test_what_stays_is_not_sent_again() -> None:
    world, deltas = World(), CurveDeltas()
    for user in range(3):
        world.set(0, user, 1, 10 * user + 10)
    assert deltas.collect(world.ledger, world.threshold).is_everything
    nothing = deltas.collect(world.ledger, world.threshold)
    assert (nothing.is_everything, len(nothing.replaced), len(nothing.cells.curves)) == (False, 0, 0)
    world.set(0, 1, 1, 25)
    one = deltas.collect(world.ledger, world.threshold)
    assert [column.tolist() for column in one.cells] == [[1, 1], [20, 25], [-1, 1], [-20, 25]]


def test_a_binned_curve_is_replaced_when_its_threshold_leaves_the_bins_that_are_exact() -> None:
    world, deltas = World(), CurveDeltas()
    for user in range(8):
        world.set(0, user, 1, 1000 + user)
    world.thresholds[TOPICS[0], 1] = 1003
    deltas.collect(world.ledger, world.threshold)
    world.thresholds[TOPICS[0], 1] = 1030
    assert deltas.collect(world.ledger, world.threshold).replaced.tolist() == []
    world.thresholds[TOPICS[0], 1] = 1200
    assert deltas.collect(world.ledger, world.threshold).replaced.tolist() == [1]
