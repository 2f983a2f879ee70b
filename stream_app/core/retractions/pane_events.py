"""The single events of panes: found by their hashes, and put together when a pane is sealed.

Like the counts of a pane they are in memory until it is packed, in columns; after that they are in its sealed segment,
which is decoded when somebody asks, and only what came since is in memory.
"""

from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from stream_app.core.arrays import Hashes, Ints
from stream_app.core.changelog.content.counted_events import IN_COLUMNS, NO_EVENTS, CountedEvents, Worth, joined_events
from stream_app.core.changelog.segments import Segment
from stream_app.core.events.identity import Hashing
from stream_app.core.state.panes import Pane

_LARGE = 4096
"""Chunks of this many events are not merged."""


class Numbering(Protocol):
    """Numbers of names; new names get the next ones."""

    def add(self, names: Sequence[str], /) -> Ints:
        """Return the number of each name."""


class ScopeNumbering(Protocol):
    """The same for scopes."""

    def add(self, names: Sequence[tuple[str, str]], /) -> Ints:
        """Return the number of each scope."""


class Names(NamedTuple):
    """Numbers of users and scopes in a ledger."""

    users: Numbering
    scopes: ScopeNumbering


class FoundInPane(NamedTuple):
    """Events that were looked for in a pane, and are there."""

    places: Ints
    """Which of the hashes that were looked for they have."""
    worth: Worth
    events: CountedEvents
    """In the same order. Only if their worth is in columns."""


class PaneEvents:
    """The events of the panes of one ledger."""

    def __init__(self) -> None:
        self._events: dict[int, dict[Worth, list[CountedEvents]]] = {}
        """By pane: all of them until it is packed, then those that came since."""
        self._taken: dict[int, list[Hashes]] = defaultdict(list)
        """By pane: those that were taken back, until it is packed again without them."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        chunks = (events for pane in self._events for _, events in self._in_memory(pane))
        return sum(column.nbytes for events in chunks for column in events)

    def add(self, pane: int, worth: Worth, events: CountedEvents) -> None:
        """Remember events of a pane. Small chunks are merged: there is one for each batch."""
        if not len(events.hashes):
            return
        chunks, events = self._events.setdefault(pane, {}).setdefault(worth, []), events.slim()
        while chunks and len(chunks[-1].hashes) < min(2 * len(events.hashes), _LARGE):
            events = joined_events([chunks.pop(), events]).slim()
        chunks.append(events)

    def restore(self, part: Segment, panes: Collection[int], names: Names) -> None:
        """Remember the events that a stored part has of some panes."""
        for pane in panes:
            for worth, events in _stored(part, pane, names):
                self.add(pane, worth, events)

    def take(self, pane: int, hashes: Hashes) -> None:
        """Note that events of a pane were taken back."""
        self._taken[pane].append(hashes)

    def has_new(self, pane: int) -> bool:
        """Return whether a pane has events in memory: of a packed pane, whether any came since."""
        return pane in self._events

    def taken(self, pane: int) -> int:
        """Return how many events of a pane were taken back since it was packed."""
        return sum(map(len, self._taken.get(pane, ())))

    def taken_of(self, pane: int) -> Hashes:
        """Return them."""
        return np.concatenate([NO_EVENTS.hashes, *self._taken.get(pane, ())])

    def take_out(self, users: Ints) -> None:
        """Forget what some users did: their events in memory are worth nothing."""
        for pane in self._events if len(users) else ():
            for worth, events in self._in_memory(pane):
                if worth in IN_COLUMNS:
                    self.take(pane, events.hashes[np.isin(events.users, users)])

    def forget(self, panes: Container[int]) -> None:
        """Drop the events of panes that were packed or have left the window."""
        for pane in [pane for pane in self._events if pane in panes]:
            del self._events[pane]
        for pane in [pane for pane in self._taken if pane in panes]:
            del self._taken[pane]

    def renumber(self, users: Ints, scopes: Ints) -> None:
        """User u becomes `users[u]` and scope s `scopes[s]`; of events that were taken back, any."""
        for chunks in (chunks for pane in self._events.values() for chunks in pane.values()):
            chunks[:] = [
                events._replace(users=users[events.users], scopes=scopes[events.scopes]).slim() for events in chunks
            ]

    def find(self, hashes: Hashes, number: int, pane: Pane, names: Names) -> Iterator[FoundInPane]:
        """Yield where the events with some distinct hashes are in a pane; those taken back are worth nothing."""
        order = np.argsort(hashes)
        ordered = hashes[order]
        is_left = ~np.isin(ordered, self.taken_of(number))
        yield FoundInPane(order[~is_left], Worth.NOTHING, NO_EVENTS)
        for worth, events in self._all(number, pane, names, hashes):
            places = np.flatnonzero(np.isin(events.hashes, ordered[is_left]))
            if len(places):
                found = np.searchsorted(ordered, events.hashes[places])
                is_left[found] = False
                yield FoundInPane(order[found], worth, events.at(places).wide() if worth in IN_COLUMNS else NO_EVENTS)
        if (unknown := order[is_left]).size:
            yield FoundInPane(unknown, Worth.UNKNOWN, NO_EVENTS)

    def content(
        self, number: int, pane: Pane, hashes: Hashes, names: Names, without: Collection[str] = ()
    ) -> Mapping[Worth, CountedEvents]:
        """Return all events of a pane, which has `hashes`; those of users to be left out are worth nothing."""
        found: dict[Worth, list[CountedEvents]] = defaultdict(list)
        taken = self.taken_of(number)
        for worth, events in self._all(number, pane, names, None, without):
            gone = np.isin(events.hashes, taken) if len(taken) and worth in IN_COLUMNS else np.empty(0, np.bool_)
            if gone.any():
                found[Worth.NOTHING].append(NO_EVENTS._replace(hashes=events.hashes[gone]))
                found[worth].append(events.at(np.flatnonzero(~gone)))
            else:
                found[worth].append(events)
        together = {worth: joined_events(parts) for worth, parts in found.items()}
        return {worth: events for worth, events in together.items() if len(events.hashes)} | _rest(hashes, together)

    def _all(
        self, number: int, pane: Pane, names: Names, asked: Hashes | None, without: Collection[str] = ()
    ) -> Iterator[tuple[Worth, CountedEvents]]:
        """Yield the events of a pane; of those in its segment only those asked for, if not all are."""
        yield from self._in_memory(number)
        for part in pane.sealed[1] if pane.sealed is not None and pane.packed else ():
            yield from _stored(part, number, names, asked, without)

    def _in_memory(self, number: int) -> Iterator[tuple[Worth, CountedEvents]]:
        for worth, chunks in self._events.get(number, {}).items():
            for events in chunks:
                yield worth, events


def _rest(hashes: Hashes, known: Mapping[Worth, CountedEvents]) -> dict[Worth, CountedEvents]:
    """Return the events of which nothing says what they are worth."""
    said = np.concatenate([NO_EVENTS.hashes, *(events.hashes for events in known.values())])
    if len(said) == len(hashes):
        return {}
    unknown = np.concatenate([known.get(Worth.UNKNOWN, NO_EVENTS).hashes, hashes[~np.isin(hashes, said)]])
    return {Worth.UNKNOWN: NO_EVENTS._replace(hashes=unknown)}


def _stored(
    part: Segment, number: int, names: Names, asked: Hashes | None = None, without: Collection[str] = ()
) -> Iterator[tuple[Worth, CountedEvents]]:
    """Yield the events that a part has of a pane; only those `asked` for; of users to be left out only the hashes."""
    columns: CountedEvents | None = None
    for run in part.runs():
        if run.pane != number or run.hashing is not Hashing.EVENT:
            continue
        places = np.arange(len(run.hashes)) if asked is None else np.flatnonzero(np.isin(run.hashes, asked))
        if not len(places):
            continue
        if run.worth not in IN_COLUMNS:
            yield run.worth, NO_EVENTS._replace(hashes=run.hashes[places])
            continue
        columns = columns or part.events()
        events = columns.part(run.events)
        if asked is not None:
            events = events.at(places)
        people = part.users()
        if without:
            are_gone = np.array([name in without for name in people], np.bool_)[events.users]
            yield Worth.NOTHING, NO_EVENTS._replace(hashes=events.hashes[are_gone])
            events = events.at(np.flatnonzero(~are_gone))
        yield run.worth, _numbered(events, people, part.scopes(), names)


def _numbered(
    events: CountedEvents, people: Sequence[str], scopes: Sequence[tuple[str, str]], names: Names
) -> CountedEvents:
    """Return events with the numbers of the ledger in place of those of their part."""
    users, places = np.unique(events.users, return_inverse=True)
    known = names.users.add([people[number] for number in users.tolist()])
    return events._replace(users=known[places], scopes=names.scopes.add(scopes)[events.scopes])
