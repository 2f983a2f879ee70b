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
        self._make_slots()

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
        """Row of each key; new ones get the next rows in order of appearance. Keys may repeat."""
        rows = self.find(keys)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            distinct, first, inverse = np.unique(keys[missing], return_index=True, return_inverse=True)
            order = np.argsort(first)
            numbers = np.empty(len(order), np.int64)
            numbers[order] = np.arange(self._size, self._size + len(order))
            rows[missing] = numbers[inverse]
            self._append(distinct[order])
        return rows

    def _append(self, keys: Keys) -> None:
        start, self._size = self._size, self._size + len(keys)
        if self._size > len(self._keys):
            room = max(self._size, start + start // 2)
            self._keys = np.concatenate([self._keys[:start], np.empty(room - start, np.int64)])
        self._keys[start : self._size] = keys
        if self._size * 2 > len(self._slots):
            self._make_slots()
        else:
            self._place(np.arange(start, self._size, dtype=np.int32))

    @property
    def _mask(self) -> int:
        return len(self._slots) - 1

    def _home(self, keys: Keys) -> Rows:
        shift = np.uint64(65 - len(self._slots).bit_length())
        return cast(Rows, ((keys.view(np.uint64) * _MIX) >> shift).astype(np.int64))

    def _make_slots(self) -> None:
        self._slots = np.full(max(_SMALLEST, 1 << (2 * self._size).bit_length()), _EMPTY)
        self._place(np.arange(self._size, dtype=np.int32))

    def _place(self, rows: NDArray[np.int32]) -> None:
        """Put rows into the slots: where several want a free one the last gets it, and the others go on."""
        slots = self._home(self._keys[rows])
        while len(rows):
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = rows[free]
            go_on = self._slots[slots] != rows
            rows, slots = rows[go_on], (slots[go_on] + 1) & self._mask
