"""Stored events: what the funnel needs of a batch until it is decided, and as long as it may be taken back."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask, distinct_in
from stream_app.core.changelog.columns import Column, FormatError, pack, unpack
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.funnel.episodes.episode_records import ERASED
from stream_app.core.funnel.funnel import Funnel
from stream_app.core.funnel.funnel_events import EventColumns
from stream_app.core.funnel.stored.stored_times import Times, pack_times, unpack_hashes
from stream_app.core.state.interning import Interner
from stream_app.core.state.scopes import ScopeName, ScopeTable


class _StoredEvents(msgspec.Struct, array_like=True):
    """Event columns with local numbers of scopes and people."""

    scopes: list[ScopeName]
    people: msgspec.Raw
    """Those who are named, still encoded: few chunks are looked at for more than their hashes."""
    person: Column
    order: Column
    ts_ms: Times
    recruiter: Column
    """From ERASED on, so that none is negative."""
    author: Column
    post: Column
    """Of the shares that have an author."""
    impressions: Column
    hashes: Column
    sizes: Column
    """Scopes of each event."""
    scope: Column


class NamedEvents(NamedTuple):
    """Event columns with places among names as numbers."""

    columns: EventColumns
    scopes: Sequence[ScopeName]
    people: Sequence[str]

    def at(self, kept: Mask) -> "NamedEvents":
        """Return only some of the events."""
        return self._replace(columns=self.columns.at(kept))

    def numbered(self, funnel: Funnel) -> EventColumns:
        """Return the events with the numbers of a funnel, which gets to know those who are named."""
        return self.columns._replace(
            recruiters=_numbered(self.columns.recruiters, self.people, funnel.people),
            authors=_numbered(self.columns.authors, self.people, funnel.people),
            scopes=funnel.scopes.add_used(self.scopes, self.columns.scopes),
        )

    def with_scopes(self, funnel: Funnel) -> EventColumns:
        """Return the events with the numbers of a funnel for scopes alone."""
        return self.columns._replace(scopes=funnel.scopes.add_used(self.scopes, self.columns.scopes))

    def without(self, names: Collection[str], persons: Hashes) -> "NamedEvents":
        """Return the events of all but some persons, without their names."""
        columns = self.columns.at(~np.isin(self.columns.persons, persons))
        numbers = np.array([ERASED if name in names else place for place, name in enumerate(self.people)], np.int64)
        credited = [_at(numbers, column) for column in (columns.recruiters, columns.authors)]
        return self._replace(columns=columns._replace(recruiters=credited[0], authors=credited[1]))


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_StoredEvents)
_PEOPLE = msgspec.msgpack.Decoder(list[str])


def encode(columns: EventColumns, funnel: Funnel) -> bytes:
    """Encode events with the numbers of a funnel."""
    return encode_named(NamedEvents(columns, funnel.scopes.names, funnel.people.names))


def encode_named(events: NamedEvents) -> bytes:
    """Encode events with names of their own; of these only those that occur."""
    columns, scope_names, names = events
    in_order = np.argsort(columns.events, kind="stable")
    scopes = columns.scopes[in_order]
    used = distinct_in(scopes)
    named = np.concatenate([columns.recruiters, columns.authors])
    people = distinct_in(named[named >= 0])

    def local(numbers: Ints) -> Column:
        return pack(np.where(numbers >= 0, np.searchsorted(people, numbers), numbers) - ERASED)

    return _ENCODER.encode(
        _StoredEvents(
            scopes=[scope_names[number] for number in used.tolist()],
            people=msgspec.Raw(_ENCODER.encode([names[number] for number in people.tolist()])),
            person=pack(columns.persons),
            order=pack(columns.orders),
            ts_ms=pack_times(columns.ts_ms),
            recruiter=local(columns.recruiters),
            author=local(columns.authors),
            post=pack(columns.posts[columns.authors >= 0]),
            impressions=pack(columns.impressions),
            hashes=pack(columns.hashes),
            sizes=pack(np.bincount(columns.events, minlength=len(columns.persons))),
            scope=pack(np.searchsorted(used, scopes)),
        )
    )


def decode(value: bytes | memoryview, funnel: Funnel, chosen: Callable[[EventColumns], Mask]) -> EventColumns:
    """Decode those events that are `chosen`, with the numbers of a funnel. Raises FormatError."""
    events = decode_named(value)
    return events.at(chosen(events.columns)).numbered(funnel)


def decode_named(value: bytes | memoryview) -> NamedEvents:
    """Decode events. Raises FormatError."""
    stored = _decoded(value)
    authors = unpack(stored.author).astype(np.int64) + ERASED
    posts = np.zeros(len(authors), np.uint64)
    posts[authors >= 0] = unpack_hashes(stored.post)
    events = np.repeat(np.arange(len(authors)), unpack(stored.sizes).astype(np.int64))
    columns = EventColumns(
        *(unpack_hashes(stored.person), unpack_hashes(stored.order), stored.ts_ms.unpacked()),
        *(unpack(stored.recruiter).astype(np.int64) + ERASED, authors, posts),
        *(unpack(stored.impressions).astype(np.int64), unpack_hashes(stored.hashes)),
        *(events, unpack(stored.scope).astype(np.int64)),
    )
    return NamedEvents(columns, stored.scopes, _people(stored))


def names_in(value: bytes | memoryview) -> list[str]:
    """Return who is named in stored events. Raises FormatError."""
    return _people(_decoded(value))


class EventKeys(NamedTuple):
    """By what events are found."""

    hashes: Hashes
    persons: Hashes


def keys_in(value: bytes | memoryview) -> EventKeys:
    """Return the keys of stored events. Raises FormatError."""
    stored = _decoded(value)
    return EventKeys(unpack_hashes(stored.hashes), unpack_hashes(stored.person))


def joined_events(parts: Sequence[NamedEvents]) -> NamedEvents:
    """Return several as one, each name once."""
    scopes, people = ScopeTable(), Interner()
    events, count = [], 0
    for columns, scope_names, names in parts:
        numbers = people.add(list(names))
        events.append(
            columns._replace(
                recruiters=_at(numbers, columns.recruiters),
                authors=_at(numbers, columns.authors),
                events=columns.events + count,
                scopes=scopes.add(list(scope_names))[columns.scopes],
            )
        )
        count += len(columns.persons)
    together: list[Any] = [np.concatenate(column) for column in zip(*events, strict=True)]
    return NamedEvents(EventColumns(*together), scopes.names(), people.names)


def _people(stored: _StoredEvents) -> list[str]:
    try:
        return _PEOPLE.decode(stored.people)
    except DECODE_ERRORS as error:
        raise FormatError(f"not the names in events of a funnel: {error}") from error


def _decoded(value: bytes | memoryview) -> _StoredEvents:
    try:
        return _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not events of a funnel: {error}") from error


def _numbered(local: Ints, people: Sequence[str], known: Interner) -> Ints:
    numbers = local.copy()
    used, places = np.unique(local[local >= 0], return_inverse=True)
    numbers[local >= 0] = known.add([people[place] for place in used.tolist()])[places]
    return numbers


def _at(numbers: Ints, places: Ints) -> Ints:
    """Return `numbers` at places that are not negative, and the others as they are."""
    found = places.copy()
    found[places >= 0] = numbers[places[places >= 0]]
    return found
