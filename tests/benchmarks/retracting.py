"""What it costs that events can be taken back: bytes and CPU of an event in the core, and CPU of a retraction.

`python -m tests.benchmarks.retracting`; for docs/adr/retractions.md. The cost without is that of the release before.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Event, Post, Retract, Share
from stream_app.core.retractions.retraction_batch import retractions_of
from stream_app.core.retractions.taking_back import look_up
from stream_app.core.signals.stored.event_batches import batch_of
from stream_app.core.state.ledger import Ledger
from tests.benchmarks.workload import SHARE_FRACTION, bench_events

EVENTS, SPAN_MS = 200_000, 23 * 3_600_000
PANE_MS, PANES, SHORT_PANES = 900_000, 96, 4
BATCHES, REPEATS = (1000, 50), 3
TAKEN = (1, 1, 1000, 10_000)
MOST_BYTES = 65_536


class Table(dict[bytes, bytes]):
    """The changelog, compacted."""

    def write(self, key: bytes, value: bytes | None) -> None:
        """Set or delete a key."""
        if value is None:
            self.pop(key, None)
        else:
            self[key] = value


class Counted(NamedTuple):
    """A partition that has counted the events."""

    store: LedgerStore
    table: Table
    events: list[Event]


def batches(size: int, share_fraction: float = SHARE_FRACTION) -> Iterator[tuple[type[Event], list[bytes]]]:
    """The events of the throughput benchmark, posts and shares apart."""
    waiting: dict[type[Event], list[bytes]] = {Post: [], Share: []}
    for event in bench_events(EVENTS, span_ms=SPAN_MS, share_fraction=share_fraction):
        kind = Share if event.share else Post
        waiting[kind].append(event.value)
        if len(waiting[kind]) == size:
            yield kind, waiting[kind]
            waiting[kind] = []


def count_batch(
    store: LedgerStore, kind: type[Event], values: list[bytes], *, with_signals: bool = False
) -> Sequence[Event]:
    """Decode and count a batch, and move the window; returns its events."""
    decoded = decode(values, kind, MOST_BYTES).events
    credits_ = credit(decoded, kind, ViewRates(), store.ledger.hashing)
    topic = kind.__name__
    position = store.ledger.source(topic).position + len(values)
    own = batch_of(credits_, decoded, store.ledger.event_key, lambda names: names) if with_signals else None
    store.count(topic, position, credits_, store.ledger.late(topic, credits_.ts_ms), 0, own)
    store.ledger.advance(max(source.watermark for source in store.ledger.sources.values()))
    return decoded


def counted(made: Sequence[tuple[type[Event], list[bytes]]]) -> Counted:
    """Decode, count and seal batches of events."""
    table, events = Table(), list[Event]()
    store = LedgerStore(0, Ledger(PANE_MS, PANES, SHORT_PANES, event_key=5), {}, table.write)
    store.begin(1)
    for kind, values in made:
        events += count_batch(store, kind, values)
        store.maintain()
    store.sweep(store.sweepable())
    return Counted(store, table, events)


def take_back(store: LedgerStore, events: Sequence[Event]) -> None:
    """Take some events back in one batch."""
    now_ms = store.ledger.horizon
    retractions = [
        Retract(event_id=event.event_id, ts=now_ms, user_id=event.user_id, of=event.kind or "post") for event in events
    ]
    looked_up = look_up(store.ledger, retractions_of(retractions, store.ledger.event_key))
    store.take_back("retractions", store.ledger.source("retractions").position + len(events), looked_up)


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _add_counted(found: list[Counted], made: Sequence[tuple[type[Event], list[bytes]]]) -> None:
    found.append(counted(made))


def main() -> None:
    """Measure and print."""
    for size in BATCHES:
        made, found = list(batches(size)), list[Counted]()
        us = min(_seconds(partial(_add_counted, found, made)) for _ in range(REPEATS)) / EVENTS * 1e6
        done = found[-1]
        stored = sum(map(len, done.table.values())) / EVENTS
        held = done.store.ledger.nbytes / EVENTS
        sys.stdout.write(
            f"batches of {size}: {us:.2f} µs, {stored:.1f} bytes of changelog, {held:.1f} of ledger an event\n"
        )
    chosen = np.random.default_rng(1).permutation(len(done.events))
    for count in TAKEN:
        some, chosen = [done.events[place] for place in chosen[:count].tolist()], chosen[count:]
        spent_ms = _seconds(partial(take_back, done.store, some)) * 1e3
        sys.stdout.write(f"{count} retractions in a batch: {spent_ms:.1f} ms, {spent_ms / count * 1e3:.0f} µs each\n")


if __name__ == "__main__":
    main()
