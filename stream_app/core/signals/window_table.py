"""Window tables: whole numbers by 64-bit key, added up over the window, slice by slice.

What leaves the window is subtracted again, exactly. A row whose key has nothing in the window any more goes when half
of the rows are such; until then its sums are 0. The rest of a row (`state`) is the caller's, and goes with it.
"""

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Hashes, Ints, Mask, distinct_in
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.signals.stored.stored_arrays import StoredArray, grown, narrow, starts_of, stored, unstored

_FEW_ROWS = 1000
_LARGE = 4096
"""Chunks of this many entries are not merged: that would cost more than reading them separately."""


class Chunk(NamedTuple):
    """What some rows added in a slice: rows, and a column for each sum, all as narrow as they can be."""

    rows: NDArray[np.int32]
    columns: tuple[Ints, ...]

    def part(self, chosen: Mask) -> "Chunk":
        """Return some of the entries."""
        return Chunk(self.rows[chosen], tuple(column[chosen] for column in self.columns))

    def values(self) -> Ints:
        """Return the columns as one array of shape (entries, sums)."""
        return np.stack([column.astype(np.int64) for column in self.columns], axis=1)


class StoredTable(msgspec.Struct, array_like=True):
    """A window table as it is stored: only what is in the window."""

    keys: StoredArray
    state: list[StoredArray]
    slices: list[tuple[int, StoredArray, list[StoredArray]]]


class WindowTable:
    """Sums by key, and columns of state beside them."""

    def __init__(self, sums: int, state: tuple[str, ...] = (), dtype: str = "<i8") -> None:
        """`sums`: how many. `state`: names of columns, which begin as 0. `dtype`: of sums and state, in memory."""
        self._index = HashIndex()
        self._sums: Ints = np.zeros((0, sums), dtype)
        self.state: dict[str, Ints] = {name: np.zeros(0, dtype) for name in state}
        """By name: columns with room for at least all rows."""
        self._slices: dict[int, list[Chunk]] = {}

    def __len__(self) -> int:
        return len(self._index)

    @property
    def keys(self) -> Hashes:
        """The key of each row."""
        return self._index.keys.view(np.uint64)

    @property
    def entries(self) -> int:
        """Entries of all slices: at most one for each event."""
        return sum(len(chunk.rows) for chunks in self._slices.values() for chunk in chunks)

    @property
    def first_slice(self) -> int | None:
        """The oldest slice that holds anything."""
        return min(self._slices, default=None)

    @property
    def sums(self) -> Ints:
        """Sums in the window: a view of shape (rows, sums)."""
        return self._sums[: len(self)]

    def find(self, keys: Hashes) -> Ints:
        """Return the row of each key, −1 where there is none."""
        return self._index.find(keys.view(np.int64))

    def rows(self, keys: Hashes) -> Ints:
        """Return the row of each key; new keys get the next rows, with 0 in all columns."""
        before = len(self)
        rows = self._index.add(keys.view(np.int64))
        self._sums = grown(self._sums, len(self))
        for name, column in self.state.items():
            self.state[name] = grown(column, len(self))
            self.state[name][before : len(self)] = 0
        self._sums[before : len(self)] = 0
        return rows

    def add(self, slices: Ints, rows: Ints, values: Ints) -> None:
        """Add `values`, of shape (n, sums), to rows in slices."""
        order = np.lexsort((rows, slices))
        rows, values, slices = rows[order], values[order], slices[order]
        firsts = starts_of(slices, rows)
        if not len(firsts):
            return
        together = np.add.reduceat(values, firsts)
        np.add.at(self._sums, rows[firsts], together)
        firsts_of_slices = starts_of(slices[firsts]).tolist()
        for start, end in zip(firsts_of_slices, [*firsts_of_slices[1:], len(firsts)], strict=True):
            self._put(int(slices[firsts[start]]), rows[firsts[start:end]], together[start:end])

    def _put(self, number: int, rows: Ints, values: Ints) -> None:
        """Put a chunk into its slice; small ones are merged into it."""
        chunks = self._slices.setdefault(number, [])
        while chunks and len(chunks[-1].rows) < min(2 * len(rows), _LARGE):
            last = chunks.pop()
            rows, values = np.concatenate([last.rows, rows]), np.concatenate([last.values(), values])
            order = np.argsort(rows, kind="stable")
            firsts = starts_of(rows[order])
            rows, values = rows[order][firsts], np.add.reduceat(values[order], firsts)
        chunks.append(Chunk(rows.astype(np.int32), tuple(map(narrow, values.T))))

    def expire(self, first_slice: int) -> list[Chunk]:
        """Subtract all slices before the first of the window. Returns what they held; rows stay what they are."""
        gone = sorted(number for number in self._slices if number < first_slice)
        chunks = [chunk for number in gone for chunk in self._slices.pop(number)]
        for chunk in chunks:
            np.subtract.at(self._sums, chunk.rows, chunk.values())
        return chunks

    def erase(self, rows: Ints) -> None:
        """Drop some rows, in the window and as state; the rest are renumbered."""
        is_kept = np.ones(len(self), np.bool_)
        is_kept[rows] = False
        for number, chunks in self._slices.items():
            self._slices[number] = [chunk.part(is_kept[chunk.rows]) for chunk in chunks]
        self._keep(np.flatnonzero(is_kept))

    def compact(self) -> Ints | None:
        """Drop rows without anything in the window, if half of them are such. Returns the old number of each row."""
        if len(self) < _FEW_ROWS:
            return None
        used = np.zeros(len(self), np.bool_)
        for chunks in self._slices.values():
            for chunk in chunks:
                used[chunk.rows] = True
        if 2 * np.count_nonzero(used) > len(self):
            return None
        kept: Ints = np.flatnonzero(used)
        self._keep(kept)
        return kept

    def _keep(self, kept: Ints) -> None:
        numbers = np.zeros(len(self), np.int32)
        numbers[kept] = np.arange(len(kept))
        self._slices = {
            number: [chunk._replace(rows=numbers[chunk.rows]) for chunk in chunks]
            for number, chunks in self._slices.items()
        }
        self._sums = self._sums[kept]
        self.state = {name: column[kept] for name, column in self.state.items()}
        self._index = HashIndex(self._index.keys[kept])

    def stored(self) -> StoredTable:
        """Return what is to be stored."""
        slices = []
        for number, chunks in sorted(self._slices.items()):
            rows = np.concatenate([chunk.rows for chunk in chunks])
            values = np.concatenate([chunk.values() for chunk in chunks])
            slices.append((number, stored(rows), [stored(column) for column in values.T]))
        state = [stored(column[: len(self)]) for column in self.state.values()]
        return StoredTable(stored(self._index.keys), state, slices)

    def restore(self, table: StoredTable) -> None:
        """Go on from what was stored; the table is empty so far."""
        self.rows(unstored(table.keys).view(np.uint64))
        for name, column in zip(self.state, table.state, strict=True):
            self.state[name][: len(self)] = unstored(column)
        for number, rows, columns in table.slices:
            values = np.stack([unstored(column) for column in columns], axis=1)
            self.add(np.full(len(values), number), unstored(rows), values)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        chunks = [chunk for chunks in self._slices.values() for chunk in chunks]
        columns: list[NDArray[Any]] = [self._sums, *self.state.values()]
        entries = sum(chunk.rows.nbytes + sum(column.nbytes for column in chunk.columns) for chunk in chunks)
        return self._index.nbytes + entries + sum(column.nbytes for column in columns)


def slices_until(end_ms: int, slice_ms: int, slices: int) -> int:
    """Return the first slice of the window that ends with the slice of `end_ms`."""
    return end_ms // slice_ms - slices + 1


def distinct_rows(chunks: list[Chunk]) -> Ints:
    """Return the rows of which the chunks hold anything."""
    if not chunks:
        return np.empty(0, np.int64)
    return distinct_in(np.concatenate([chunk.rows for chunk in chunks]).astype(np.int64))
