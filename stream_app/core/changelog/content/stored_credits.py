"""What entries of a segment have of credits for what others did: recruits and amplified, of those that have any."""

import msgspec
import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import Column, pack, pack_signed, unpack, unpack_signed


class StoredCredits(msgspec.Struct, array_like=True):
    """Columns of equal length."""

    places: Column
    """Of the entries in the segment, in order."""
    recruits: Column
    amplified: Column


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(StoredCredits | None)
NONE_STORED = msgspec.Raw(b"\xc0")


def stored_credits(recruits: Ints | None, amplified: Ints | None) -> msgspec.Raw:
    """Encode the two columns of the entries of a segment."""
    if recruits is None or amplified is None:
        return NONE_STORED
    places = np.flatnonzero((recruits != 0) | (amplified != 0))
    if not len(places):
        return NONE_STORED
    columns = (pack_signed(column[places].astype(np.int64)) for column in (recruits, amplified))
    return msgspec.Raw(_ENCODER.encode(StoredCredits(pack(places), *columns)))


def credits_in(stored: msgspec.Raw, run: slice) -> tuple[Ints | None, Ints | None]:
    """Return the two columns of a run of entries."""
    held = _DECODER.decode(stored)
    if held is None:
        return None, None
    places = unpack(held.places)
    first, last = np.searchsorted(places, (run.start, run.stop)).tolist()
    if first == last:
        return None, None
    recruits, amplified = (np.zeros(run.stop - run.start, np.int64) for _ in range(2))
    own = places[first:last].astype(np.int64) - run.start
    recruits[own] = unpack_signed(held.recruits)[first:last]
    amplified[own] = unpack_signed(held.amplified)[first:last]
    return recruits, amplified


def are_sound(stored: msgspec.Raw, entries: int) -> bool:
    """Return whether the columns fit together, and to so many entries. Raises what a decoder raises."""
    held = _DECODER.decode(stored)
    if held is None:
        return True
    places = unpack(held.places).astype(np.int64)
    sizes = {len(unpack(column)) for column in (held.places, held.recruits, held.amplified)}
    return len(sizes) == 1 and bool(np.all(np.diff(places, prepend=-1) > 0)) and int(places.max(initial=0)) < entries
