"""Scope cells: additive counts by pane and scope, kept where they are not zero."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask, distinct_in

NO_PANE = -(2**62)


class CellCounts(NamedTuple):
    """Counts of some panes and scopes."""

    panes: Ints
    scopes: Ints
    counts: Ints
    """Of shape (measures, n)."""


class ScopeCells:
    """Counts by pane and scope."""

    def __init__(self, measures: int) -> None:
        self._measures = measures
        self._panes: dict[int, CellCounts] = {}
        """Sorted by scope, each of them once."""
        self._first = NO_PANE

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(column.nbytes for cells in self._panes.values() for column in cells)

    def add(self, cells: CellCounts) -> None:
        """Add counts, but none of panes that are forgotten; pairs of pane and scope may repeat."""
        for pane in distinct_in(cells.panes[cells.panes >= self._first]).tolist():
            here = cells.panes == pane
            scopes, counts = cells.scopes[here], cells.counts[:, here]
            if pane in self._panes:
                _, known, so_far = self._panes[pane]
                scopes, counts = np.concatenate([known, scopes]), np.concatenate([so_far, counts], axis=1)
            self._panes[pane] = _summed(pane, scopes, counts)

    def of_scopes(self, first: int, last: int, scopes: int) -> Ints:
        """Return the sums over the panes `first` to `last` by scope: of shape (measures, scopes)."""
        sums = np.zeros((self._measures, scopes), np.int64)
        for pane, cells in self._panes.items():
            if first <= pane <= last:
                sums[:, cells.scopes] += cells.counts
        return sums

    def of_scope(self, scope: int, first: int, last: int) -> Ints:
        """Return the sums of one scope over the panes `first` to `last`: of shape (measures,)."""
        sums = np.zeros(self._measures, np.int64)
        for pane, cells in self._panes.items():
            if first <= pane <= last:
                sums += _of(cells, scope)
        return sums

    def series(self, scope: int, panes: range) -> Ints:
        """Return the counts of a scope by pane: of shape (measures, panes)."""
        counts = np.zeros((self._measures, len(panes)), np.int64)
        for pane in self._panes.keys() & {*panes}:
            counts[:, pane - panes.start] = _of(self._panes[pane], scope)
        return counts

    def all(self) -> CellCounts:
        """Return everything."""
        none = CellCounts(*(np.empty(0, np.int64),) * 2, np.empty((self._measures, 0), np.int64))
        panes, scopes, counts = zip(none, *self._panes.values(), strict=True)
        return CellCounts(np.concatenate(panes), np.concatenate(scopes), np.concatenate(counts, axis=1))

    def forget(self, first: int) -> None:
        """Forget the panes before `first`."""
        self._first = max(self._first, first)
        for pane in [pane for pane in self._panes if pane < first]:
            del self._panes[pane]

    def used(self, scopes: int) -> Mask:
        """Return which scopes have counts."""
        mask = np.zeros(scopes, np.bool_)
        for cells in self._panes.values():
            mask[cells.scopes] = True
        return mask

    def renumber(self, numbers: Ints) -> None:
        """Scope s becomes `numbers[s]`, in the same order."""
        self._panes = {pane: cells._replace(scopes=numbers[cells.scopes]) for pane, cells in self._panes.items()}


def _of(cells: CellCounts, scope: int) -> Ints:
    place = int(np.searchsorted(cells.scopes, scope))
    there = cells.counts[:, place : place + 1][:, cells.scopes[place : place + 1] == scope]
    sums: Ints = there.sum(axis=1)
    return sums


def _summed(pane: int, scopes: Ints, counts: Ints) -> CellCounts:
    distinct, places = np.unique(scopes, return_inverse=True)
    sums = np.zeros((len(counts), len(distinct)), np.int64)
    for measure, values in enumerate(counts):
        np.add.at(sums[measure], places, values)
    kept = np.any(sums != 0, axis=0)
    return CellCounts(np.full(np.count_nonzero(kept), pane), distinct[kept], sums[:, kept])
