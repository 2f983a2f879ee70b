"""Stored times and keys: columns that are small once they are packed."""

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints
from stream_app.core.changelog.columns import Column, FormatError, pack, unpack


class Times(msgspec.Struct, array_like=True):
    """Numbers that lie close together, of any sign: the smallest, and how much more each is."""

    least: int
    more: Column

    def unpacked(self) -> Ints:
        """Return the numbers."""
        return unpack(self.more).astype(np.int64) + self.least


def pack_times(times: Ints) -> Times:
    """Pack times."""
    least = int(times.min(initial=2**62)) if len(times) else 0
    return Times(least, pack(times - least))


def pack_keys(keys: Ints) -> Column:
    """Pack 64-bit keys as they are."""
    return pack(keys.view(np.uint64))


def unpack_keys(column: Column) -> Ints:
    """Return packed keys."""
    return unpack_hashes(column).view(np.int64)


def unpack_hashes(column: Column) -> Hashes:
    """Return packed hashes. Raises FormatError for what are none."""
    hashes = unpack(column)
    if hashes.dtype.kind != "u":
        raise FormatError("a hash is no whole number")
    return hashes.astype(np.uint64)
