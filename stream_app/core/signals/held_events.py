"""Held events: columns of events that wait until no older ones are to come, and are then taken in one order.

The order is that of time, and of all other columns within; so it hangs neither on how events arrived nor on batches, as
long as none comes later than is waited for. Those that do are left out, and counted.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Hashes, Mask
from stream_app.core.signals.stored.stored_arrays import StoredArray, stored, unstored
from stream_app.core.state.watermark import NO_TIME

Columns = tuple[NDArray[Any], ...]
"""Of equal length, all of 64-bit integers; the first are times, epoch ms."""


class StoredHeld(msgspec.Struct, array_like=True):
    """Held events as they are stored."""

    ready_ms: int
    late: int
    columns: list[StoredArray]


class HeldEvents:
    """Events that wait, those of one kind."""

    def __init__(self, dtypes: Sequence[str], most: int) -> None:
        """`dtypes`: of the columns. `most`: events that may wait; beyond, the oldest no longer do."""
        self._dtypes = ("<i8", *dtypes)
        self._chunks: list[Columns] = []
        self._most = most
        self.ready_ms = NO_TIME
        """Event time up to which all have been taken, or can be: what comes later is too late."""
        self.late = 0
        """Events that came too late."""

    def __len__(self) -> int:
        return sum(len(chunk[0]) for chunk in self._chunks)

    def add(self, columns: Columns) -> Mask:
        """Take events. Returns which of them are too late, and left out."""
        late: Mask = columns[0] < self.ready_ms
        self.late += int(np.count_nonzero(late))
        kept = ~late if late.any() else slice(None)
        self._chunks.append(
            tuple(column[kept].astype(dtype) for column, dtype in zip(columns, self._dtypes, strict=True))
        )
        return late

    def take(self, ready_ms: int) -> Columns:
        """Return the events before `ready_ms`, in order, and hold them no longer."""
        held = self._joined()
        if (over := len(held[0]) - self._most) > 0:
            ready_ms = max(ready_ms, int(np.partition(held[0], over - 1)[over - 1]) + 1)
        self.ready_ms = max(self.ready_ms, ready_ms)
        is_ready = held[0] < self.ready_ms
        self._chunks = [tuple(column[~is_ready] for column in held)]
        return _in_order(tuple(column[is_ready] for column in held))

    def erase(self, keys: Hashes, column: int) -> None:
        """Drop the events with one of the keys in a column."""
        held = self._joined()
        kept = ~np.isin(held[column], keys)
        self._chunks = [tuple(values[kept] for values in held)]

    def stored(self) -> StoredHeld:
        """Return what is to be stored."""
        return StoredHeld(self.ready_ms, self.late, [stored(column) for column in _in_order(self._joined())])

    def restore(self, held: StoredHeld) -> None:
        """Go on from what was stored."""
        self.ready_ms, self.late = held.ready_ms, held.late
        self._chunks = [tuple(map(unstored, held.columns, self._dtypes))]

    def _joined(self) -> Columns:
        if not self._chunks:
            return tuple(np.empty(0, dtype) for dtype in self._dtypes)
        return tuple(np.concatenate(columns) for columns in zip(*self._chunks, strict=True))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(column.nbytes for chunk in self._chunks for column in chunk)


def _in_order(columns: Columns) -> Columns:
    order = np.lexsort(columns[::-1])
    return tuple(column[order] for column in columns)
