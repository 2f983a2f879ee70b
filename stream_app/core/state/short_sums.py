"""Short sums: what each row did in each slot of the short window, which is finer than panes and ends with the newest.

Panes may be as long as the short window itself, so "the last hour" would be anything from nothing to an hour. A slot is
a twelfth of the short window, or a little less. What a user did within a slot counts as one moment: people who send ten
messages in a minute are no surer to go on than those who send one (see `Moments`).

Only rows that did something in a slot are kept, so that they cost nothing for all others. The entries of a slot are
chunks sorted by row, merged like the digits of a binary counter: reading costs a search in each.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.state.panes import RowEntries, joined, summed

NO_SLOT = -(2**62)
_NEWEST = 2
"""Slots that count as newest: the one that has begun, and the one before."""


class Moments(NamedTuple):
    """What some rows did in the short window: columns of shape (2, rows); index 0 is posts, 1 is impressions."""

    sums: Floats
    squares: Floats
    """Σ of the squares of the sums of each slot: sums² / squares is the effective number of moments."""
    newest: Floats
    """Sums of the newest slots."""

    def at(self, places: Ints) -> "Moments":
        """Return those of some of the rows."""
        return Moments(*(column[:, places] for column in self))


class ShortSums:
    """Sums by slot and row from `first_slot` on."""

    def __init__(self) -> None:
        self.first_slot = NO_SLOT
        self._chunks: dict[int, list[RowEntries]] = {}
        """By slot."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(chunk.nbytes for chunks in self._chunks.values() for chunk in chunks)

    def add(self, slot: int, entries: RowEntries) -> None:
        """Add entries of a slot, one for each row and sorted by row, unless the slot has left the short window."""
        if slot < self.first_slot or not len(entries.rows):
            return
        chunks = self._chunks.setdefault(slot, [])
        while chunks and len(chunks[-1].rows) < 2 * len(entries.rows):
            entries = summed(*joined([chunks.pop(), entries]))
        chunks.append(entries.slim())

    def advance(self, first_slot: int) -> None:
        """Forget what leaves the short window when it begins with `first_slot`."""
        if first_slot <= self.first_slot:
            return
        self.first_slot = first_slot
        for slot in [slot for slot in self._chunks if slot < first_slot]:
            del self._chunks[slot]

    def of(self, rows: Ints, last_slot: int) -> Moments:
        """Return the moments of some rows in a short window that ends with `last_slot`."""
        shape = (2, len(rows))
        sums, squares, newest = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for slot in self._chunks:
            of_slot = np.zeros(shape)
            for chunk in self._in_few(slot, last_slot):
                places = np.minimum(np.searchsorted(chunk.rows, rows), len(chunk.rows) - 1)
                found = np.flatnonzero(chunk.rows[places] == rows)
                of_slot[0, found] += chunk.posts[places[found]]
                of_slot[1, found] += chunk.impressions[places[found]]
            sums += of_slot
            squares += of_slot**2
            if slot > last_slot - _NEWEST:
                newest += of_slot
        return Moments(sums, squares, newest)

    def entries_of(self, slots: range) -> Iterator[tuple[int, RowEntries]]:
        """Yield what is known of some slots, with one entry for each row, sorted."""
        for slot in slots:
            if slot in self._chunks:
                yield slot, summed(*joined(self._chunks[slot]))

    def clear(self, rows: Mask) -> None:
        """Forget the marked rows."""
        self._replace(lambda chunk: chunk.part(~rows[chunk.rows]))

    def renumber(self, new_rows: Ints, kept: Mask) -> None:
        """Keep only the rows marked in `kept`; row r becomes `new_rows[r]`, in the same order."""

        def moved(chunk: RowEntries) -> RowEntries:
            left = chunk.part(kept[chunk.rows])
            return left._replace(rows=new_rows[left.rows]).slim()

        self._replace(moved)

    def _in_few(self, slot: int, last_slot: int) -> list[RowEntries]:
        """Return the chunks of a slot; put together once it is over, when hardly anything more comes."""
        chunks = self._chunks[slot]
        if slot < last_slot and len(chunks) > 1:
            chunks = self._chunks[slot] = [summed(*joined(chunks)).slim()]
        return chunks

    def _replace(self, change: Callable[[RowEntries], RowEntries]) -> None:
        for slot, chunks in list(self._chunks.items()):
            changed = [chunk for chunk in map(change, chunks) if len(chunk.rows)]
            if changed:
                self._chunks[slot] = changed
            else:
                del self._chunks[slot]
