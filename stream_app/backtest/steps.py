"""Steps: recorded events in the order in which the tracker counts them, and after which step of event time each does.

The tracker evaluates whenever event time has come to the end of a step. Each partition of a source is counted up to its
first event after that end, so an event counts in the step of the newest event that came before it in its partition, or
its own: one that arrives late may count in a later step than its own time.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits, ViewRates, credit_all, joined
from stream_app.core.events.decode import decode, implausible
from stream_app.core.events.limits import TimeRange
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.schema import Event, Post, Share
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent

_AT_ONCE = 50_000
_KINDS: tuple[type[Event], ...] = (Post, Share)


class SourceEvents(NamedTuple):
    """All events of one source, in the order of the steps, and in each in the order read."""

    credits: Credits
    ends_ms: Ints
    """Of each event: where the step ends in which it counts, epoch ms; increasing."""
    rejected: int


class Step(NamedTuple):
    """What is counted between two evaluations."""

    end_ms: int
    """Where event time has come to, epoch ms."""
    batches: list[tuple[int, Credits]]
    """Of some sources, by their place."""


def read(events: Iterable[RecordedEvent], settings: Settings, step_ms: int) -> list[SourceEvents]:
    """Read posts and shares: the two sources of the tracker."""
    parts: tuple[list[Credits], list[Credits]] = ([], [])
    rejected = [0, 0]
    rates = ViewRates(settings.view_rate, settings.channel_view_rates)
    plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
    taken = iter(events)
    while chunk := list(islice(taken, _AT_ONCE)):
        for source, kind in enumerate(_KINDS):
            values = [event.value for event in chunk if event.share == bool(source)]
            decoded = decode(values, kind, settings.max_event_bytes, settings.max_id_bytes)
            made, (_, indices, bad) = credit_all(decoded, kind, rates)
            wrong = {reject.index for reject in implausible(made.ts_ms, indices, plausible)}
            if wrong:
                made = made.only([place for place, index in enumerate(indices) if index not in wrong])
            rejected[source] += len(bad) + len(wrong)
            parts[source].append(made)
    return [_in_steps(made, bad, settings.partitions, step_ms) for made, bad in zip(parts, rejected, strict=True)]


def steps(sources: Sequence[SourceEvents]) -> Iterator[Step]:
    """Yield the steps in which anything is counted, in order."""
    starts = [_starts(source.ends_ms) for source in sources]
    turns = sorted((end_ms, place, first, last) for place, runs in enumerate(starts) for end_ms, first, last in runs)
    for end_ms, runs in groupby(turns, key=lambda turn: turn[0]):
        batches = [(place, sources[place].credits.only(range(first, last))) for _, place, first, last in runs]
        yield Step(end_ms, batches)


def _in_steps(parts: Sequence[Credits], rejected: int, partitions: int, step_ms: int) -> SourceEvents:
    whole = joined(parts)
    places = partitions_of([user.encode() for user in whole.users], partitions)
    newest_ms = whole.ts_ms.copy()
    for partition in range(partitions):
        mine = np.flatnonzero(places == partition)
        newest_ms[mine] = np.maximum.accumulate(whole.ts_ms[mine])
    ends_ms = (newest_ms // step_ms + 1) * step_ms
    order = np.argsort(ends_ms, kind="stable")
    return SourceEvents(whole.only(order.tolist()), ends_ms[order], rejected)


def _starts(ends_ms: Ints) -> Iterator[tuple[int, int, int]]:
    """Yield the runs of equal ends: the end, the first place, and the place after the last."""
    if not len(ends_ms):
        return
    firsts = np.flatnonzero(np.diff(ends_ms, prepend=-1)).tolist()
    for first, last in zip(firsts, [*firsts[1:], len(ends_ms)], strict=True):
        yield int(ends_ms[first]), first, last
