"""A home against the naive cut of all rows: partitions that send in parts, twice, with gaps, and change their owner."""

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from unittest.mock import patch

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import FormatError
from stream_app.core.cuts.histogram import Cells
from stream_app.core.exchange import curve_deltas, delta_message, home
from stream_app.core.exchange.curve_deltas import CurveDelta, CurveDeltas
from stream_app.core.exchange.delta_message import DeltaMessage, DeltaSource, decode, encode, messages_of
from stream_app.core.exchange.home import Home
from stream_app.core.flags.ranking import RankingRules
from stream_app.core.messages import ROLE_BITS, ROLE_MASK
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from tests.naive import naive_cut

SHARE = 0.8
TOPICS = [ScopeName("consumer", f"t{number}") for number in range(6)]


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with patch.multiple(curve_deltas, EXACT_USERS=6, _LARGE_USERS=8), patch.object(home, "_UNUSED_KEPT", 0):
        yield


class Partition:
    """A ledger, and what it has sent."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.epoch = 0
        self.ledger = Ledger(3_600_000, 4, 1)
        self.rows: dict[tuple[ScopeName, str], tuple[int, int]] = {}
        self._deltas = CurveDeltas()
        self._sent = 0

    def restart(self) -> None:
        self.epoch, self._deltas, self._sent = self.epoch + 1, CurveDeltas(), 0
        self.repeat()

    def repeat(self) -> None:
        """Send everything next time."""
        self.ledger.rows.lose_touched()

    def set(self, topic: int, user: int, posts: int, impressions: int) -> None:
        rows = self.ledger.rows.rows(self.ledger.scopes.add([TOPICS[topic]]), self.ledger.users.add([f"u{user}"]))
        now = self.ledger.rows.totals[:, rows]
        self.ledger.rows.add(rows, np.array([posts]) - now[0], np.array([impressions]) - now[1], np.zeros(1))
        self.rows[TOPICS[topic], f"u{user}"] = posts, impressions

    def messages(self, thresholds: curve_deltas.Thresholds, most_bytes: int) -> list[DeltaMessage]:
        delta = self._deltas.collect(self.ledger, thresholds)
        names = self.ledger.scopes.names()
        made = list(messages_of(delta, names, DeltaSource(self.number, self.epoch), 0, self._sent, most_bytes))
        self._sent += len(made)
        return [decode(encode(message)) for message in made]


def no_thresholds(curves: Ints) -> Ints:
    return np.zeros(len(curves), np.int64)


def expected(partitions: list[Partition]) -> dict[tuple[ScopeName, int], tuple[int, ...]]:
    values: dict[tuple[ScopeName, int], list[int]] = defaultdict(list)
    for partition in partitions:
        for (scope, _), totals in partition.rows.items():
            for role in (0, 1):
                values[scope, role].append(totals[role])
    cuts = {place: naive_cut(found, SHARE) for place, found in values.items()}
    return {place: (cut.users, cut.total, cut.k, cut.threshold, cut.ties) for place, cut in cuts.items() if cut}


def found(one: Home) -> dict[tuple[ScopeName, int], tuple[int, ...]]:
    cuts = one.cuts
    columns = (cuts.users, cuts.totals, cuts.k, cuts.thresholds, cuts.ties)
    return {
        (name, role): tuple(int(column[role, number]) for column in columns)
        for number, name in enumerate(one.names)
        for role in (0, 1)
        if cuts.users[role, number]
    }


def thresholds_of(one: Home, partition: Partition) -> curve_deltas.Thresholds:
    def thresholds(curves: Ints) -> Ints:
        names = partition.ledger.scopes.names()
        numbers = [one.find(names[curve >> ROLE_BITS]) for curve in curves.tolist()]
        known = [
            0 if number is None or number >= one.cuts.users.shape[1] else one.cuts.thresholds[curve & ROLE_MASK, number]
            for number, curve in zip(numbers, curves.tolist(), strict=True)
        ]
        return np.array(known, np.int64)

    return thresholds


def happen(chance: random.Random, partition: Partition) -> None:
    for _ in range(chance.randrange(6)):
        values = (chance.choice((0, 1, 2)), chance.choice((0, 3, 100, 101, 2000)))
        partition.set(chance.randrange(3), chance.randrange(12), *values)
    if chance.random() < 0.1:
        partition.restart()


def sent(partition: Partition, one: Home, most_bytes: int) -> list[DeltaMessage]:
    """What a partition sends in a round; everything, if the home misses something."""
    if partition.number in one.unheard():
        partition.repeat()
    return partition.messages(thresholds_of(one, partition), most_bytes)


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_a_home_has_the_cuts_of_all_rows_whatever_happens_on_the_way(seed: int) -> None:
    chance = random.Random(seed)
    partitions, one = [Partition(number) for number in range(3)], Home(3, SHARE, RankingRules())
    with patch.object(delta_message, "_NAME_BYTES", 0):
        for _ in range(chance.randrange(12)):
            for partition in partitions:
                happen(chance, partition)
                for message in sent(partition, one, chance.choice((60, 200, 5000))):
                    for _ in range(chance.choice((0, *[1] * 20, 2))):  # lost, or twice
                        one.hear(message)
            one.recompute(0)
            one.forget_unused()
        for _ in range(3):  # until nothing is missing and θ has come to rest
            for partition in partitions:
                for message in sent(partition, one, 5000):
                    one.hear(message)
            one.recompute(0)
    assert one.is_complete
    assert found(one) == expected(partitions)


def test_cuts_count_once_every_partition_has_sent_everything() -> None:
    partitions, one = [Partition(0), Partition(1)], Home(2, SHARE, RankingRules())
    for partition in partitions:
        partition.set(0, partition.number, 1, 5)
    for message in partitions[0].messages(no_thresholds, 5000):
        one.hear(message)
    assert (one.is_complete, one.unheard()) == (False, [1])
    for message in partitions[1].messages(no_thresholds, 5000):
        one.hear(message)
    assert (one.is_complete, one.unheard()) == (True, [])


def test_a_former_owner_is_not_heard() -> None:
    partition, one = Partition(0), Home(1, SHARE, RankingRules())
    partition.set(0, 1, 1, 5)
    late = partition.messages(no_thresholds, 5000)
    partition.restart()
    partition.set(0, 2, 1, 7)
    for message in [*partition.messages(no_thresholds, 5000), *late]:
        one.hear(message)
    one.recompute(0)
    assert found(one)[TOPICS[0], 1][:2] == (2, 12)


def test_only_scopes_that_changed_are_computed_again() -> None:
    partition, one = Partition(0), Home(1, SHARE, RankingRules())
    for topic in range(3):
        partition.set(topic, 1, 1, 5)
    for message in partition.messages(no_thresholds, 5000):
        one.hear(message)
    assert len(one.recompute(0)) == 3
    partition.set(1, 2, 0, 9)
    for message in partition.messages(no_thresholds, 5000):
        one.hear(message)
    assert [one.names[number] for number in one.recompute(0).tolist()] == [TOPICS[1]]
    assert one.recompute(0).tolist() == []
    assert one.cells(TOPICS[1], 1).values.tolist() == [9, 5]


def test_messages_are_of_the_size_that_is_allowed() -> None:
    partition = Partition(0)
    for user in range(400):
        partition.set(user % 3, user, 1, 1000 + user)
    with patch.object(delta_message, "_NAME_BYTES", 0):
        made = partition.messages(no_thresholds, 500)
    assert len(made) > 2
    assert all(len(encode(message)) < 700 for message in made)
    assert [message.is_everything for message in made] == [True] + [False] * (len(made) - 1)
    assert [message.has_more for message in made] == [True] * (len(made) - 1) + [False]
    assert all(later.number == earlier.number + 1 for earlier, later in pairwise(made))


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 9},
        {"source": -1},
        {"number": 2**61},
        {"scopes": []},
        {"scopes": [ScopeName("x" * 2000, "t")]},
        {"users": ("u8", b"\xff" * 8)},
        {"curve": ("u1", b"\x09")},
        {"curve": ("u2", b"\x09")},
        {"total": ("f8", b"\x00" * 8)},
    ],
)
def test_what_no_worker_can_have_written_is_refused(wrong: dict[str, object]) -> None:
    partition = Partition(0)
    partition.set(0, 1, 1, 0)
    (message,) = partition.messages(no_thresholds, 5000)
    fields = msgspec.msgpack.decode(encode(message))
    for name, value in wrong.items():
        fields[DeltaMessage.__struct_fields__.index(name)] = value
    with pytest.raises(FormatError):
        decode(msgspec.msgpack.encode(fields))


def test_sums_that_no_users_can_have_make_a_home_begin_anew() -> None:
    partitions, one = [Partition(0), Partition(1)], Home(2, SHARE, RankingRules())
    for partition in partitions:
        for user in range(3):
            partition.set(0, user, 1 + user, 100)
        for message in partition.messages(no_thresholds, 100_000):
            one.hear(message)
    one.recompute(0)
    nobody = Cells(*(np.array([number]) for number in (1, 50, -1, -50)))
    nothing = np.empty(0, np.int64)
    forged = CurveDelta(is_everything=False, replaced=nothing, cells=nobody)
    (message,) = messages_of(forged, TOPICS[:1], DeltaSource(0, 0), 0, 1, 100_000)
    one.hear(message)
    assert not len(one.recompute(0))
    assert one.unheard() == [0, 1]
    for partition in partitions:
        partition.repeat()
        for message in partition.messages(no_thresholds, 100_000):
            one.hear(message)
    assert one.is_complete
    one.recompute(0)
    assert found(one) == expected(partitions)


def test_of_a_delta_in_several_messages_there_is_all_or_nothing() -> None:
    one, partition = Home(1, SHARE, RankingRules()), Partition(0)
    for user in range(6):
        partition.set(0, user, 1 + user, 100 + user)
    for message in partition.messages(no_thresholds, 100_000):
        one.hear(message)
    one.recompute(0)
    before = found(one)
    for user in range(6):
        partition.set(0, user, 100 + user, 5000 + user)
    first, *others = partition.messages(no_thresholds, 1)
    assert others
    one.hear(first)
    one.recompute(0)
    assert one.is_complete
    assert found(one) == before
    for message in others:
        one.hear(message)
    one.recompute(0)
    assert found(one) == expected([partition])


def test_what_nobody_asks_a_home_for_is_kept_together() -> None:
    one, partition = Home(2, SHARE, RankingRules()), Partition(0)
    for number in range(300):
        partition.set(0, number % 12, number, 100 + number)
        for message in partition.messages(no_thresholds, 100_000):
            one.hear(message)
        if number % 50 == 0:
            partition.repeat()
    assert not one.is_complete
    assert max(len(one._added), len(one._changed)) <= home._MOST_APART + 1


def test_curves_stay_with_their_scopes_when_scopes_are_forgotten() -> None:
    partition, one = Partition(0), Home(1, SHARE, RankingRules())

    def hear() -> None:
        for message in partition.messages(no_thresholds, 5000):
            one.hear(message)
        one.recompute(0)

    for topic in range(6):
        partition.set(topic, 1, 1, 100 + topic)
    hear()
    for topic in range(4):
        partition.set(topic, 1, 0, 0)
    hear()
    partition.set(1, 2, 3, 50)
    assert one.forget_unused() is not None
    hear()
    assert [one.cells(topic, 1).values.tolist() for topic in TOPICS] == [[], [50], [], [], [104], [105]]
    assert [one.cells(topic, 0).values.tolist() for topic in TOPICS] == [[], [3], [], [], [1], [1]]
