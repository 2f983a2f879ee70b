"""What funnel and signals cost a ledger store: CPU, changelog and memory of an event with and without, and a restart.

`python -m tests.benchmarks.funnel_store`; one partition that reads its own credits, like the cost of several together.
Two of five events are shares, and each names an author.
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
from stream_app.core.funnel.stored.stored_funnel import StoredFunnel, StoredFunnelSettings
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scope_limits import ScopeLimits
from tests.benchmarks.retracting import EVENTS, PANE_MS, PANES, SHORT_PANES, Table, batches, count_batch

DAY_MS = 86_400_000
FUNNEL = StoredFunnelSettings(FunnelSettings(PANE_MS, 7 * DAY_MS, DAY_MS), DAY_MS, 1, ScopeLimits())
REPEATS, BATCHES, SHARE_FRACTION = 3, (1000, 50), 0.4


class Way(NamedTuple):
    """What is done with an event besides counting it."""

    funnel: StoredFunnelSettings | None
    with_signals: bool


WAYS = {
    "neither": Way(None, with_signals=False),
    "funnel": Way(FUNNEL, with_signals=False),
    "signals": Way(None, with_signals=True),
    "both": Way(FUNNEL, with_signals=True),
}


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


def counted(made: Sequence[tuple[type[Event], list[bytes]]], way: Way) -> Counted:
    """Decode, count, decide, receive and seal batches of events."""
    table = Table()
    store, sent, started = opened(table, way.funnel), 0, time.process_time()
    for kind, values in made:
        count_batch(store, kind, values, with_signals=way.with_signals)
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


def restart_s(table: Table, funnel: StoredFunnelSettings | None) -> float:
    """CPU until a new owner has all that a changelog says."""
    started = time.process_time()
    opened(table, funnel)
    return time.process_time() - started


def memory_of(funnel: StoredFunnel, credits_: int) -> str:
    """Say what the funnel holds."""
    first, held = funnel.funnel, len(funnel.funnel.entries)
    entries, shares = first.entries.nbytes / held, first.shares.nbytes / len(first.shares)
    return (
        f"{held} people and scopes: entries {entries:.0f} bytes of memory each; {len(first.shares)} shares "
        f"{shares:.0f} each; {len(first.people)} names; all of the first stage {first.nbytes / held:.0f} for a person "
        f"and scope, of the second {funnel.credited.nbytes / credits_:.0f} for a credit; in the log "
        f"{funnel.stored_bytes / held:.0f}\n"
    )


def main() -> None:
    """Measure and print."""
    for size in BATCHES:
        made = list(batches(size, SHARE_FRACTION))
        ways = {name: partial(counted, made, way) for name, way in WAYS.items()}
        best: dict[str, Counted] = {}
        for _ in range(REPEATS):
            for name, count in ways.items():
                done = count()
                best[name] = min(best.get(name, done), done, key=lambda one: one.seconds)
        for name, done in best.items():
            stored, ratio = sum(map(len, done.table.values())), done.seconds / best["neither"].seconds
            sys.stdout.write(
                f"batches of {size}, {name}: {done.seconds / EVENTS * 1e6:.2f} µs ({ratio:.2f} times), "
                f"{stored / EVENTS:.1f} bytes of changelog an event, restart "
                f"{restart_s(done.table, WAYS[name].funnel):.2f} s, {done.credits / EVENTS:.2f} credits an event\n"
            )
        funnel = best["both"].store.funnel
        assert funnel is not None
        sys.stdout.write(memory_of(funnel, best["both"].credits))


if __name__ == "__main__":
    main()
