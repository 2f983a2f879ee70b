"""A pane: what every row made in one slice of event time, and which events are in it."""

from collections.abc import Container
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask
from stream_app.core.changelog.segments import Entries, Segment, SegmentKey

_LARGE = 4096
"""Chunks of so many entries are left as they are: joining them would cost more than reading them."""


class RowEntries(NamedTuple):
    """What rows made: columns of equal length."""

    rows: Ints
    posts: Ints
    impressions: Ints
    squares: Floats

    def slim(self) -> "RowEntries":
        """The same in narrower types, for keeping."""
        return RowEntries(
            self.rows.astype(np.int32),
            self.posts.astype(np.int32),
            self.impressions,
            self.squares,
        )

    def part(self, run: slice | Mask) -> "RowEntries":
        """Some of the entries."""
        return RowEntries(self.rows[run], self.posts[run], self.impressions[run], self.squares[run])

    def negative(self) -> "RowEntries":
        """What takes these entries away again."""
        return RowEntries(
            self.rows,
            -self.posts.astype(np.int64),
            -self.impressions.astype(np.int64),
            -self.squares.astype(np.float64),
        )


class PaneContent(NamedTuple):
    """What is stored of a pane."""

    pane: int
    entries: Entries
    hashes: Hashes


def joined(chunks: list[RowEntries]) -> RowEntries:
    """The chunks after each other."""
    if not chunks:
        none = np.empty(0, np.int64)
        return RowEntries(none, none, none, np.empty(0))
    return RowEntries(*(np.concatenate(columns) for columns in zip(*chunks, strict=True)))


def summed(rows: Ints, posts: Ints, impressions: Ints, squares: Floats) -> RowEntries:
    """One entry per row, in order: the sums of what it made."""
    distinct, inverse = np.unique(rows, return_inverse=True)
    size = len(distinct)
    totals = np.zeros(size, np.int64)
    np.add.at(totals, inverse, impressions)
    return RowEntries(
        distinct.astype(np.int64),
        np.bincount(inverse, posts, size).astype(np.int64),
        totals,
        np.bincount(inverse, squares, size).astype(np.float64, copy=False),
    )


class Pane:
    """One pane of a ledger: a sealed base that lives only in its stored segment, and what came since, by row."""

    def __init__(self) -> None:
        self.sealed: tuple[SegmentKey, list[Segment]] | None = None
        """The newest stored merge of this pane."""
        self.packed = False
        """The counts and hashes of the sealed segment are held nowhere else."""
        self.stale = True
        """Something came since it was last sealed."""
        self.chunks: list[RowEntries] = []

    def add(self, entries: RowEntries) -> None:
        """Add what one batch made. Small chunks become one, each with one of its size: a round reads all of them."""
        self.stale = True
        while self.chunks and len(self.chunks[-1].rows) < min(2 * len(entries.rows), _LARGE):
            entries = summed(*joined([self.chunks.pop(), entries])).slim()
        self.chunks.append(entries)

    def seal(self, key: SegmentKey, segments: list[Segment], *, pack: bool) -> None:
        """`segments`, stored at `key`, hold all of this pane. `pack`: keep no other copy of it."""
        self.sealed = (key, segments)
        self.stale = False
        self.packed = pack
        if pack:
            self.chunks = []

    def take_out(self, users: Container[str], rows: Mask) -> None:
        """Take `users`, whose rows are marked, out of what is held by row; stale if something of them was here."""
        fewer = [chunk.part(~rows[chunk.rows]) for chunk in self.chunks]
        self.stale |= sum(len(chunk.rows) for chunk in fewer) < sum(len(chunk.rows) for chunk in self.chunks)
        self.chunks = fewer
        segments = self.sealed[1] if self.sealed and self.packed else []
        self.stale |= any(name in users for segment in segments for name in segment.users())

    @property
    def nbytes(self) -> int:
        """Bytes held besides the stored segment."""
        return sum(column.nbytes for chunk in self.chunks for column in chunk)

    def packed_hashes(self) -> list[Hashes]:
        """Hashes of the events that only the sealed segment knows: sorted arrays."""
        if self.sealed is None or not self.packed:
            return []
        return [hashes for segment in self.sealed[1] for _, _, hashes in segment.by_pane()]
