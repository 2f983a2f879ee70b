"""Streams of events for the property tests, and what the core and the naive model make of them, in the same words."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from stream_app.core.arrays import Mask
from stream_app.core.events.credit import Credits, ViewRates, credit
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state.applied import Applied
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.window import Window
from tests.naive import Key, NaiveLedger, Totals

PANE_MS, PANES, SHORT_PANES = 10, 4, 2
POSTS, SHARES = "posts", "shares"

Counters = dict[str, dict[str, int]]
"""By source topic."""


class Batch(NamedTuple):
    """Events of one source, in the order read, and the offset that follows them."""

    topic: str
    events: list[Event]
    position: int


class State(NamedTuple):
    """What must not depend on batches, seals and crashes."""

    totals: Totals
    recent: dict[Key, tuple[int, ...]]
    """In the short window: posts, impressions, and of both the sum of the squares of each slot."""
    counters: Counters
    horizon: int


@st.composite
def events(draw: st.DrawFn, most: int = 40) -> list[Event]:
    """Posts and shares with re-deliveries (same id, same time), out of order, over several windows.

    Posts and shares have the same ids, and so have the events of several users.
    """
    ids = st.integers(0, most // 2)
    times = draw(st.lists(st.integers(-20, 100), min_size=most // 2 + 1, max_size=most // 2 + 1))
    delivered = draw(st.lists(st.tuples(ids, st.booleans(), st.sampled_from("abc")), max_size=most))
    audience = draw(st.lists(st.sampled_from([None, -1, 0, 1, 7, 10**7]), min_size=1, max_size=5))
    topics = draw(st.lists(st.sampled_from([(), ("x",), (" X", "y"), ("y", "")]), min_size=1, max_size=4))
    return [
        (Share if is_share else Post)(
            event_id=number if place % 2 else str(number),
            ts=times[number],
            user_id=user,
            topics=topics[place % len(topics)],
            audience=audience[place % len(audience)],
            population="staff" if user == "c" else "all",
        )
        for place, (number, is_share, user) in enumerate(delivered)
    ]


def batches_of(stream: Sequence[Event], ends: Sequence[int]) -> list[Batch]:
    """The stream cut at `ends` (any numbers), each piece a batch of posts and then one of shares."""
    cuts = sorted({0, len(stream), *(end % (len(stream) + 1) for end in ends)})
    positions = {POSTS: 0, SHARES: 0}
    batches = []
    for start, end in pairwise(cuts):
        for topic, kind in ((POSTS, Post), (SHARES, Share)):
            chosen = [event for event in stream[start:end] if isinstance(event, kind)]
            positions[topic] += len(chosen)
            batches.append(Batch(topic, chosen, positions[topic]))
    return [batch for batch in batches if batch.events]


def credits_of(batch: Batch) -> Credits:
    """The columns of a batch, at a view rate of one."""
    return credit(batch.events, Post if batch.topic == POSTS else Share, ViewRates())


def new_ledger() -> Ledger:
    """An empty ledger with the window of these tests."""
    return Ledger(PANE_MS, PANES, SHORT_PANES)


def new_naive() -> NaiveLedger:
    """The naive model of the same."""
    return NaiveLedger(PANE_MS, PANES)


def newest_of(ledger: Ledger) -> int:
    """The newest event time that a ledger has read."""
    return max(source.watermark for source in ledger.sources.values())


class Outcome(NamedTuple):
    """What became of a batch, and which of its events were late."""

    late: Mask
    applied: Applied


def apply(ledger: Ledger, batch: Batch) -> Outcome:
    """Count a batch; the window moves on."""
    credits_ = credits_of(batch)
    late = ledger.late(batch.topic, credits_.ts_ms)
    applied = ledger.apply(batch.topic, batch.position, credits_, late, 0)
    ledger.advance(newest_of(ledger))
    return Outcome(late, applied)


def outcomes(outcome: Outcome) -> list[str]:
    """What became of each event."""
    names = np.array(["applied", "duplicate", "late"])
    return [str(name) for name in names[outcome.applied.duplicate + 2 * outcome.late]]


def totals_of(ledger: Ledger) -> Totals:
    """All that the rows of a ledger hold."""
    posts, impressions = ledger.rows.totals.tolist()
    named = _by_name(ledger, posts, impressions, ledger.rows.squares.tolist())
    return {key: (made[0], made[1], made[2]) for key, made in named.items()}


def state_of(ledger: Ledger) -> State:
    """The state of a ledger."""
    names = ("applied", "duplicate", "late", "unknown", "retracted")
    counters = {
        topic: {name: count for name in names if (count := getattr(source, name))}
        for topic, source in ledger.sources.items()
        if source.read
    }
    moments = ledger.moments(np.arange(len(ledger.rows)))
    recent = _by_name(ledger, *moments.sums.tolist(), *moments.squares.tolist())
    return State(totals_of(ledger), recent, counters, ledger.horizon)


def naive_state(naive: NaiveLedger) -> State:
    """The state of the naive model."""
    counters = {topic: dict(+source.counters) for topic, source in naive.sources.items() if source.counters}
    per_pane = Window(PANE_MS, PANES, SHORT_PANES).slots_per_pane
    return State(naive.totals(), naive.recent(per_pane * SHORT_PANES, per_pane), counters, naive.horizon)


def expected_of(batches: Sequence[Batch]) -> State:
    """What the naive model makes of the batches."""
    naive = new_naive()
    for batch in batches:
        naive.apply(batch.topic, batch.events)
        naive.advance(max(source.watermark for source in naive.sources.values()))
    return naive_state(naive)


def _by_name(ledger: Ledger, *columns: list[float]) -> dict[Key, tuple[int, ...]]:
    scopes, users = ledger.scopes.names(), ledger.users.names
    rows = zip(ledger.rows.scopes.tolist(), ledger.rows.users.tolist(), *columns, strict=True)
    return {(*scopes[scope], users[user]): tuple(map(int, made)) for scope, user, *made in rows if made[0] or made[1]}
