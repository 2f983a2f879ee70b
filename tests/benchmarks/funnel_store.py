"""What the funnel costs a ledger store: CPU, changelog and memory of an event with and without, and a restart.

`python -m tests.benchmarks.funnel_store`; one partition that reads its own credits, like the cost of several together.
"""

import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.schema import Event
from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.funnel.stored import credit_packets
from stream_app.core.funnel.stored.stored_funnel import StoredFunnelSettings
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scope_limits import ScopeLimits
from tests.benchmarks.retracting import EVENTS, PANE_MS, PANES, SHORT_PANES, Table, batches, count_batch

DAY_MS = 86_400_000
FUNNEL = StoredFunnelSettings(FunnelSettings(PANE_MS, 7 * DAY_MS, DAY_MS), DAY_MS, 1, ScopeLimits())
REPEATS, BATCHES = 2, (1000, 50)


class Counted(NamedTuple):
    """A partition that has counted the events."""

    store: LedgerStore
    table: Table
    seconds: float
    """CPU."""
    credits: int


def opened(table: Table, funnel: StoredFunnelSettings | None) -> LedgerStore:
    """A new owner of the partition."""
    ledger = Ledger(PANE_MS, PANES, SHORT_PANES, event_key=5)
    store = LedgerStore(0, ledger, dict(table), table.write, funnel=funnel)
    store.begin(1)
    return store


def counted(made: Sequence[tuple[type[Event], list[bytes]]], funnel: StoredFunnelSettings | None) -> Counted:
    """Decode, count, decide, receive and seal batches of events."""
    table = Table()
    store, sent, started = opened(table, funnel), 0, time.process_time()
    for kind, values in made:
        count_batch(store, kind, values)
        sent += _decide(store)
        store.maintain()
    store.sweep(store.sweepable())
    return Counted(store, table, time.process_time() - started, sent)


def _decide(store: LedgerStore) -> int:
    """Decide, and count the credits; returns how many there are."""
    if store.funnel is None:
        return 0
    store.decide(store.ledger.horizon)
    packets, count = store.funnel.unsent(), 0
    store.funnel.note_sent(store.funnel.progress.newest)
    store.funnel.forget(store.ledger.window, store.ledger.horizon)
    if packets:
        received = credit_packets.joined_packets([credit_packets.decode(packet.value) for packet in packets])
        count = len(received.ts_ms)
        position = store.ledger.source("credits").position + len(packets)
        store.receive("credits", position, received, received.ts_ms < 0, 0)
    return count


def _restart_s(done: Counted, funnel: StoredFunnelSettings | None) -> float:
    started = time.process_time()
    opened(done.table, funnel)
    return time.process_time() - started


def main() -> None:
    """Measure and print."""
    for size in BATCHES:
        made = list(batches(size))
        ways = {"without": partial(counted, made, None), "with": partial(counted, made, FUNNEL)}
        best: dict[str, Counted] = {}
        for _ in range(REPEATS):
            for name, way in ways.items():
                done = way()
                best[name] = min(best.get(name, done), done, key=lambda one: one.seconds)
        for name, done in best.items():
            stored, restart_s = sum(map(len, done.table.values())), _restart_s(done, FUNNEL if name == "with" else None)
            sys.stdout.write(
                f"batches of {size}, {name}: {done.seconds / EVENTS * 1e6:.2f} µs, {stored / EVENTS:.1f} bytes of "
                f"changelog an event, restart {restart_s:.2f} s, {done.credits} credits\n"
            )
        sys.stdout.write(f"ratio: {best['with'].seconds / best['without'].seconds:.2f}\n")
        funnel = best["with"].store.funnel
        assert funnel is not None
        held = len(funnel.funnel.entries)
        sys.stdout.write(
            f"{held} people and scopes: {funnel.funnel.nbytes / held:.0f} bytes of memory of the first stage each, "
            f"{funnel.credited.nbytes / max(best['with'].credits, 1):.0f} of the second a credit; decisions in the log "
            f"{funnel.stored_bytes / held:.0f}\n"
        )


if __name__ == "__main__":
    main()
