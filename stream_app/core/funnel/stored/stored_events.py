"""Stored events: what the funnel needs of a batch until it is decided, in the delta of the batch."""

from collections.abc import Callable

import msgspec
import numpy as np

from stream_app.core.arrays import Ints, Mask, distinct_in
from stream_app.core.changelog.columns import Column, FormatError, pack, unpack
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.funnel.episodes.episode_records import ERASED
from stream_app.core.funnel.funnel import Funnel
from stream_app.core.funnel.funnel_events import EventColumns
from stream_app.core.funnel.stored.stored_times import Times, pack_times, unpack_hashes
from stream_app.core.state.scopes import ScopeName


class _StoredEvents(msgspec.Struct, array_like=True):
    """Event columns with local numbers of scopes and people."""

    scopes: list[ScopeName]
    people: list[str]
    """Those who are named."""
    person: Column
    order: Column
    ts_ms: Times
    recruiter: Column
    """From ERASED on, so that none is negative."""
    author: Column
    post: Column
    """Of the shares that have an author."""
    impressions: Column
    sizes: Column
    """Scopes of each event."""
    scope: Column


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_StoredEvents)


def encode(columns: EventColumns, funnel: Funnel) -> bytes:
    """Encode events with the numbers of a funnel."""
    in_order = np.argsort(columns.events, kind="stable")
    scopes = columns.scopes[in_order]
    used = distinct_in(scopes)
    named = np.concatenate([columns.recruiters, columns.authors])
    people = distinct_in(named[named >= 0])
    names = funnel.people.names

    def local(numbers: Ints) -> Column:
        return pack(np.where(numbers >= 0, np.searchsorted(people, numbers), numbers) - ERASED)

    return _ENCODER.encode(
        _StoredEvents(
            scopes=[funnel.scopes.names[number] for number in used.tolist()],
            people=[names[number] for number in people.tolist()],
            person=pack(columns.persons),
            order=pack(columns.orders),
            ts_ms=pack_times(columns.ts_ms),
            recruiter=local(columns.recruiters),
            author=local(columns.authors),
            post=pack(columns.posts[columns.authors >= 0]),
            impressions=pack(columns.impressions),
            sizes=pack(np.bincount(columns.events, minlength=len(columns.persons))),
            scope=pack(np.searchsorted(used, scopes)),
        )
    )


def decode(value: bytes, funnel: Funnel, chosen: Callable[[Ints], Mask]) -> EventColumns:
    """Decode those events whose times are `chosen`, with the numbers of a funnel. Raises FormatError."""
    try:
        stored = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not events of a funnel: {error}") from error
    authors = unpack(stored.author).astype(np.int64) + ERASED
    posts = np.zeros(len(authors), np.uint64)
    posts[authors >= 0] = unpack_hashes(stored.post)
    events = np.repeat(np.arange(len(authors)), unpack(stored.sizes).astype(np.int64))
    columns = EventColumns(
        *(unpack_hashes(stored.person), unpack_hashes(stored.order), stored.ts_ms.unpacked()),
        *(unpack(stored.recruiter).astype(np.int64) + ERASED, authors, posts),
        *(unpack(stored.impressions).astype(np.int64), events, unpack(stored.scope).astype(np.int64)),
    )
    columns = columns.at(chosen(columns.ts_ms))
    return columns._replace(
        recruiters=_numbered(columns.recruiters, stored.people, funnel),
        authors=_numbered(columns.authors, stored.people, funnel),
        scopes=funnel.scopes.add_used(stored.scopes, columns.scopes),
    )


def _numbered(local: Ints, people: list[str], funnel: Funnel) -> Ints:
    numbers = local.copy()
    used, places = np.unique(local[local >= 0], return_inverse=True)
    numbers[local >= 0] = funnel.people.add([people[place] for place in used.tolist()])[places]
    return numbers
