"""Short sums: the sums of each row over the short window, kept up to date instead of added up in every round.

A batch is added as it is counted, and a pane is taken out when it leaves the short window: each entry costs twice what
it costs once, however many rows and rounds there are. Σ impressions² is a float; what rounding leaves of it goes with
the rest of the row.

Few rows have anything in the short window. So a row has a slot while it has something, and only a slot has sums:

    by row    [0, 2, 0, 0, 1, 0]    its slot, 0 for none
    by slot   [–, 4, 1]             its row, and the sums
"""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.state.panes import Pane, RowEntries

NO_PANE = -(2**62)
T = TypeVar("T", bound=np.generic)


class ShortSums:
    """Sums over the panes from `first_pane` on, by row."""

    def __init__(self) -> None:
        self.first_pane = NO_PANE
        self._slots = np.zeros(0, np.int32)
        self._used = 1
        """Slots in use: slot 0 is that of all rows without sums, and stays empty."""
        self._rows = np.zeros(1, np.int32)
        self._posts = np.zeros(1, np.int32)
        self._impressions = np.zeros(1, np.int64)
        self._squares = np.zeros(1)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        by_slot = (self._rows, self._posts, self._impressions, self._squares)
        return self._slots.nbytes + sum(column.nbytes for column in by_slot)

    def add(self, pane: int, entries: RowEntries) -> None:
        """Add entries of a pane, one for each row, unless the pane has left the short window."""
        if pane >= self.first_pane and len(entries.rows):
            self._reach(int(entries.rows.max()) + 1)
            self._give_slots(entries.rows)
            self._add(entries)

    def advance(self, first_pane: int, panes: Mapping[int, Pane]) -> None:
        """Take out what leaves the short window when it begins with `first_pane`; the panes still hold all of it."""
        if first_pane <= self.first_pane:
            return
        for number, pane in panes.items():
            if self.first_pane <= number < first_pane:
                for chunk in pane.chunks:
                    self._add(chunk.negative())
        self.first_pane = first_pane
        self._drop_empty()

    def of(self, rows: Ints) -> tuple[Ints, Floats, Floats]:
        """Return posts, impressions and Σ impressions² of some rows."""
        self._reach(int(rows.max(initial=-1)) + 1)
        slots = self._slots[rows]
        impressions = self._impressions[slots]
        squares = np.where(impressions > 0, np.maximum(self._squares[slots], 0.0), 0.0)
        return self._posts[slots].astype(np.int64), impressions.astype(np.float64), squares

    def clear(self, rows: Mask) -> None:
        """Reset the marked rows to zero."""
        self._keep(~rows[self._rows[1 : self._used]])

    def renumber(self, kept: Mask) -> None:
        """Keep only the rows marked in `kept`, in order."""
        self._reach(len(kept))
        self.clear(~kept)
        self._slots = self._slots[: len(kept)][kept]
        self._rows[self._slots] = np.arange(len(self._slots))

    def _add(self, entries: RowEntries) -> None:
        slots = self._slots[entries.rows]
        self._posts[slots] += entries.posts.astype(np.int32, copy=False)
        self._impressions[slots] += entries.impressions
        self._squares[slots] += entries.squares

    def _give_slots(self, rows: Ints) -> None:
        new = rows[self._slots[rows] == 0]
        start, self._used = self._used, self._used + len(new)
        if self._used > len(self._rows):
            size = max(self._used, len(self._rows) * 9 // 8)
            self._rows, self._posts = _reaching(self._rows, size), _reaching(self._posts, size)
            self._impressions, self._squares = _reaching(self._impressions, size), _reaching(self._squares, size)
        self._slots[new], self._rows[start : self._used] = np.arange(start, self._used), new

    def _drop_empty(self) -> None:
        used = slice(1, self._used)
        self._keep((self._posts[used] != 0) | (self._impressions[used] != 0))

    def _keep(self, kept: Mask) -> None:
        """Keep only the slots marked in `kept`, which begins with slot 1; number them anew, in order."""
        if kept.all():
            return
        places = np.concatenate([[0], 1 + np.flatnonzero(kept)])
        self._slots[self._rows[1 : self._used]] = 0
        self._rows, self._posts = self._rows[places], self._posts[places]
        self._impressions, self._squares = self._impressions[places], self._squares[places]
        self._used = len(places)
        self._slots[self._rows[1:]] = np.arange(1, self._used)

    def _reach(self, size: int) -> None:
        if size > len(self._slots):
            self._slots = _reaching(self._slots, max(size, len(self._slots) * 9 // 8, 64))


def _reaching(column: NDArray[T], size: int) -> NDArray[T]:
    wider = np.zeros(size, column.dtype)
    wider[: len(column)] = column
    return wider
