"""A pane: the counts of every row in one slice of event time, and the events in it."""

from collections.abc import Container
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask, at, negated, together
from stream_app.core.changelog.segments import Segment, SegmentKey
from stream_app.core.events.identity import Hashing
from stream_app.core.state.renumbering import distinct

_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1
_LARGE = 4096
"""Chunks of this many entries are not merged: that would cost more than reading them separately."""


class RowEntries(NamedTuple):
    """Counts of some rows: columns of equal length."""

    rows: Ints
    posts: Ints
    impressions: Ints
    squares: Floats
    recruits: Ints | None = None
    """None where all are zero, like the next: only credits for what others did have any, and these are few."""
    amplified: Ints | None = None

    @property
    def are_some(self) -> Mask:
        """Which entries add anything."""
        some: Mask = (self.posts != 0) | (self.impressions != 0)
        return some if self.recruits is None else some | (self.recruits != 0) | (self.amplified != 0)

    def slim(self) -> "RowEntries":
        """Return the same entries in narrower types, to save memory."""
        return RowEntries(
            self.rows.astype(np.int32),
            self.posts.astype(np.int32),
            self.impressions,
            self.squares,
            None if self.recruits is None else self.recruits.astype(np.int32),
            self.amplified,
        )

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(column.nbytes for column in self if column is not None)

    def part(self, run: slice | Mask) -> "RowEntries":
        """Return some of the entries."""
        own = (self.rows[run], self.posts[run], self.impressions[run], self.squares[run])
        return RowEntries(*own, at(self.recruits, run), at(self.amplified, run))

    def negative(self) -> "RowEntries":
        """Return the entries negated: adding them undoes these."""
        return RowEntries(
            self.rows,
            -self.posts.astype(np.int64),
            -self.impressions.astype(np.int64),
            -self.squares.astype(np.float64),
            negated(self.recruits),
            negated(self.amplified),
        )


def joined(chunks: list[RowEntries]) -> RowEntries:
    """Concatenate the chunks."""
    if not chunks:
        none = np.empty(0, np.int64)
        return RowEntries(none, none, none, np.empty(0))
    *own, recruits, amplified = zip(*chunks, strict=True)
    sizes = [len(chunk.rows) for chunk in chunks]
    entries = RowEntries(*(np.concatenate(column) for column in own))
    return entries._replace(recruits=together(recruits, sizes), amplified=together(amplified, sizes))


def summed(
    rows: Ints,
    posts: Ints,
    impressions: Ints,
    squares: Floats,
    recruits: Ints | None = None,
    amplified: Ints | None = None,
) -> RowEntries:
    """Sum the entries of each row; return one entry per row, sorted by row."""
    distinct, inverse = np.unique(rows, return_inverse=True)
    size = len(distinct)
    return RowEntries(
        distinct.astype(np.int64),
        np.bincount(inverse, posts, size).astype(np.int64),
        _sums(impressions, inverse, size),
        np.bincount(inverse, squares, size).astype(np.float64, copy=False),
        None if recruits is None else _sums(recruits, inverse, size),
        None if amplified is None else _sums(amplified, inverse, size),
    )


def _sums(column: Ints, groups: Ints, size: int) -> Ints:
    sums = np.zeros(size, np.int64)
    np.add.at(sums, groups, column)
    return sums


def by_slot(slots: Ints, entries: RowEntries) -> dict[int, RowEntries]:
    """Sum entries by slot (`slots`: one for each) and row: by slot one entry per row, sorted by row."""
    numbers, ranks = distinct(slots)
    together = summed(ranks << _ROW_BITS | entries.rows, *entries[1:])
    ends = np.searchsorted(together.rows, np.arange(1, len(numbers) + 1) << _ROW_BITS).tolist()
    together = together._replace(rows=together.rows & _ROW_MASK)
    runs = pairwise([0, *ends])
    return {slot: together.part(slice(*run)) for slot, run in zip(numbers.tolist(), runs, strict=True)}


class Pane:
    """One pane of a ledger: its sealed segment, and chunks by row.

    Until the pane is packed the chunks hold everything; after that, only what came since the seal.
    """

    def __init__(self) -> None:
        self.sealed: tuple[SegmentKey, list[Segment]] | None = None
        """The newest sealed segment of this pane: key of the first part, and all parts."""
        self.packed = False
        """Whether the sealed segment is the only copy of its counts and hashes."""
        self.stale = True
        """Whether the pane has changed since it was last sealed."""
        self.chunks: list[RowEntries] = []
        self.stored_bytes = 0
        """Bytes of the sealed segment."""
        self._hashes: dict[Hashing, list[Hashes]] = {}
        """Of the sealed segment of a packed pane, once somebody has asked."""

    def holds(self, sequence: int) -> bool:
        """Return whether its sealed segment has what the delta `sequence` says of it."""
        return self.sealed is not None and self.sealed[0].sequence >= sequence

    def add(self, entries: RowEntries) -> None:
        """Add the entries of one batch. Merges small chunks into it, because every round reads all chunks."""
        self.stale = True
        while self.chunks and len(self.chunks[-1].rows) < min(2 * len(entries.rows), _LARGE):
            entries = summed(*joined([self.chunks.pop(), entries])).slim()
        self.chunks.append(entries)

    def seal(self, key: SegmentKey, segments: list[Segment], *, pack: bool) -> None:
        """Note that `segments`, stored under `key`, hold the whole pane. With `pack`, drop the other copy."""
        self.sealed = (key, segments)
        self.stored_bytes = sum(segment.nbytes for segment in segments)
        self.stale = False
        self.packed = pack
        self._hashes = {}
        if pack:
            self.chunks = []

    def take_out(self, users: Container[str], rows: Mask) -> None:
        """Remove `users`, whose rows are marked in `rows`, from the chunks. Stale if the pane held any of them."""
        fewer = [chunk.part(~rows[chunk.rows]) for chunk in self.chunks]
        self.stale |= sum(len(chunk.rows) for chunk in fewer) < sum(len(chunk.rows) for chunk in self.chunks)
        self.chunks = fewer
        segments = self.sealed[1] if self.sealed and self.packed else []
        self.stale |= any(name in users for segment in segments for name in segment.users())

    @property
    def nbytes(self) -> int:
        """Bytes in memory, without the stored segment."""
        return sum(chunk.nbytes for chunk in self.chunks)

    def packed_hashes(self, hashing: Hashing) -> list[Hashes]:
        """Return the hashes of one kind that only the sealed segment holds, as sorted arrays."""
        if self.sealed is None or not self.packed:
            return []
        if hashing not in self._hashes:
            runs = (run for segment in self.sealed[1] for run in segment.runs() if run.hashing is hashing)
            self._hashes[hashing] = [run.hashes for run in runs if len(run.hashes)]
        return self._hashes[hashing]
