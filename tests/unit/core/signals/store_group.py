"""A group of ledger stores that send each other credits and steps, and may crash between any two writes."""

import random
from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.schema import Post, Share
from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.funnel.stored.credit_packets import AddressedPacket, joined_packets
from stream_app.core.funnel.stored.stored_funnel import StoredFunnelSettings
from stream_app.core.signals.facts import SignalValues
from stream_app.core.signals.stored.event_batches import batch_of
from stream_app.core.signals.stored.step_log import read_steps
from stream_app.core.signals.stored.step_packets import ReadCredits, SentUntil, decode
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scope_limits import ScopeLimits
from tests.unit.core.logs import Log

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
STEP_MS = 5 * MINUTE_MS
PANE_MS, PANES = 15 * MINUTE_MS, 96
POSTS, SHARES, CREDITS = "posts", "shares", "credits"


class Arriving(NamedTuple):
    """A record of a source."""

    at_ms: int
    """When it comes, in event time."""
    event: Post | Share


class StoreGroup:
    """The partitions. Each has its log, its records of the sources, and its part of the topic of credits."""

    def __init__(self, partitions: int, events: Sequence[Post | Share], seed: int, delay_ms: int = 0) -> None:
        """`delay_ms`: records come up to so long after the partition has gone on from their time."""
        self.chance = random.Random(seed)
        self.partitions = partitions
        homes = partitions_of([str(event.user_id).encode() for event in events], partitions).tolist()
        self.records: list[dict[str, list[Arriving]]] = [{POSTS: [], SHARES: []} for _ in range(partitions)]
        for home, event in zip(homes, events, strict=True):
            arriving = Arriving(_ts_ms(event) + self.chance.randint(0, delay_ms), event)
            insort(
                self.records[home][SHARES if isinstance(event, Share) else POSTS], arriving, key=lambda one: one.at_ms
            )
        self.topic: list[list[bytes]] = [[] for _ in range(partitions)]
        self.logs = [Log() for _ in range(partitions)]
        self.durable = [0] * partitions
        """Writes of each log that Kafka has for certain."""
        self.stores = [self.opened(number, 1) for number in range(partitions)]
        self.crashes = 0
        self.knew_less = 0
        """How often a new owner knew of less that is decided than the one before had said."""
        self.resting = [0] * partitions
        """For how many steps each partition neither reads nor sends credits."""
        self.times = list(map(_ts_ms, events))

    def opened(self, number: int, generation: int) -> LedgerStore:
        """A new owner of a partition."""
        funnel = StoredFunnelSettings(FunnelSettings(PANE_MS, 7 * 24 * HOUR_MS), 1, self.partitions, ScopeLimits())
        ledger, log = Ledger(PANE_MS, PANES, 3, event_key=100 + number), self.logs[number]
        store = LedgerStore(number, ledger, log.table(), log.put, lambda: 4000, funnel)
        store.begin(generation)
        return store

    def run(self, crash: float = 0.0) -> None:
        """Run all records, step by step of event time; in each a partition may `crash`, with that probability."""
        steps = range(min(self.times) // STEP_MS * STEP_MS, max(self.times) + 3 * HOUR_MS, STEP_MS)
        for end_ms in steps:
            for number in range(self.partitions):
                self.count(number, end_ms)
            for number in range(self.partitions):
                if self._rests(number):
                    continue
                self.receive(number, self.chance.randrange(12))
                if self.chance.random() < crash:
                    self.crash(number)
                    for again_ms in range(steps.start, end_ms + 1, STEP_MS):  # as the topics were read before
                        self.count(number, again_ms)
                self.send(number)
                if self.chance.random() < 0.3:
                    self.stores[number].maintain()
                    self.durable[number] = len(self.logs[number].writes)
                    self.logs[number].sweep(self.stores[number])
        for _ in range(3):  # packets lead to trials, which lead to nothing more
            for number in range(self.partitions):
                self.stores[number].maintain()
                self.receive(number, len(self.topic[number]))
                self.send(number)

    def _rests(self, number: int) -> bool:
        if not self.resting[number] and self.chance.random() < 0.1:
            self.resting[number] = self.chance.randrange(30)
        self.resting[number] = max(self.resting[number] - 1, 0)
        return self.resting[number] > 0

    def count(self, number: int, end_ms: int) -> None:
        """Count the records of a partition before a time, and let the window go there."""
        store = self.stores[number]
        for topic, kind in ((POSTS, Post), (SHARES, Share)):
            while some := self._next(number, topic, end_ms, self.chance.randrange(1, 20)):
                credits_ = credit(some, kind, ViewRates(), store.ledger.hashing)
                own = batch_of(credits_, some, store.ledger.event_key, list)
                position = store.ledger.source(topic).position + len(some)
                store.count(topic, position, credits_, store.ledger.late(topic, credits_.ts_ms), 0, own)
        store.ledger.advance(end_ms - 1)

    def _next(self, number: int, topic: str, end_ms: int, most: int) -> list[Post | Share]:
        start = self.stores[number].ledger.source(topic).position
        return [one.event for one in self.records[number][topic][start : start + most] if one.at_ms < end_ms]

    def receive(self, number: int, most: int) -> None:
        """Read some of what was sent to a partition."""
        store = self.stores[number]
        start = store.ledger.source(CREDITS).position
        packets = [decode(value, self.partitions) for value in self.topic[number][start : start + most]]
        if packets:
            credits_ = joined_packets([one.credits for one in packets if isinstance(one, ReadCredits)])
            late = np.zeros(len(credits_.ts_ms), np.bool_)
            store.receive(CREDITS, start + len(packets), credits_, late, 0, read_steps(packets))

    def send(self, number: int) -> None:
        """Decide, and send what follows once the log has all of it."""
        store = self.stores[number]
        store.decide(store.ledger.horizon)
        funnel = store.funnel
        assert funnel is not None
        newest, steps = funnel.progress.newest, store.signals.steps.due(funnel.funnel.decided_ms)
        self.durable[number] = len(self.logs[number].writes)
        self._put([*funnel.unsent(), *steps.packets])
        if self.chance.random() < 0.8:  # else it ends before it notes that
            funnel.note_sent(newest)
            store.signals.steps.note_sent(steps)

    def _put(self, packets: Sequence[AddressedPacket]) -> None:
        for packet in packets:
            self.topic[packet.partition].append(packet.value)

    def crash(self, number: int) -> None:
        """Lose a part of what is not durable, and have a new owner."""
        log = self.logs[number]
        del log.writes[self.chance.randint(self.durable[number], len(log.writes)) :]
        self.crashes += 1
        self.stores[number] = self.opened(number, self.crashes + 1)
        funnel, packets = self.stores[number].funnel, (decode(value, self.partitions) for value in self.topic[number])
        assert funnel is not None
        said = [one.sent_ms for one in packets if isinstance(one, SentUntil) and one.source == number]
        self.knew_less += funnel.funnel.decided_ms < max(said, default=funnel.funnel.decided_ms)

    def measured(self, user: str) -> list[SignalValues]:
        """What the signals know of somebody, by name."""
        (home,) = partitions_of([user.encode()], self.partitions).tolist()
        store = self.stores[home]
        return sorted(store.signals.measured([user], store.ledger.event_key), key=lambda one: one.name)


def _ts_ms(event: Post | Share) -> int:
    assert isinstance(event.ts, int)
    return event.ts
