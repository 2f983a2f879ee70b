"""Event batches: a batch of events as the signals see them, and how it is stored.

Persons and posts are hashes under the secret of the ledger, as those of the funnel are.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.events.credit import Credits, texts
from stream_app.core.events.schema import Event, Share
from stream_app.core.funnel.funnel_keys import FunnelKeys
from stream_app.core.signals.own_events import NOBODY, UNKNOWN_AUDIENCE, OwnEvents
from stream_app.core.signals.stored_arrays import StoredArray, stored, unstored

VERSION = 1
_MOST_EVENT_BYTES = 64
"""Of an event as it is stored: eight columns of eight bytes."""
_HASHES = ("<u8", "<u8", "<u8", "<u8")


class StoredBatch(msgspec.Struct, array_like=True):
    """A batch as it is stored."""

    version: int
    first_ms: int
    after_ms: StoredArray
    columns: list[StoredArray]


_DECODER = msgspec.msgpack.Decoder(StoredBatch)


def batch_of(
    credits_: Credits, events: Sequence[Event], key: int, as_named: Callable[[Sequence[str]], Sequence[str]]
) -> OwnEvents:
    """Return the events of a batch, whose credits these are; `key`: the secret of the ledger.

    `as_named`: from users to how a ledger names them.
    """
    keys, count = FunnelKeys(key), len(events)
    shares = [(place, event) for place, event in enumerate(events) if isinstance(event, Share)]
    named = [(place, event.author_id) for place, event in shares if event.author_id is not None]
    posts = [(place, event.post_id) for place, event in shares if event.post_id is not None]
    audiences = np.array([event.audience for event in events], np.float64)  # None becomes NaN
    return OwnEvents(
        credits_.ts_ms,
        keys.persons(credits_.users),
        np.zeros(count, np.uint64),  # whatever is the same of two events of one moment, either may come first
        _placed(count, [place for place, _ in named], keys.persons(as_named(texts([name for _, name in named])))),
        _placed(count, [place for place, _ in posts], keys.posts(texts([name for _, name in posts]))),
        np.where(audiences >= 0, audiences, UNKNOWN_AUDIENCE).astype(np.int64),
        credits_.impressions,
    )


def part_of(events: OwnEvents, chosen: slice | Mask | Ints) -> OwnEvents:
    """Return some of the events."""
    return OwnEvents._make(column[chosen] for column in events)


def encoded(events: OwnEvents, most_bytes: int) -> Iterator[bytes]:
    """Yield events as values of at most `most_bytes`."""
    step = max(most_bytes // _MOST_EVENT_BYTES, 1)
    for start in range(0, len(events.ts_ms), step):
        ts_ms, *columns = (column[start : start + step] for column in events)
        first_ms = int(ts_ms.min())
        yield msgspec.msgpack.encode(StoredBatch(VERSION, first_ms, stored(ts_ms - first_ms), [*map(stored, columns)]))


def decoded(data: bytes | memoryview) -> OwnEvents:
    """Return stored events. Raises FormatError if no release has written them."""
    try:
        found = _DECODER.decode(data)
    except DECODE_ERRORS as error:
        raise FormatError(f"events of signals that no release has written: {error}") from error
    if found.version != VERSION:
        raise FormatError(f"events of signals of version {found.version}: written by a newer release?")
    columns = [unstored(column, dtype) for column, dtype in zip(found.columns, (*_HASHES, "<i8", "<i8"), strict=True)]
    return OwnEvents(unstored(found.after_ms) + found.first_ms, *columns)


def _placed(count: int, places: list[int], hashes: Hashes) -> Hashes:
    placed = np.full(count, NOBODY, np.uint64)
    placed[places] = hashes
    return placed
