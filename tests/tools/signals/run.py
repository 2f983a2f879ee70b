"""Runs the signals over a stream as the tracker would: several partitions, batches, disorder, trials that travel."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Hashes, Mask
from stream_app.core.events.identity import id_hashes
from stream_app.core.signals.facts import Fact, Signal, SignalValues
from stream_app.core.signals.own_events import OwnEvents
from stream_app.core.signals.pair_counts import paired
from stream_app.core.signals.partition_signals import PartitionSignals
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.step_evidence import added_up
from stream_app.core.signals.synchrony import CreditedShares
from tests.tools.signals.streams import Happened

_STEP_MS = 7_200_000
_MEAN_DELAY_MS = 15_000
PARTITIONS = 3


class Run(NamedTuple):
    """What became of the people of a stream."""

    users: list[str]
    marked: dict[Signal, Mask]
    """Who had a fact of that name at any time."""
    facts: dict[str, dict[Signal, Fact]]
    """Of each of those who had one, that of the most events."""
    trusted: dict[str, tuple[int, int]]
    """The largest impressions in a window, and what was left of them with audiences bounded."""
    late: int
    nbytes: int


class Columns(NamedTuple):
    """A stream as columns, in order of arrival."""

    own: OwnEvents
    is_earliest: Mask
    """Whether it is a sharer's earliest share of a post."""
    steps: list[int]
    """The step of event time that has been reached."""


def columns_of(stream: Sequence[Happened], seed: int) -> Columns:
    """Return a stream in the order in which it arrives when records are delayed by some seconds."""
    ts_ms = np.array([one.ts_ms for one in stream])
    arrival = ts_ms + np.random.default_rng(seed).exponential(_MEAN_DELAY_MS, len(ts_ms)).astype(np.int64)
    arrived = [stream[place] for place in np.argsort(arrival, kind="stable").tolist()]
    names = (id_hashes([getattr(one, name) for one in arrived]) for name in ("user", "event", "author", "post"))
    users, events, authors, posts = names
    is_named, has_post = (np.array([bool(getattr(one, name)) for one in arrived]) for name in ("author", "post"))
    own = OwnEvents(
        np.array([one.ts_ms for one in arrived]),
        users,
        events,
        np.where(is_named, authors, 0),
        np.where(has_post, posts, 0),
        np.array([one.audience for one in arrived]),
        np.array([one.impressions for one in arrived]),
    )
    earliest: dict[tuple[str, str, str], tuple[int, int]] = {}
    for place, one in enumerate(arrived):
        key = (one.user, one.author, one.post or one.event)
        earliest[key] = min(earliest.get(key, (one.ts_ms, place)), (one.ts_ms, place))
    is_earliest = np.zeros(len(arrived), np.bool_)
    is_earliest[[place for _, place in earliest.values()]] = True
    is_other = np.array([bool(one.author) and one.author != one.user for one in arrived])
    return Columns(own, is_earliest & is_other, (np.maximum.accumulate(own.ts_ms) // _STEP_MS).tolist())


def run(stream: Sequence[Happened], limits: SignalLimits = SignalLimits(), seed: int = 1) -> Run:  # noqa: B008
    """Run the signals over a stream, and look at everybody after every two hours in which something happened."""
    columns = columns_of(stream, seed)
    parts = [PartitionSignals(limits) for _ in range(PARTITIONS)]
    users = sorted({one.user for one in stream})
    hashes = id_hashes(users)
    mine = [np.flatnonzero(hashes % np.uint64(PARTITIONS) == number) for number in range(PARTITIONS)]
    marks: dict[Signal, Mask] = defaultdict(lambda: np.zeros(len(users), np.bool_))
    facts: dict[str, dict[Signal, Fact]] = defaultdict(dict)
    trusted: dict[str, tuple[int, int]] = {}
    for end_ms, some in _steps(columns):
        for number, part in enumerate(parts):
            _feed(part, columns, some, number)
            part.advance(end_ms)
        for trials in [part.judge(end_ms) for part in parts]:
            for number, part in enumerate(parts):
                part.add_steps(added_up(trials.take(trials.sources == number)))
        for part, places in zip(parts, mine, strict=True):
            _look(part.measured(hashes[places]), places, users, marks, facts)
            left = part.trusted(hashes[places])
            for place in np.flatnonzero(left.bounded < left.impressions).tolist():
                name = users[places[place]]
                found = (int(left.impressions[place]), int(left.bounded[place]))
                trusted[name] = max(trusted.get(name, (0, 0)), found)
    late, nbytes = (sum(getattr(part, name) for part in parts) for name in ("late", "nbytes"))
    return Run(users, dict(marks), facts, trusted, late, nbytes)


def _steps(columns: Columns) -> Iterator[tuple[int, slice]]:
    start = 0
    for step, group in groupby(columns.steps):
        end = start + len(list(group))
        yield (step + 1) * _STEP_MS, slice(start, end)
        start = end
    for more in range(1, 3):  # so that those that wait are looked at
        yield (columns.steps[-1] + 1 + more) * _STEP_MS, slice(0, 0)


def _feed(part: PartitionSignals, columns: Columns, some: slice, number: int) -> None:
    own = OwnEvents._make(column[some] for column in columns.own)
    part.add_own(OwnEvents._make(column[_in(own.users, number)] for column in own))
    chosen = columns.is_earliest[some] & _in(own.authors, number)
    posts = np.where(own.posts == 0, own.authors, paired(own.authors, own.posts))
    homes = (own.users % np.uint64(PARTITIONS)).astype(np.int64)
    part.add_credited(CreditedShares(own.ts_ms, posts, own.users, homes).take(chosen))


def _in(keys: Hashes, number: int) -> Mask:
    found: Mask = keys % np.uint64(PARTITIONS) == number
    return found


def _look(
    measured: list[SignalValues],
    places: np.ndarray[tuple[int], np.dtype[np.int64]],
    users: list[str],
    marks: dict[Signal, Mask],
    facts: dict[str, dict[Signal, Fact]],
) -> None:
    for one in measured:
        marks[one.name][places] |= one.is_marked
        for place in np.flatnonzero(one.is_marked).tolist():
            fact, known = one.fact(place), facts[users[places[place]]]
            if one.name not in known or known[one.name].events <= fact.events:
                known[one.name] = fact
