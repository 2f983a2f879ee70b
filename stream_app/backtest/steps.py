"""Steps: recorded events in the order in which the tracker counts them, and after which step of event time each does.

The tracker evaluates whenever event time has come to the end of a step. Each partition of a source is counted up to its
first event after that end, so an event counts in the step of the newest event that came before it in its partition, or
its own: one that arrives late may count in a later step than its own time. A retraction counts in the step of its time.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits, ViewRates, credit_all, joined, times_ms
from stream_app.core.events.decode import Decoded, decode, decode_retractions, implausible
from stream_app.core.events.limits import TimeRange, long_integer
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.schema import Event, Post, Retract, Retraction, Share
from stream_app.core.flags.event_time_steps import EventTimeSteps
from stream_app.core.retractions.retraction_batch import Retractions, retractions_of
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent

_AT_ONCE = 50_000
_EVENT_KEY = 0
"""No secret: what a ledger has by itself."""
_KINDS: tuple[type[Event], ...] = (Post, Share)


class SourceEvents(NamedTuple):
    """All events of one source, in the order of the steps, and in each in the order read."""

    credits: Credits
    steps: Ints
    """Of each event: the step in which it counts; increasing."""
    rejected: int


class TakenBack(NamedTuple):
    """All retractions, in the order of their time."""

    retractions: Retractions
    steps: Ints
    """Of each, by its time; increasing."""
    rejected: int


class Recording(NamedTuple):
    """What was recorded."""

    sources: list[SourceEvents]
    """Posts and shares: the two sources of the tracker that time hangs on."""
    taken: TakenBack

    @property
    def rejected(self) -> int:
        """How many records cannot be counted."""
        return sum(source.rejected for source in self.sources) + self.taken.rejected


class Step(NamedTuple):
    """What is counted between two evaluations."""

    number: int
    batches: list[tuple[int, Credits]]
    """Of some sources, by their place."""
    taken: Retractions


def read(events: Iterable[RecordedEvent], settings: Settings) -> Recording:
    """Read posts, shares and retractions; without erasures, which a file does not decide.

    Events that are ahead of the present are rejected, as by a worker that reads them now.
    """
    latest_ms = round((time.time() + settings.max_ahead_s) * 1000)
    limits = settings.max_event_bytes, settings.max_id_bytes
    back: list[bytes] = []
    parts: tuple[list[Credits], list[Credits]] = ([], [])
    rejected = [0, 0]
    rates = ViewRates(settings.view_rate, settings.channel_view_rates)
    plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
    taken = iter(events)
    while chunk := list(islice(taken, _AT_ONCE)):
        for source, kind in enumerate(_KINDS):
            values = [event.value for event in chunk if event.source == source]
            decoded = decode(values, kind, *limits)
            made, (_, indices, bad) = credit_all(decoded, kind, rates)
            wrong = {reject.index for reject in implausible(made.ts_ms, indices, plausible)}
            wrong |= {indices[place] for place in np.flatnonzero(made.ts_ms > latest_ms).tolist()}
            if wrong:
                made = made.only([place for place, index in enumerate(indices) if index not in wrong])
            rejected[source] += len(bad) + len(wrong)
            parts[source].append(made)
        back += [event.value for event in chunk if event.retraction]
    grid = settings.steps
    both = [_in_steps(made, bad, settings.partitions, grid) for made, bad in zip(parts, rejected, strict=True)]
    return Recording(both, _taken_back(decode_retractions(back, *limits), plausible, grid))


def steps(recording: Recording) -> Iterator[Step]:
    """Yield the steps in which events are counted, in order; retractions of other times with the next of them."""
    sources, (retractions, at_steps, _) = recording
    starts = [_starts(source.steps) for source in sources]
    taken = 0
    turns = sorted((number, place, first, last) for place, runs in enumerate(starts) for number, first, last in runs)
    for number, runs in groupby(turns, key=lambda turn: turn[0]):
        batches = [(place, sources[place].credits.only(range(first, last))) for _, place, first, last in runs]
        before, taken = taken, int(np.searchsorted(at_steps, number, side="right"))
        yield Step(number, batches, retractions.only(range(before, taken)))


def _taken_back(decoded: Decoded[Retraction], plausible: TimeRange, grid: EventTimeSteps) -> TakenBack:
    ts_ms = times_ms([event.ts for event in decoded.events])
    bad = {reject.index for reject in implausible(ts_ms, decoded.indices, plausible)}
    bad |= {index for event, index in zip(decoded.events, decoded.indices, strict=True) if long_integer(event)}
    kept = [event for event, index in zip(decoded.events, decoded.indices, strict=True) if index not in bad]
    retractions = retractions_of([event for event in kept if isinstance(event, Retract)], _EVENT_KEY)
    retractions = retractions.only(np.argsort(retractions.ts_ms, kind="stable").tolist())
    return TakenBack(retractions, grid.steps(retractions.ts_ms), len(decoded.rejected) + len(bad))


def _in_steps(parts: Sequence[Credits], rejected: int, partitions: int, grid: EventTimeSteps) -> SourceEvents:
    whole = joined(parts)
    places = partitions_of([user.encode() for user in whole.users], partitions)
    newest_ms = whole.ts_ms.copy()
    for partition in range(partitions):
        mine = np.flatnonzero(places == partition)
        newest_ms[mine] = np.maximum.accumulate(whole.ts_ms[mine])
    numbers = grid.steps(newest_ms)
    order = np.argsort(numbers, kind="stable")
    return SourceEvents(whole.only(order.tolist()), numbers[order], rejected)


def _starts(numbers: Ints) -> Iterator[tuple[int, int, int]]:
    """Yield the runs of equal numbers: the number, the first place, and the place after the last."""
    if not len(numbers):
        return
    firsts = np.flatnonzero(np.diff(numbers, prepend=-1)).tolist()
    for first, last in zip(firsts, [*firsts[1:], len(numbers)], strict=True):
        yield int(numbers[first]), first, last
