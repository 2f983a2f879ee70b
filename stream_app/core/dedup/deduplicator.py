"""Deduplication: hashes of the events counted in the window, so that a redelivered event counts once.

Rows of an index cannot be removed, and making it anew takes as long as adding all that is kept. So the events of panes
that are forgotten stay in it as rows without a pane until they are half of it: then it is made anew.
"""

from collections.abc import Container, Mapping

import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask, distinct_in
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.events.identity import Hashing
from stream_app.core.state.panes import Pane

UNKNOWN = -(2**62)
"""No number of a pane."""
_FORGOTTEN_KEPT = 1000
"""Forgotten events that may stay in an index besides: a small one is not worth making anew."""


class Deduplicator:
    """Indexes the events in open panes of a ledger; events in packed panes are looked up in their sealed segments."""

    def __init__(self, hashing: Hashing) -> None:
        """`hashing`: what all hashes given to it are made of."""
        self._hashing = hashing
        self._index = HashIndex()
        self._panes = np.empty(64, np.int64)
        self._held: set[int] = set()
        """The panes that have events in the index."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._index.nbytes + self._panes.nbytes

    def first(self, hashes: Hashes, panes: Ints, held: Mapping[int, Pane]) -> Mask:
        """Return which events are new, and remember them. Of repeated events in a batch the first is new."""
        candidates = np.flatnonzero(~self._packed(hashes, panes, held))
        before = len(self._index)
        rows = self._index.add(hashes[candidates].view(np.int64))
        # New rows are numbered in order of appearance, so the first event of a new row exceeds all rows before it.
        highest = np.maximum.accumulate(np.concatenate([[before - 1], rows]))
        is_first = rows > highest[:-1]
        again = np.flatnonzero(rows < before)
        forgotten = again[self._panes[rows[again]] == UNKNOWN]
        is_first[forgotten[np.unique(rows[forgotten], return_index=True)[1]]] = True
        fresh = candidates[is_first]
        self._make_room(before)
        self._panes[rows[is_first]] = panes[fresh]
        self._held.update(distinct_in(panes[fresh]).tolist())
        new = np.zeros(len(hashes), np.bool_)
        new[fresh] = True
        return new

    def known(self, hashes: Hashes, panes: Ints, held: Mapping[int, Pane]) -> Mask:
        """Return which events are known in their own pane. Remembers nothing."""
        known = self._packed(hashes, panes, held)
        known |= self.panes_of(hashes) == panes
        return known

    def panes_of(self, hashes: Hashes) -> Ints:
        """Return the pane in which each event was counted; `UNKNOWN` where it is in no open pane."""
        rows = self._index.find(hashes.view(np.int64))
        panes = np.full(len(hashes), UNKNOWN)
        panes[rows >= 0] = self._panes[rows[rows >= 0]]
        return panes

    @property
    def rebuilds(self) -> int:
        """How often the index was made again because hashes collided in it."""
        return self._index.rebuilds

    def restore(self, hashes: Hashes, pane: int) -> None:
        """Restore the events of an open pane; none of them is in another pane."""
        self.first(hashes, np.full(len(hashes), pane), {})

    def of_pane(self, pane: int) -> Hashes:
        """Return the hashes of the events in an open pane."""
        hashes: Hashes = self._index.keys.view(np.uint64)[self._panes[: len(self._index)] == pane]
        return hashes

    def forget(self, panes: Container[int]) -> None:
        """Drop the events of `panes`, which are packed or have left the window."""
        gone = [pane for pane in self._held if pane in panes]
        if not gone:
            return
        self._held.difference_update(gone)
        held = self._panes[: len(self._index)]
        held[np.isin(held, gone)] = UNKNOWN
        kept = held != UNKNOWN
        if np.count_nonzero(kept) < len(held) // 2 - _FORGOTTEN_KEPT:
            rebuilds = self._index.rebuilds
            self._index, self._panes = HashIndex(self._index.keys[kept]), held[kept]
            self._index.rebuilds += rebuilds

    def _make_room(self, before: int) -> None:
        size = len(self._index)
        if size > len(self._panes):
            room = np.empty(max(size, 5 * before // 4) - before, np.int64)
            self._panes = np.concatenate([self._panes[:before], room])

    def _packed(self, hashes: Hashes, panes: Ints, held: Mapping[int, Pane]) -> Mask:
        """Return which of the events are in packed panes."""
        known = np.zeros(len(hashes), np.bool_)
        for number in distinct_in(panes).tolist():  # a batch spans few panes, the ledger may hold a hundred
            pane = held.get(number)
            if pane is None or not pane.packed:
                continue
            in_pane = np.flatnonzero(panes == number)
            for stored in pane.packed_hashes(self._hashing):
                known[in_pane] |= contained(hashes[in_pane], stored)
        return known


def contained(hashes: Hashes, known: Hashes) -> Mask:
    """Return which of `hashes` are in the sorted array `known`."""
    if not len(known):
        return np.zeros(len(hashes), np.bool_)
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    contained: Mask = known[places] == hashes
    return contained
