"""Stored funnels that crash between any two writes: nothing is lost, and nothing counts twice."""

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from stream_app.core.changelog import ledger_store as ledger_store_module
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.schema import Post, Share
from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.funnel.stored import credit_packets, stored_funnel
from stream_app.core.funnel.stored.stored_funnel import StoredFunnelSettings
from stream_app.core.messages import DEFAULT_POPULATION
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scope_limits import ScopeLimits
from stream_app.core.state.scopes import ScopeName
from tests.unit.core.funnel.naive_funnel import Action, distinct, naive_funnel
from tests.unit.core.funnel.test_funnel import NAMES
from tests.unit.core.logs import P, Write

PANE_MS, PANES, GAP_MS = 10, 30, 20
FUNNEL = StoredFunnelSettings(FunnelSettings(PANE_MS, GAP_MS, 10**6), 15, 1, ScopeLimits())
ACTIONS, CREDITS = "actions", "credits"


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Many early and whole decisions in small streams too, and parts of few bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_funnel, "_SMALL", 100)
        patch.setattr(ledger_store_module, "MOST_DELTAS", 6)
        yield


class World:
    """The log of one partition, and the topic on which its credits come back to it."""

    def __init__(self, writes: Sequence[Write] = (), topic: Sequence[tuple[int, bytes]] = ()) -> None:
        self.writes = list(writes)
        self.topic = list(topic)
        """Packets, each with the length of the log when it was sent."""
        self.confirmed_at = 0

    def crashed(self, length: int) -> "World":
        """The world if the log had got no further."""
        sent = [(sent_at, packet) for sent_at, packet in self.topic if sent_at <= length]
        return World(self.writes[:length], sent)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write."""
        self.writes.append(Write(key, value, 0))

    def open(self, generation: int) -> LedgerStore:
        """A new owner, which sends what may be unsent."""
        left: dict[bytes, bytes | None] = {key: value for key, value, _ in self.writes}
        table = {key: value for key, value in left.items() if value is not None}
        store = LedgerStore(P, Ledger(PANE_MS, PANES, 2, event_key=7), table, self.put, lambda: 2000, FUNNEL)
        store.begin(generation)
        self.send(store)
        return store

    def send(self, store: LedgerStore) -> None:
        """Send the packets; the log has all of it."""
        assert store.funnel is not None
        self.topic += [(len(self.writes), packet.value) for packet in store.funnel.unsent()]
        store.funnel.note_sent(store.funnel.progress.newest)

    def live(self, store: LedgerStore, batches: Sequence[Sequence[Action]], chance: random.Random) -> None:
        """Count what was not counted, with chores in between."""
        for number, batch in enumerate(batches):
            if number >= store.ledger.source(ACTIONS).position:
                self.count(store, batch, number + 1)
            if chance.random() < 0.7:
                store.decide(store.ledger.horizon)
            if chance.random() < 0.7:
                self.send(store)
            if chance.random() < 0.7:
                self.receive(store, chance.randrange(3))
            if chance.random() < 0.5:
                store.maintain()
            if chance.random() < 0.3:
                self.send(store)
                store.sweep(store.sweepable())

    def count(self, store: LedgerStore, batch: Sequence[Action], position: int) -> None:
        """Count events, all of one kind."""
        credits_ = credits_of(batch)
        store.count(ACTIONS, position, credits_, store.ledger.late(ACTIONS, credits_.ts_ms), 0)

    def receive(self, store: LedgerStore, most: int) -> None:
        """Read the topic of credits."""
        start = store.ledger.source(CREDITS).position
        for place, (_, packet) in enumerate(self.topic[start : start + most], start + 1):
            credits_ = credit_packets.decode(packet)
            store.receive(CREDITS, place, credits_, np.zeros(len(credits_.ts_ms), np.bool_), 0)

    def finish(self, store: LedgerStore) -> None:
        """Decide and read everything."""
        store.decide(2**60)
        self.send(store)
        self.receive(store, len(self.topic))


def credits_of(batch: Sequence[Action]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """Events as a ledger takes them."""
    if batch[0].is_share:
        shares = [
            Share(
                event_id=event.event_id,
                ts=event.ts_ms,
                user_id=event.user,
                author_id=event.author,
                via_id=event.via,
                post_id=event.post,
                topics=event.topics,
                impressions=event.impressions or None,
            )
            for event in batch
        ]
        return credit(shares, Share, ViewRates())
    posts = [Post(event_id=event.event_id, ts=event.ts_ms, user_id=event.user, topics=event.topics) for event in batch]
    return credit(posts, Post, ViewRates())


def batches_of(events: Sequence[Action]) -> list[list[Action]]:
    """Neighbours of one kind, at most three."""
    batches: list[list[Action]] = []
    for event in events:
        if batches and batches[-1][0].is_share == event.is_share and len(batches[-1]) < 3:
            batches[-1].append(event)
        else:
            batches.append([event])
    return batches


def _check(store: LedgerStore, events: Sequence[Action]) -> None:
    """The stages, and what people have been credited with, are those of all events."""
    naive = naive_funnel(events, GAP_MS)
    assert store.funnel is not None
    for topic, wanted in naive.items():
        scope = ScopeName(DEFAULT_POPULATION, topic)
        found = store.funnel.funnel.sums(scope).plus(store.funnel.credited.sums(scope))
        assert tuple(found) == wanted.stages()
        for name in NAMES:
            held = store.funnel.credited.of(scope, [name])
            assert tuple(int(column[0]) for column in held) == wanted.credited(name)
    assert _recruits(store) == {
        (topic, name): (count, wanted.credited(name)[1])
        for topic, wanted in naive.items()
        for name in NAMES
        if any((count := wanted.recruits()[name], wanted.credited(name)[1]))
    }


def _recruits(store: LedgerStore) -> dict[tuple[str, str], tuple[int, int]]:
    """Recruits and amplified in the rows of the ledger."""
    rows, scopes, users = store.ledger.rows, store.ledger.scopes.names(), store.ledger.users.names
    return {
        (scopes[scope].topic, users[user]): (recruits, amplified)
        for scope, user, recruits, amplified in zip(
            *(rows.scopes.tolist(), rows.users.tolist(), rows.values(2).tolist(), rows.amplified.tolist()), strict=True
        )
        if recruits or amplified
    }


def stream_of(chance: random.Random) -> list[Action]:
    """Posts and shares of few people, out of order, with ties and repeats."""
    drawn = [
        (str(number), chance.randrange(150), chance.choice(NAMES), chance.random() < 0.7, number)
        for number in (chance.randrange(30) for _ in range(20))
    ]
    events = [
        Action(
            *(event_id, ts_ms, user, True, chance.choice([None, *NAMES]), chance.choice([None, None, *NAMES])),
            *(chance.choice([None, "p", "q"]), number, chance.choice([(), ("x",), ("x", "y")])),
        )
        if is_share
        else Action(event_id, ts_ms, user, topics=chance.choice([(), ("x",)]))
        for event_id, ts_ms, user, is_share, number in drawn
    ]
    once = distinct(events)
    return [*once, *chance.sample(once, len(once) // 4)]


@pytest.mark.parametrize("seed", range(40))
def test_a_crash_between_any_two_writes_loses_and_doubles_nothing(seed: int) -> None:
    chance = random.Random(seed)
    events = stream_of(chance)
    batches, world = batches_of(events), World()
    for generation in range(chance.randrange(4)):
        before = len(world.writes)
        world.live(world.open(generation), batches, chance)
        world = world.crashed(chance.randint(before, len(world.writes)))
    store = world.open(90)
    world.live(store, batches, chance)
    world.finish(store)
    _check(store, distinct(events))
    again = world.open(91)
    world.finish(again)
    _check(again, distinct(events))


@pytest.mark.parametrize("seed", range(15))
def test_a_decision_that_the_log_did_not_take_is_made_again(seed: int) -> None:
    """Nothing is sent or deleted after a lost write."""
    chance = random.Random(seed)
    events = stream_of(chance)
    batches, world = batches_of(events), World()
    store = world.open(1)
    for number, batch in enumerate(batches):
        world.count(store, batch, number + 1)
        if chance.random() < 0.7:
            store.decide(store.ledger.horizon)
    decisions = [place for place, write in enumerate(world.writes) if SegmentKey.decode(write.key).kind == "funnel"]
    del world.writes[chance.choice(decisions)]
    store = world.open(2)
    world.live(store, batches, chance)
    world.finish(store)
    _check(store, distinct(events))


def test_decided_deltas_and_old_decisions_are_garbage() -> None:
    world = World()
    store = world.open(1)
    for number in range(200):
        is_share = number % 3 > 0
        event = Action(str(number), number * 3, "abcde"[number % 5], is_share, "abcde"[number % 4], None, "p", 1)
        world.count(store, [event], number + 1)
        store.decide(store.ledger.horizon)
        world.send(store)
        world.receive(store, 5)
        assert store.funnel is not None
        store.funnel.forget(store.ledger.window, store.ledger.horizon)
        store.maintain()
        store.sweep(store.sweepable())
        left = {write.key: write.value for write in world.writes}
        assert sum(value is not None for value in left.values()) < 90
        assert store.funnel.stored_bytes < 12_000
    assert store.funnel is not None
    assert store.funnel.progress.oldest > 10


def test_the_erased_are_in_no_delta_or_decision_that_is_left() -> None:
    world = World()
    store = world.open(1)
    shares = [Action("1", 5, "bob", True, "ann", None, "p", 3), Action("2", 16, "cid", True, "ann", None, "p", 4)]
    for number, event in enumerate([*shares, Action("3", 17, "ann")]):
        world.count(store, [event], number + 1)
        store.decide(10)
        world.send(store)
        world.receive(store, 5)
    store.erase({"ann"})
    assert store.funnel is not None
    assert store.funnel.unsent() == []
    store.write_state()
    store.sweep(store.sweepable())
    left = {key: value for key, value, _ in world.writes}
    assert not [key for key, value in left.items() if value is not None and b"ann" in value]
    again = world.open(2)
    world.finish(again)
    assert again.funnel is not None
    assert "ann" not in again.funnel.names
