"""A vectorised hash index: 64-bit keys to the row numbers 0, 1, 2 … in order of arrival.

A dict of a million Python ints costs 100 bytes an entry and 1 µs a look-up; this costs 8 bytes for the key and 8 to 16
for its slot, and looks up a whole batch in a few numpy calls. Open addressing with linear probing, at most half full.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
Rows = NDArray[np.int64]

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads consecutive keys over the table
_EMPTY = np.int32(-1)
_SMALLEST = 64


class Index:
    """Rows by 64-bit key. Grows by itself; rows are never removed one by one (build a new one from the keys kept)."""

    def __init__(self, keys: Keys | None = None) -> None:
        """Start with `keys` (distinct) as rows 0 … len(keys) − 1."""
        self._keys = np.empty(_SMALLEST, np.int64) if keys is None else keys
        self._size = 0 if keys is None else len(keys)
        self._place(self._size)

    def __len__(self) -> int:
        return self._size

    @property
    def keys(self) -> Keys:
        """The keys by row: a view, shape (len(self),)."""
        return self._keys[: self._size]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._keys.nbytes + self._slots.nbytes

    def find(self, keys: Keys) -> Rows:
        """Row of each key, −1 where it is not in the index."""
        rows = np.full(len(keys), -1, np.int64)
        pending = np.arange(len(keys))
        slots = self._home(keys)
        while len(pending):
            held = self._slots[slots]
            taken = held != _EMPTY
            hit = taken.copy()
            hit[taken] = self._keys[held[taken]] == keys[pending[taken]]
            rows[pending[hit]] = held[hit]
            go_on = taken & ~hit
            pending, slots = pending[go_on], (slots[go_on] + 1) & self._mask
        return rows

    def add(self, keys: Keys) -> Rows:
        """Row of each of the distinct `keys`; those not yet there get new rows."""
        self._reserve(self._size + len(keys))
        rows = np.empty(len(keys), np.int64)
        pending = np.arange(len(keys))
        slots = self._home(keys)
        while len(pending):
            held = self._slots[slots]
            free = held == _EMPTY
            if free.any():
                self._claim(keys, pending[free], slots[free])
                held = self._slots[slots]
            hit = self._keys[held] == keys[pending]
            rows[pending[hit]] = held[hit]
            go_on = ~hit
            pending, slots = pending[go_on], (slots[go_on] + 1) & self._mask
        return rows

    def _claim(self, keys: Keys, pending: Rows, slots: Rows) -> None:
        """Give each free slot to one of the keys that want it; the others go on probing."""
        contenders = np.arange(len(pending), dtype=np.int32)
        self._slots[slots] = contenders  # the last writer of a slot wins it
        winners = self._slots[slots] == contenders
        count = int(np.count_nonzero(winners))
        new = np.arange(self._size, self._size + count, dtype=np.int32)
        self._slots[slots[winners]] = new
        self._keys[new] = keys[pending[winners]]
        self._size += count

    @property
    def _mask(self) -> int:
        return len(self._slots) - 1

    def _home(self, keys: Keys) -> Rows:
        shift = np.uint64(65 - len(self._slots).bit_length())
        return cast(Rows, ((keys.view(np.uint64) * _MIX) >> shift).astype(np.int64))

    def _reserve(self, size: int) -> None:
        if size > len(self._keys):
            capacity = max(size, len(self._keys) + len(self._keys) // 2)
            self._keys = np.concatenate((self.keys, np.empty(capacity - self._size, np.int64)))
        if size * 2 > len(self._slots):
            self._place(size)

    def _place(self, size: int) -> None:
        """Make slots for `size` keys and put those held into them."""
        self._slots = np.full(max(_SMALLEST, 1 << (2 * size - 1).bit_length()), _EMPTY)
        slots = self._home(self.keys)
        rows = np.arange(self._size, dtype=np.int32)
        while len(rows):
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = rows[free]
            go_on = self._slots[slots] != rows
            rows, slots = rows[go_on], (slots[go_on] + 1) & self._mask
