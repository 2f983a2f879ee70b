"""Scope cells: additive counts by pane and scope, a row of a hash index for each that had any."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.dedup.hash_index import HashIndex

NO_PANE = -(2**62)
_SCOPE_BITS = 24
_SCOPE_MASK = (1 << _SCOPE_BITS) - 1
_EMPTY_KEPT = 1000


class CellCounts(NamedTuple):
    """Counts of some panes and scopes."""

    panes: Ints
    scopes: Ints
    counts: Ints
    """Of shape (measures, n)."""


class ScopeCells:
    """Counts by pane and scope."""

    def __init__(self, measures: int) -> None:
        self._index = HashIndex()
        self._counts = np.zeros((measures, 64), np.int32)
        self._first = NO_PANE

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._index.nbytes + self._counts.nbytes

    @property
    def panes(self) -> range:
        """All panes that are kept, from the first with counts to the last."""
        panes = self._index.keys >> _SCOPE_BITS
        panes = panes[panes >= self._first]
        return range(int(panes.min()), int(panes.max()) + 1) if len(panes) else range(0)

    def add(self, cells: CellCounts) -> None:
        """Add counts, but none of panes that are forgotten; pairs of pane and scope may repeat."""
        kept = cells.panes >= self._first
        rows = self._index.add(cells.panes[kept] << _SCOPE_BITS | cells.scopes[kept])
        size = len(self._index)
        if size > self._counts.shape[1]:
            wider = np.zeros((len(self._counts), size * 9 // 8), np.int32)
            wider[:, : self._counts.shape[1]] = self._counts
            self._counts = wider
        for sums, more in zip(self._counts, cells.counts[:, kept], strict=True):
            np.add.at(sums, rows, more.astype(np.int32))

    def of_scopes(self, panes: range, scopes: int) -> Ints:
        """Return the sums over some panes by scope: of shape (measures, scopes)."""
        cells = self.all()
        chosen = (cells.panes >= panes.start) & (cells.panes < panes.stop)
        sums = np.zeros((len(cells.counts), scopes), np.int64)
        for by_scope, counts in zip(sums, cells.counts, strict=True):
            np.add.at(by_scope, cells.scopes[chosen], counts[chosen])
        return sums

    def series(self, scope: int, panes: range) -> Ints:
        """Return the counts of a scope by pane: of shape (measures, panes)."""
        numbers = np.arange(panes.start, panes.stop)
        rows = self._index.find(numbers << _SCOPE_BITS | scope)
        found = (rows >= 0) & (numbers >= self._first)
        counts = np.zeros((len(self._counts), len(panes)), np.int64)
        counts[:, found] = self._counts[:, rows[found]]
        return counts

    def all(self) -> CellCounts:
        """Return everything that is not zero."""
        keys, counts = self._index.keys, self._counts[:, : len(self._index)]
        held = self._are_held()
        return CellCounts(keys[held] >> _SCOPE_BITS, keys[held] & _SCOPE_MASK, counts[:, held].astype(np.int64))

    def forget(self, first: int) -> None:
        """Forget the panes before `first`."""
        self._first = max(self._first, first)
        held = self._are_held()
        if np.count_nonzero(~held) > max(_EMPTY_KEPT, len(held) // 4):
            self._counts = self._counts[:, : len(held)][:, held]
            self._index = HashIndex(self._index.keys[held])

    def used(self, scopes: int) -> Mask:
        """Return which scopes have counts."""
        mask = np.zeros(scopes, np.bool_)
        mask[self.all().scopes] = True
        return mask

    def renumber(self, numbers: Ints) -> None:
        """Scope s becomes `numbers[s]`; the others have no counts."""
        cells = self.all()
        self._index, self._counts = HashIndex(), np.zeros((len(self._counts), 64), np.int32)
        self.add(cells._replace(scopes=numbers[cells.scopes]))

    def _are_held(self) -> Mask:
        """Return which rows are in a pane that is not forgotten, and not zero."""
        held: Mask = np.any(self._counts[:, : len(self._index)] != 0, axis=0)
        held &= self._index.keys >> _SCOPE_BITS >= self._first
        return held
