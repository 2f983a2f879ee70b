"""Short sums: the sums of each row over the short window, kept up to date instead of added up in every round.

A batch is added as it is counted, and a pane is taken out when it leaves the short window: each entry costs twice what
it costs once, however many rows and rounds there are. Σ impressions² is a float; what is left of it by rounding, where
nothing else is left, reads as 0.
"""

from collections.abc import Mapping

import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.state.panes import Pane, RowEntries

NO_PANE = -(2**62)


class ShortSums:
    """Sums over the panes from `first_pane` on, by row."""

    def __init__(self) -> None:
        self.first_pane = NO_PANE
        self._posts = np.zeros(0, np.int32)
        self._impressions = np.zeros(0, np.int64)
        self._squares = np.zeros(0)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._posts.nbytes + self._impressions.nbytes + self._squares.nbytes

    def add(self, pane: int, entries: RowEntries) -> None:
        """Add entries of a pane, one for each row, unless the pane has left the short window."""
        if pane >= self.first_pane and len(entries.rows):
            self._make_room(int(entries.rows.max()) + 1)
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

    def of(self, rows: Ints) -> tuple[Ints, Floats, Floats]:
        """Return posts, impressions and Σ impressions² of some rows."""
        self._make_room(int(rows.max(initial=-1)) + 1)
        impressions = self._impressions[rows]
        squares = np.where(impressions > 0, np.maximum(self._squares[rows], 0.0), 0.0)
        return self._posts[rows].astype(np.int64), impressions.astype(np.float64), squares

    def clear(self, rows: Mask) -> None:
        """Reset the marked rows to zero."""
        self._make_room(len(rows))
        for column in (self._posts, self._impressions, self._squares):
            column[: len(rows)][rows] = 0

    def renumber(self, kept: Mask) -> None:
        """Keep only the rows marked in `kept`, in order."""
        self._make_room(len(kept))
        self._posts, self._impressions = self._posts[: len(kept)][kept], self._impressions[: len(kept)][kept]
        self._squares = self._squares[: len(kept)][kept]

    def _add(self, entries: RowEntries) -> None:
        self._posts[entries.rows] += entries.posts.astype(np.int32, copy=False)
        self._impressions[entries.rows] += entries.impressions
        self._squares[entries.rows] += entries.squares

    def _make_room(self, size: int) -> None:
        more = size - len(self._posts)
        if more > 0:
            more = max(more, len(self._posts) // 8, 64)
            self._posts, self._impressions = np.pad(self._posts, (0, more)), np.pad(self._impressions, (0, more))
            self._squares = np.pad(self._squares, (0, more))
