"""What the funnel takes: bytes for a person and scope and for a credit, and CPU time for an event.

`python -m tests.benchmarks.funnel [EVENTS]`; for the theory of operation in stream_app/core/funnel.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

import numpy as np

from stream_app.core.funnel.credited_people import CreditedPeople
from stream_app.core.funnel.funnel import Funnel, FunnelSettings
from stream_app.core.funnel.funnel_events import FunnelEvents
from stream_app.core.state.scopes import ScopeName

T = TypeVar("T")
EVENTS, BATCH = 1_000_000, 5_000
PANE_MS, DAY_MS = 900_000, 86_400_000
PANES = 10
TOPICS, POSTS, AUTHORS = 20, 50_000, 20_000
SCOPES = [ScopeName("all", "*"), *(ScopeName("all", f"t{number}") for number in range(TOPICS))]


def batches(events: int) -> Iterator[FunnelEvents]:
    """Shares and posts of half as many people as events, over a day: each in `*` and one topic, two thirds shares."""
    rng = random.Random(1)
    for start in range(0, events, BATCH):
        size = min(BATCH, events - start)
        ts_ms = start * PANES * PANE_MS // events + np.arange(size) * PANES * PANE_MS // events
        shares = [rng.random() < 2 / 3 for _ in range(size)]
        posts = [int(POSTS * rng.random() ** 2) for _ in range(size)]
        topics = np.array([1 + post % TOPICS for post in posts])
        yield FunnelEvents(
            users=[f"u{int(events * rng.random() ** 2)}" for _ in range(size)],
            event_ids=[str(10**17 + start + place) for place in range(size)],
            ts_ms=ts_ms,
            are_shares=np.array(shares),
            authors=[f"a{post % AUTHORS}" if share else None for share, post in zip(shares, posts, strict=True)],
            vias=[f"u{rng.randrange(1000)}" if share and rng.random() < 1 / 2 else None for share in shares],
            posts=[f"p{post}" if share else None for share, post in zip(shares, posts, strict=True)],
            impressions=np.array([rng.randrange(5000) for _ in range(size)]),
            events=np.concatenate([np.arange(size), np.arange(size)]),
            scopes=np.concatenate([np.zeros(size, np.int64), topics]),
            scope_names=SCOPES,
            hashes=np.arange(start, start + size).astype(np.uint64),
        )


class Clock:
    """Adds up CPU time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.longest: dict[str, float] = {}

    def run(self, what: str, function: Callable[[], T]) -> T:
        """Run something, and add what it took."""
        started = time.process_time()
        result = function()
        took_s = time.process_time() - started
        self.seconds[what] = self.seconds.get(what, 0.0) + took_s
        self.longest[what] = max(self.longest.get(what, 0.0), took_s)
        return result


def measure(events: int) -> Iterator[str]:
    """Yield lines of a report."""
    funnel, clock = Funnel(FunnelSettings(PANE_MS, 7 * DAY_MS, DAY_MS), 1), Clock()
    credited = CreditedPeople(PANE_MS, funnel.keys)
    credits_, pending_bytes = 0, 0.0
    for batch in (*batches(events), None):
        if batch is not None:
            clock.run("add", partial(funnel.add, batch))
            pending_bytes = pending_bytes or funnel.pending_bytes / len(batch.users)
        decisions = funnel.decide(PANES * PANE_MS if batch is None else int(batch.ts_ms[-1]))
        while (decided := clock.run("decide", partial(next, decisions, None))) is not None:
            credits_ += len(decided.credits.ts_ms)
            clock.run("credits", partial(credited.add, decided.credits))
    clock.run("forget nothing", partial(funnel.forget, 0))
    for what, count in (("add", events), ("decide", events), ("credits", credits_)):
        per = "credit" if what == "credits" else "event in two scopes"
        yield f"{clock.seconds[what] / count * 1e6:6.2f} µs  {what}, for each {per}"
    yield f"{clock.longest['decide'] * 1e3:6.1f} ms  the longest part of {events // PANES} events to decide"
    yield f"{clock.seconds['forget nothing'] * 1e3:6.1f} ms  to look for what can be forgotten, once a pane"
    yield f"{funnel.entries.nbytes / len(funnel.entries):6.1f} bytes  each of {len(funnel.entries)} (person, scope)"
    yield f"{funnel.shares.nbytes / len(funnel.shares):6.1f} bytes  each of {len(funnel.shares)} (sharer, post, scope)"
    yield f"{pending_bytes:6.1f} bytes  each pending event in two scopes"
    yield f"{credited.nbytes / credits_:6.1f} bytes  each of {credits_} credits, with rows and pairs"


if __name__ == "__main__":
    for line in measure(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS):
        sys.stdout.write(line + "\n")
