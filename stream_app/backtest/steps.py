"""Steps: recorded events in the order in which the tracker counts them, and after which step of event time each does.

The tracker evaluates whenever event time has come to the end of a step. Each partition of a source is counted up to its
first event after that end, so an event counts in the step of the newest event that came before it in its partition, or
its own: one that arrives late may count in a later step than its own time. A retraction counts in the step of its time.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NamedTuple

import numpy as np

from stream_app.backtest.recorded_crediting import RecordedCrediting
from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits, joined
from stream_app.core.events.decode import Rejected
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.schema import Event, Post, Retract, Share
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
    """Read posts, shares and retractions; without erasures, which a file does not decide."""
    back: list[RecordedEvent] = []
    parts: tuple[list[Credits], list[Credits]] = ([], [])
    rejected = [0, 0]
    crediting, taken = RecordedCrediting(settings), iter(events)
    while chunk := list(islice(taken, _AT_ONCE)):
        for source, kind in enumerate(_KINDS):
            made, bad = crediting.credits_of([event for event in chunk if event.source == source], kind)
            rejected[source] += len(bad)
            parts[source].append(made)
        back += [event for event in chunk if event.retraction]
    grid = settings.steps
    both = [_in_steps(made, count, settings.partitions, grid) for made, count in zip(parts, rejected, strict=True)]
    return Recording(both, _taken_back(*crediting.retractions_of(back), grid))


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


def _taken_back(retract: Sequence[Retract], rejected: Sequence[Rejected], grid: EventTimeSteps) -> TakenBack:
    retractions = retractions_of(retract, _EVENT_KEY)
    retractions = retractions.only(np.argsort(retractions.ts_ms, kind="stable").tolist())
    return TakenBack(retractions, grid.steps(retractions.ts_ms), len(rejected))


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
