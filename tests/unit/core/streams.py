"""Streams of events for the property tests, and what the core and the naive model make of them, in the same words."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_app.core.arrays import Mask
from stream_app.core.events.credit import Credits, ViewRates, credit
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state.applied import Applied
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.window import Window
from tests.naive import Given, Key, NaiveLedger, Totals

PANE_MS, PANES, SHORT_PANES = 10, 4, 2
POSTS, SHARES, CREDITS = "posts", "shares", "credits"
KINDS: dict[str, type[Event]] = {POSTS: Post, SHARES: Share, CREDITS: Given}

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
    credited: Mapping[Key, tuple[int, int]]
    """Recruits and amplified impressions."""


@st.composite
def events(draw: st.DrawFn, most: int = 40, *, given: bool = False) -> list[Event]:
    """Posts and shares with re-deliveries (same id, same time), out of order, over several windows.

    Posts and shares have the same ids, and so have the events of several users. `given`: credits for what others did
    are among them, and take back as often as they give.
    """
    ids = st.integers(0, most // 2)
    times = draw(st.lists(st.integers(-20, 100), min_size=most // 2 + 1, max_size=most // 2 + 1))
    delivered = draw(st.lists(st.tuples(ids, st.booleans(), st.sampled_from("abc")), max_size=most))
    audience = draw(st.lists(st.sampled_from([None, -1, 0, 1, 7, 10**7]), min_size=1, max_size=5))
    topics = draw(st.lists(st.sampled_from([(), ("x",), (" X", "y"), ("y", "")]), min_size=1, max_size=4))
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=5)) if given else [False]
    amounts = draw(st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.integers(-9, 10**9)), min_size=1, max_size=5))
    return [
        _given(number, times[number], user, amounts[place % len(amounts)])
        if kinds[place % len(kinds)]
        else (Share if is_share else Post)(
            event_id=number if place % 2 else str(number),
            ts=times[number],
            user_id=user,
            topics=topics[place % len(topics)],
            audience=audience[place % len(audience)],
            population="staff" if user == "c" else "all",
        )
        for place, (number, is_share, user) in enumerate(delivered)
    ]


def _given(number: int, ts: int, user: str, amounts: tuple[int, int]) -> Given:
    scopes = [("all", "*"), ("all", "x"), ("staff", "(other)"), ("staff", "x")]
    population, topic = scopes[number % len(scopes)]
    credit_id, (recruits, amplified) = f"{number} of {user}", amounts
    return Given(
        event_id=credit_id,
        ts=ts,
        user_id=user,
        topics=(topic,),
        population=population,
        recruits=recruits,
        amplified=amplified,
    )


def batches_of(stream: Sequence[Event], ends: Sequence[int]) -> list[Batch]:
    """The stream cut at `ends` (any numbers), each piece a batch of posts, one of shares and one of credits."""
    cuts = sorted({0, len(stream), *(end % (len(stream) + 1) for end in ends)})
    positions = dict.fromkeys(KINDS, 0)
    batches = []
    for start, end in pairwise(cuts):
        for topic, kind in KINDS.items():
            chosen = [event for event in stream[start:end] if type(event) is kind]
            positions[topic] += len(chosen)
            batches.append(Batch(topic, chosen, positions[topic]))
    return [batch for batch in batches if batch.events]


def credits_of(batch: Batch) -> Credits:
    """The columns of a batch, at a view rate of one."""
    columns = credit(batch.events, KINDS[batch.topic], ViewRates())
    given = [event for event in batch.events if isinstance(event, Given)]
    if not given:
        return columns
    recruits, amplified = np.array([(one.recruits, one.amplified) for one in given]).T
    return columns._replace(unknown=np.zeros(len(given), np.bool_), recruits=recruits, amplified=amplified)


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
    posts, impressions = ledger.rows.totals
    named = _by_name(ledger, posts, impressions, ledger.rows.squares)
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
    recent = _by_name(ledger, *moments.sums, *moments.squares)
    rows = ledger.rows
    credited = {key: (made[0], made[1]) for key, made in _by_name(ledger, rows.recruits, rows.amplified).items()}
    return State(totals_of(ledger), recent, counters, ledger.horizon, credited)


def naive_state(naive: NaiveLedger) -> State:
    """The state of the naive model."""
    counters = {topic: dict(+source.counters) for topic, source in naive.sources.items() if source.counters}
    per_pane = Window(PANE_MS, PANES, SHORT_PANES).slots_per_pane
    recent = naive.recent(per_pane * SHORT_PANES, per_pane)
    return State(naive.totals(), recent, counters, naive.horizon, naive.credited())


def expected_of(batches: Sequence[Batch]) -> State:
    """What the naive model makes of the batches."""
    naive = new_naive()
    for batch in batches:
        naive.apply(batch.topic, batch.events)
        naive.advance(max(source.watermark for source in naive.sources.values()))
    return naive_state(naive)


def _by_name(ledger: Ledger, *columns: NDArray[Any]) -> dict[Key, tuple[int, ...]]:
    scopes, users = ledger.scopes.names(), ledger.users.names
    columns = (ledger.rows.scopes, ledger.rows.users, *columns)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return {(*scopes[scope], users[user]): tuple(map(int, made)) for scope, user, *made in rows if made[0] or made[1]}
