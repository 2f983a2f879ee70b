"""Retractions reach the stored funnel: whatever crashes, moves or is forgotten, as if the event had never been."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog import ledger_store as ledger_store_module
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.schema import Retract
from stream_app.core.funnel import funnel as funnel_module
from stream_app.core.funnel.episodes import episode_table
from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.funnel.stored import credit_packets, event_history, stored_funnel
from stream_app.core.funnel.stored.stored_funnel import StoredFunnelSettings
from stream_app.core.messages import DEFAULT_POPULATION
from stream_app.core.retractions.retraction_batch import retractions_of
from stream_app.core.retractions.taking_back import look_up
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scope_limits import ScopeLimits
from stream_app.core.state.scopes import ScopeName
from tests.unit.core.funnel.naive_funnel import Action, NaiveScope, naive_funnel
from tests.unit.core.funnel.test_funnel import NAMES
from tests.unit.core.funnel.test_funnel_log import ACTIONS, CREDITS, credits_of
from tests.unit.core.logs import P, Write

PANE_MS, PANES = 10, 10
WINDOW_MS = PANE_MS * PANES
RETRACTIONS = "retractions"


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """Many early and whole decisions and chunks in small streams too, and nothing that is over is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_funnel, "_SMALL", 100)
        patch.setattr(event_history, "_MUCH", 1000)
        patch.setattr(ledger_store_module, "MOST_DELTAS", 6)
        patch.setattr(episode_table, "_GONE_KEPT", 0)
        patch.setattr(funnel_module, "_UNUSED_KEPT", 0)
        yield


class Taken(NamedTuple):
    """An event that is taken back at a time."""

    event: Action
    at_ms: int


class Counted(NamedTuple):
    """An event, and the length of the log once it was counted, or taken back."""

    event: Action
    length: int


class World:
    """The log of one partition, the topic on which its credits come back to it, and what the ledger said."""

    def __init__(self, gap_ms: int) -> None:
        self.settings = StoredFunnelSettings(FunnelSettings(PANE_MS, gap_ms, WINDOW_MS, 10**6), 15, 1, ScopeLimits())
        self.writes: list[Write] = []
        self.topic: list[tuple[int, bytes]] = []
        self.counted: list[Counted] = []
        self.gone: list[Counted] = []

    def crash(self, length: int) -> None:
        """Lose what the log did not get."""
        self.topic = [(sent_at, packet) for sent_at, packet in self.topic if sent_at <= length]
        self.counted = [one for one in self.counted if one.length <= length]
        self.gone = [one for one in self.gone if one.length <= length]
        del self.writes[length:]

    def open(self, generation: int) -> LedgerStore:
        """A new owner, which sends what may be unsent."""
        left: dict[bytes, bytes | None] = {key: value for key, value, _ in self.writes}
        table = {key: value for key, value in left.items() if value is not None}
        ledger = Ledger(PANE_MS, PANES, 2, event_key=7)
        store = LedgerStore(P, ledger, table, self.put, lambda: 2000, self.settings)
        store.begin(generation)
        self.send(store)
        return store

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write."""
        self.writes.append(Write(key, value, 0))

    def send(self, store: LedgerStore) -> None:
        """Send the packets; the log has all of it."""
        assert store.funnel is not None
        self.topic += [(len(self.writes), packet.value) for packet in store.funnel.unsent()]
        store.funnel.note_sent(store.funnel.progress.newest)

    def live(self, store: LedgerStore, steps: Sequence[Action | Taken], chance: random.Random) -> None:
        """Count what was not counted, with chores in between."""
        numbers = Counter[str]()
        for step in steps:
            source = ACTIONS if isinstance(step, Action) else RETRACTIONS
            numbers[source] += 1
            if numbers[source] <= store.ledger.source(source).position:
                continue
            if isinstance(step, Action):
                self.count(store, step, numbers[source])
            else:
                self.take_back(store, step, numbers[source])
            if chance.random() < 0.5:
                self.decide(store)
            if chance.random() < 0.7:
                self.receive(store, chance.randrange(4))
            if chance.random() < 0.5:
                store.maintain()
            if chance.random() < 0.3:
                self.send(store)
                store.sweep(store.sweepable())

    def decide(self, store: LedgerStore) -> None:
        """What a round does."""
        assert store.funnel is not None
        store.decide(store.ledger.horizon)
        store.funnel.forget(store.ledger.window, store.ledger.horizon)
        self.send(store)

    def count(self, store: LedgerStore, event: Action, position: int) -> None:
        """Count an event."""
        credits_ = credits_of([event])
        applied = store.count(ACTIONS, position, credits_, store.ledger.late(ACTIONS, credits_.ts_ms), 0)
        if applied.counted.any():
            self.counted.append(Counted(event, len(self.writes)))

    def take_back(self, store: LedgerStore, taken: Taken, position: int) -> None:
        """Take an event back."""
        event, at_ms = taken
        retract = Retract(
            event_id=event.event_id, ts=at_ms, user_id=event.user, of="share" if event.is_share else "post"
        )
        batch = retractions_of([retract], 0)
        looked_up = look_up(store.ledger, batch)
        applied = store.take_back(RETRACTIONS, position, looked_up)
        if applied.counts.applied > applied.counts.unknown:
            self.gone.append(Counted(event, len(self.writes)))

    def receive(self, store: LedgerStore, most: int) -> None:
        """Read the topic of credits."""
        start = store.ledger.source(CREDITS).position
        for place, (_, packet) in enumerate(self.topic[start : start + most], start + 1):
            credits_ = credit_packets.decode(packet)
            late = credits_.ts_ms // PANE_MS < store.ledger.window.first_pane(store.ledger.horizon)
            store.receive(CREDITS, place, credits_, late, 0)

    def finish(self, store: LedgerStore) -> None:
        """Decide and read everything."""
        self.decide(store)
        store.decide(2**60)
        self.send(store)
        self.receive(store, len(self.topic))
        store.ledger.expire()

    @property
    def left(self) -> list[Action]:
        """The events that were counted and not taken back."""
        gone = {one.event.identity for one in self.gone}
        return [one.event for one in self.counted if one.event.identity not in gone]

    def check(self, store: LedgerStore) -> None:
        """Stages, recruits and amplified are those of the events that are left, in the window."""
        assert store.funnel is not None
        first = store.ledger.window.first_pane(store.ledger.horizon)
        naive = naive_funnel(self.left, self.settings.funnel.gap_ms, WINDOW_MS)
        credited = Counter[tuple[str, str, str]]()
        for topic in ("*", "x", "y"):
            found = store.funnel.funnel.sums(ScopeName(DEFAULT_POPULATION, topic), range(first, first + 10 * PANES))
            assert tuple(found)[:6] == _stages(naive[topic], [one for one in self.left if topic in one.scopes], first)
            for entry in naive[topic].entries:
                if entry.recruiter and entry.event.ts_ms // PANE_MS >= first:
                    credited[topic, entry.recruiter, "recruits"] += 1
            for share in naive[topic].shares:
                if share.ts_ms // PANE_MS >= first:
                    credited[topic, str(share.author), "amplified"] += share.impressions
        assert +_credited(store) == +credited

    def check_ids(self) -> None:
        """No two credits have the same id."""
        known: dict[int, tuple[object, ...]] = {}
        for _, packet in self.topic:
            credits_ = credit_packets.decode(packet)
            columns = (credits_.credited, *(column.tolist() for column in credits_[3:]))
            for *content, number, post in zip(*columns, strict=True):
                assert known.setdefault(number, (*content, post)) == (*content, post)


def _stages(naive: NaiveScope, events: Sequence[Action], first: int) -> tuple[int, ...]:
    """New, re-entered, recruited, self-started and unknown entries, and participants of the window."""
    entries = [entry for entry in naive.entries if entry.event.ts_ms // PANE_MS >= first]
    new = sum(entry.is_new for entry in entries)
    hows = Counter(entry.how for entry in entries)
    last = {event.user for event in events if event.ts_ms // PANE_MS >= first}
    return new, len(entries) - new, hows["recruited"], hows["self"], hows["unknown"], len(last)


def _credited(store: LedgerStore) -> Counter[tuple[str, str, str]]:
    rows, scopes, users = store.ledger.rows, store.ledger.scopes.names(), store.ledger.users.names
    found = Counter[tuple[str, str, str]]()
    for scope, user, recruits, amplified in zip(
        *(rows.scopes.tolist(), rows.users.tolist(), rows.values(2).tolist(), rows.amplified.tolist()), strict=True
    ):
        found[scopes[scope].topic, users[user], "recruits"] += recruits
        found[scopes[scope].topic, users[user], "amplified"] += amplified
    return found


def steps_of(chance: random.Random, count: int) -> list[Action | Taken]:
    """Events of few people, somewhat out of order, with ties; many are taken back: before they come, after, twice."""
    steps: list[tuple[float, Action | Taken]] = []
    for number in range(count):
        ts_ms = number * 400 // count + chance.randrange(-60, 5)
        names, is_share = [None, *NAMES], chance.random() < 0.7
        topics = chance.choice([(), ("x",), ("x", "y")])
        event = (
            Action(
                *(str(number), ts_ms, chance.choice(NAMES[:3]), True, chance.choice(names)),
                *(chance.choice([None, *names]), chance.choice([None, "p", "q"]), number, topics),
            )
            if is_share
            else Action(str(number), ts_ms, chance.choice(NAMES[:3]), topics=topics)
        )
        steps.append((number, event))
        while chance.random() < 0.35:
            place = number + chance.choice([-0.5, 0.5, 3, 10])
            steps.append((place, Taken(event, ts_ms + chance.randrange(40))))
        if chance.random() < 0.1:
            steps.append((number + 5, event))
    return [step for _, step in sorted(steps, key=lambda step: step[0])]


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([20, 45, 150, 250]), st.integers(5, 40))
def test_what_is_taken_back_has_never_been_wherever_it_crashes(seed: int, gap_ms: int, count: int) -> None:
    chance = random.Random(seed)
    steps, world = steps_of(chance, count), World(gap_ms)
    for generation in range(chance.randrange(4)):
        before = len(world.writes)
        world.live(world.open(generation), steps[: chance.randrange(len(steps) + 1)], chance)
        world.crash(chance.randint(before, len(world.writes)))
    store = world.open(90)
    world.live(store, steps, chance)
    world.finish(store)
    world.check(store)
    again = world.open(91)
    world.finish(again)
    world.check(again)
    world.check_ids()


def _share(event_id: str, ts_ms: int, author: str, user: str = "bob") -> Action:
    return Action(event_id, ts_ms, user, is_share=True, author=author, post="p", impressions=1)


def test_events_are_kept_as_long_as_the_window_and_their_chunks_are_garbage_after_it() -> None:
    world = World(20)
    store = world.open(1)
    sizes = []
    for number in range(300):
        world.count(store, _share(str(number), number * 3, "ann", NAMES[number % 4]), number + 1)
        world.decide(store)
        store.maintain()
        store.sweep(store.sweepable())
        assert store.funnel is not None
        sizes.append(store.funnel.history.stored_bytes)
        left = {write.key: write.value for write in world.writes}
        held = [SegmentKey.decode(key) for key, value in left.items() if value is not None]
        assert sum(key.kind == "pane" and key.pane < 0 for key in held) < 15
    assert max(sizes[150:]) <= 1.5 * max(sizes[:150])


def test_the_erased_are_in_no_chunk_and_what_others_did_can_still_be_taken_back() -> None:
    world = World(20)
    store = world.open(1)
    shares = [_share("1", 5, "ann"), _share("2", 6, "cem"), _share("3", 7, "ann", "dee"), _share("4", 8, "cem", "ann")]
    for number, share in enumerate(shares):
        world.count(store, share, number + 1)
        store.maintain()
    store.erase({"ann"})
    store.sweep(store.sweepable())
    left = {key: value for key, value, _ in world.writes}
    assert not [key for key, value in left.items() if value is not None and b"ann" in value]
    again = world.open(2)
    world.take_back(again, Taken(shares[0], 9), 1)
    world.decide(again)
    assert again.funnel is not None
    assert "ann" not in again.funnel.names
    sent = credit_packets.joined_packets([credit_packets.decode(packet) for _, packet in world.topic])
    assert {*sent.credited} == {"cem"}
    assert sent.recruits.sum() == 2  # ann's, and bob's, who came by his second share
