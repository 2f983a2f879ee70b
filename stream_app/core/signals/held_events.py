"""Held events: columns of events that wait until no older ones are to come, and are then taken in one order.

The order is that of time, and of all other columns within; so it hangs neither on how events arrived nor on batches, as
long as none comes later than is waited for. Those that do are left out, and counted.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Mask
from stream_app.core.signals.stored_arrays import StoredArray, stored, unstored
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
        """Event time up to which nothing more is taken."""
        self.late = 0
        """Events that came too late to be looked at."""

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

    def advance(self, ready_ms: int, keep_ms: int = 0) -> Columns:
        """Return all events that are held, in order; nothing older than `ready_ms` is to come.

        Those older than `ready_ms` − `keep_ms` are held no longer. The caller looks at those from the last `ready_ms`
        up to the new one.
        """
        held = self._in_order()
        over = len(held[0]) - self._most
        self.ready_ms = max(self.ready_ms, ready_ms, int(held[0][over - 1]) + 1 if over > 0 else NO_TIME)
        first = int(np.searchsorted(held[0], self.ready_ms - keep_ms))
        self._chunks = [tuple(column[first:] for column in held)] if first < len(held[0]) else []
        return held

    def stored(self) -> StoredHeld:
        """Return what is to be stored."""
        return StoredHeld(self.ready_ms, self.late, [stored(column) for column in self._in_order()])

    def restore(self, held: StoredHeld) -> None:
        """Go on from what was stored."""
        self.ready_ms, self.late = held.ready_ms, held.late
        self._chunks = [tuple(map(unstored, held.columns, self._dtypes))]

    def _in_order(self) -> Columns:
        if not self._chunks:
            return tuple(np.empty(0, dtype) for dtype in self._dtypes)
        joined = tuple(np.concatenate(columns) for columns in zip(*self._chunks, strict=True))
        order = np.lexsort(joined[::-1])
        return tuple(column[order] for column in joined)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(column.nbytes for chunk in self._chunks for column in chunk)
