"""Event batches: a batch of events as the signals see them, and how it is stored.

Persons and posts are hashes under the secret of the ledger, as those of the funnel are.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.events.credit import Credits, texts
from stream_app.core.events.schema import Event, Share
from stream_app.core.funnel.funnel_keys import FunnelKeys
from stream_app.core.signals.own_events import NOBODY, UNKNOWN_AUDIENCE, OwnEvents
from stream_app.core.signals.stored.stored_arrays import StoredArray, stored, unstored

VERSION = 1
_MOST_EVENT_BYTES = 64
"""Of an event as it is stored: seven columns of eight bytes."""
_COLUMNS = ("<u8", "<u8", "<u8", "<u8", "<i8", "<i8")
"""Of events, but for their times."""


class StoredBatch(msgspec.Struct, array_like=True):
    """A batch as it is stored."""

    version: int
    first_ms: int
    after_ms: StoredArray
    columns: list[list[StoredArray]]
    """Each as it is, or as its distinct values and the place of each event among them, whatever is shorter."""


_DECODER = msgspec.msgpack.Decoder(StoredBatch)


def batch_of(
    credits_: Credits, events: Sequence[Event], key: int, as_named: Callable[[Sequence[str]], Sequence[str]]
) -> OwnEvents:
    """Return the events of a batch, all of one kind, whose credits these are; `key`: the secret of the ledger.

    `as_named`: from users to how a ledger names them.
    """
    keys, shares = FunnelKeys(key), [event for event in events if isinstance(event, Share)]
    nobody = np.full(len(events), NOBODY, np.uint64)
    audiences = np.array([event.audience for event in events], np.float64)  # None becomes NaN
    return OwnEvents(
        credits_.ts_ms,
        keys.persons(credits_.users),
        nobody,  # whatever is the same of two events of one moment, either may come first
        _hashed([one.author_id for one in shares], lambda names: keys.persons(as_named(names))) if shares else nobody,
        _hashed([one.post_id for one in shares], keys.posts) if shares else nobody,
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
        after_ms = stored(ts_ms - first_ms)
        yield msgspec.msgpack.encode(StoredBatch(VERSION, first_ms, after_ms, [*map(_stored, columns)]))


def decoded(data: bytes | memoryview) -> OwnEvents:
    """Return stored events. Raises FormatError if no release has written them."""
    try:
        found = _DECODER.decode(data)
    except DECODE_ERRORS as error:
        raise FormatError(f"events of signals that no release has written: {error}") from error
    if found.version != VERSION:
        raise FormatError(f"events of signals of version {found.version}: written by a newer release?")
    columns = [_unstored(column, dtype) for column, dtype in zip(found.columns, _COLUMNS, strict=True)]
    return OwnEvents(unstored(found.after_ms) + found.first_ms, *columns)


def _stored(column: Hashes | Ints) -> list[StoredArray]:
    values, places = np.unique(column, return_inverse=True)
    shorter, whole = [stored(values), stored(places)], [stored(column)]
    return min(shorter, whole, key=lambda arrays: sum(len(array.data) for array in arrays))


def _unstored(arrays: list[StoredArray], dtype: str) -> np.ndarray[Any, Any]:
    values = unstored(arrays[0], dtype)
    return values if len(arrays) == 1 else values[unstored(arrays[1])]


def _hashed(ids: list[str | int | None], hashes_of: Callable[[Sequence[str]], Hashes]) -> Hashes:
    """Return the hash of each id, NOBODY of those that are not known."""
    known = [one for one in ids if one is not None]
    if len(known) == len(ids):
        return hashes_of(texts(known))
    hashed = np.full(len(ids), NOBODY, np.uint64)
    hashed[[place for place, one in enumerate(ids) if one is not None]] = hashes_of(texts(known))
    return hashed
