"""Pair counts: how often who did something to whom in the window, and how evenly.

For each "who" there are: how often in all, with how many, the sum of squares, and how often with the one most often.
The same is asked of different pairs: (sharer, author) for one-sided, (sharer, post) for its distinct posts, and
(author, sharer) for effective sharers. The counts are exact in any order of arrival.
"""

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.signals.stored.stored_arrays import StoredArray, grown, stored, unstored
from stream_app.core.signals.window_table import StoredTable, WindowTable, distinct_rows, slices_until

_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
TIMES, OTHERS, SQUARES, MOST = range(4)
"""Columns of what is known of a "who"."""


class StoredPairs(msgspec.Struct, array_like=True):
    """Pair counts as they are stored."""

    first_slice: int
    who: StoredArray
    """Keys, in the order of their numbers in the table."""
    table: StoredTable


class PairCounts:
    """Counts of pairs (who, whom) in the window."""

    def __init__(self, most: int) -> None:
        """`most`: entries of pairs and slices. Beyond, the window is shorter."""
        self._most = most
        self._table = WindowTable(1, state=("who",), dtype="<i4")
        self._who = HashIndex()
        self._known = np.zeros((0, 4), np.int64)
        self._first_slice = -(2**62)

    def add(self, slices: Ints, who: Hashes, whom: Hashes) -> None:
        """Count one for each pair; those whose slice has left the window are left out."""
        if (slices < self._first_slice).any():
            kept = slices >= self._first_slice
            slices, who, whom = slices[kept], who[kept], whom[kept]
        if not len(slices):
            return
        people = self._who.add(who.view(np.int64))
        self._known = grown(self._known, len(self._who))
        rows = self._table.rows(paired(who, whom))
        self._table.state["who"][rows] = people
        touched = np.unique(rows)
        before = self._table.sums[touched, 0].astype(np.int64)
        self._table.add(slices, rows, np.ones((len(rows), 1), np.int64))
        self._changed(touched, before)

    def _changed(self, touched: Ints, before: Ints) -> None:
        """Correct what is known of people some of whose pairs have changed; it does not see that a most has fallen."""
        now, people = self._table.sums[touched, 0].astype(np.int64), self._table.state["who"][touched]
        changes = np.stack([now - before, (now > 0).astype(np.int64) - (before > 0), now**2 - before**2], axis=1)
        np.add.at(self._known[:, :MOST], people, changes)
        np.maximum.at(self._known[:, MOST], people, now)

    def advance(self, end_ms: int, slice_ms: int, slices: int) -> None:
        """Let the window end with the slice of `end_ms`."""
        self._expire(slices_until(end_ms, slice_ms, slices))
        while self._table.entries > self._most and (oldest := self._table.first_slice) is not None:
            self._expire(oldest + 1)

    def _expire(self, first_slice: int) -> None:
        self._first_slice = max(self._first_slice, first_slice)
        sums = self._table.sums[:, 0].astype(np.int64) if self._leaves() else None
        touched = distinct_rows(self._table.expire(self._first_slice))
        if sums is None or not len(touched):
            return
        self._changed(touched, sums[touched])
        fell = np.zeros(len(self._who), np.bool_)
        fell[self._table.state["who"][touched]] = True
        self._known[: len(fell), MOST][fell] = 0
        people = self._table.state["who"][: len(self._table)]
        of_them = np.flatnonzero(fell[people])
        np.maximum.at(self._known[:, MOST], people[of_them], self._table.sums[of_them, 0])
        if self._table.compact() is not None:
            self._drop_people()

    def _leaves(self) -> bool:
        oldest = self._table.first_slice
        return oldest is not None and oldest < self._first_slice

    def _drop_people(self) -> None:
        people = self._table.state["who"][: len(self._table)]
        kept, numbers = np.unique(people, return_inverse=True)
        self._table.state["who"][: len(people)] = numbers
        self._who, self._known = HashIndex(self._who.keys[kept]), self._known[kept]

    def of(self, who: Hashes) -> Ints:
        """Return what is known of people: of shape (4, n); 0 of those without a pair."""
        if not len(self._who):
            return np.zeros((4, len(who)), np.int64)
        people = self._who.find(who.view(np.int64))
        return np.where(people < 0, 0, self._known[people].T)

    def erase(self, who: Hashes) -> None:
        """Forget people and their pairs. Others' pairs with them stay, of which there is only a hash of both."""
        people = self._who.find(who.view(np.int64))
        is_gone = np.zeros(len(self._who), np.bool_)
        is_gone[people[people >= 0]] = True
        self._table.erase(np.flatnonzero(is_gone[self._table.state["who"][: len(self._table)]]))
        self._drop_people()

    def stored(self) -> StoredPairs:
        """Return what is to be stored."""
        return StoredPairs(self._first_slice, stored(self._who.keys), self._table.stored())

    def restore(self, pairs: StoredPairs) -> None:
        """Go on from what was stored; nothing is counted so far."""
        self._first_slice = pairs.first_slice
        self._who = HashIndex(unstored(pairs.who))
        self._known = grown(self._known, len(self._who))
        self._table.restore(pairs.table)
        rows: Ints = np.arange(len(self._table))
        self._changed(rows, np.zeros(len(rows), np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._table.nbytes + self._who.nbytes + self._known.nbytes


def paired(first: Hashes, second: Hashes) -> Hashes:
    """Return a hash of each pair; of (a, b) another one than of (b, a)."""
    mixed = first * _ODD
    mixed ^= mixed >> _SHIFT
    found: Hashes = (mixed + second) * _ODD
    return found ^ (found >> _SHIFT)
