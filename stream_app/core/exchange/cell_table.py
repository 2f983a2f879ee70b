"""The cell table: the cells of many curves, by the partition they come from, as sorted columns that take additions.

The problem: an addition to a few curves must not cost what all curves cost, and each curve must be there as a whole and
in order for its cut. A dict of cells would take several times the memory.

How: two levels of columns, sorted by curve, then by value with the highest first, then by partition. A curve that
changes moves with all of its cells from `_base` to `_fresh`, which is small, so that it can be written anew with every
addition. Once a part of the base has moved, the two are merged. Nothing is sorted but the curves that change. In the
base a cell takes 14 bytes: no curve, for it is known where each begins, and no total where it is users × value.

    add(curve 7) ──▶ cells of 7 in base ──┐
                     the cells added    ──┴─▶ sorted, summed ──▶ fresh   (those in base do not count any more)
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask, distinct_in
from stream_app.core.cuts.histogram import Cells

_FRESH_PART = 8
"""The base is merged with what is fresh once that is a part of it, one in so many …"""
_FEWEST = 4096
"""… and more than this."""
_NUMBER_BITS = 63


class SourceCells(NamedTuple):
    """Cells, and the partition that each comes from: columns of equal length. In an addition they may be negative."""

    curves: Ints
    values: Ints
    sources: Ints
    users: Ints
    totals: Ints

    def at(self, places: Ints | Mask) -> "SourceCells":
        """Return some of them."""
        return SourceCells(*(column[places] for column in self))

    @classmethod
    def none(cls) -> "SourceCells":
        """Return no cells, in the types that are kept."""
        types = (np.int32, np.int64, np.int16, np.int32, np.int64)
        return cls(*(np.empty(0, dtype) for dtype in types))  # type: ignore[arg-type]  # narrower, for memory


class _PackedCells:
    """Sorted cells in little room, which do not change."""

    def __init__(self, cells: SourceCells) -> None:
        curves = int(cells.curves[-1]) + 1 if len(cells.curves) else 0
        self._starts = np.searchsorted(cells.curves, np.arange(curves + 1, dtype=cells.curves.dtype)).astype(np.int32)
        """By curve: its first cell; then the number of all cells."""
        self._values, self._sources, self._users = cells.values, cells.sources, cells.users
        self._others = np.flatnonzero(cells.totals != _least_totals(cells.users, cells.values)).astype(np.int32)
        """The cells with another total than users × value: few, in large curves."""
        self._other_totals = cells.totals[self._others]

    def __len__(self) -> int:
        return len(self._values)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        columns = (self._starts, self._values, self._sources, self._users, self._others, self._other_totals)
        return sum(column.nbytes for column in columns)

    def of(self, curves: Ints) -> SourceCells:
        """Return the cells of some curves (sorted, distinct), in order."""
        held = curves[: np.searchsorted(curves, len(self._starts) - 1)]
        starts = self._starts[held].astype(np.int64)
        sizes = self._starts[held + 1] - starts
        places = _ranges(starts, sizes)
        values, users = self._values[places], self._users[places]
        totals = _least_totals(users, values)
        if len(self._others):
            found = np.minimum(np.searchsorted(self._others, places), len(self._others) - 1)
            is_other = self._others[found] == places
            totals[is_other] = self._other_totals[found[is_other]]
        return SourceCells(np.repeat(held, sizes).astype(np.int32), values, self._sources[places], users, totals)

    def but(self, left_out: Mask) -> SourceCells:
        """Return the cells of all curves but those that are marked."""
        return self.of(np.flatnonzero(~left_out[: len(self._starts) - 1]))


class CellTable:
    """The cells of curves, numbered from 0, of up to 32,767 partitions."""

    def __init__(self) -> None:
        self._base = _PackedCells(SourceCells.none())
        self._fresh = SourceCells.none()
        self._is_fresh: Mask = np.zeros(64, np.bool_)
        """By curve."""

    def __len__(self) -> int:
        """Cells that are kept, those of curves that have moved included."""
        return len(self._base) + len(self._fresh.curves)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._base.nbytes + sum(column.nbytes for column in (*self._fresh, self._is_fresh))

    def add(self, added: SourceCells) -> Ints:
        """Add cells. Returns the curves that were added to, sorted."""
        curves = distinct_in(added.curves).astype(np.int64)
        if not len(curves):
            return curves
        self._reach(int(curves[-1]) + 1)
        moved = self._take(curves)
        changed = _summed(SourceCells(*(np.concatenate(pair) for pair in zip(moved, added, strict=True))))
        self._fresh = _joined(self._fresh, changed)
        self._is_fresh[curves] = True
        if len(self._fresh.curves) > max(len(self._base) // _FRESH_PART, _FEWEST):
            self._merge()
        return curves

    def of(self, curves: Ints) -> Cells:
        """Return the cells of some curves (sorted, distinct), summed over the partitions."""
        return over_sources(self._of(curves))

    def of_source(self, source: int, curves: Ints | None = None) -> SourceCells:
        """Return the cells that a partition has; only those of some `curves` (sorted, distinct)."""
        chosen = self._all() if curves is None else self._of(curves)
        return chosen.at(chosen.sources == source)

    def renumber(self, kept: Ints) -> None:
        """Keep only the curves in `kept` (sorted), numbered in that order."""
        self._merge()
        cells = self._base.of(kept)
        self._base = _PackedCells(cells._replace(curves=np.searchsorted(kept, cells.curves).astype(np.int32)))

    def _of(self, curves: Ints) -> SourceCells:
        held = curves[curves < len(self._is_fresh)]
        is_fresh = self._is_fresh[held]
        return _joined(self._base.of(held[~is_fresh]), _cells_of(self._fresh, held[is_fresh]))

    def _all(self) -> SourceCells:
        return _joined(self._base.but(self._is_fresh), self._fresh)

    def _take(self, curves: Ints) -> SourceCells:
        """Return the cells of some curves; those that are fresh are taken out."""
        is_fresh = self._is_fresh[curves]
        held = _cells_of(self._fresh, curves[is_fresh])
        if len(held.curves):
            stays = np.ones(len(self._fresh.curves), np.bool_)
            stays[_places_of(self._fresh, curves[is_fresh])] = False
            self._fresh = self._fresh.at(stays)
        return _joined(self._base.of(curves[~is_fresh]), held)

    def _merge(self) -> None:
        self._base = _PackedCells(self._all())
        self._fresh = SourceCells.none()
        self._is_fresh[:] = False

    def _reach(self, size: int) -> None:
        if size > len(self._is_fresh):
            wider = np.zeros(max(size, len(self._is_fresh) * 5 // 4), np.bool_)
            wider[: len(self._is_fresh)] = self._is_fresh
            self._is_fresh = wider


def negated(cells: SourceCells) -> SourceCells:
    """Return what takes these cells out again when it is added."""
    return cells._replace(users=-cells.users, totals=-cells.totals)


def over_sources(cells: SourceCells) -> Cells:
    """Return sorted cells with those of all partitions summed up."""
    if not len(cells.curves):
        return Cells(*np.empty((4, 0), np.int64))
    starts = np.flatnonzero(_differs(cells.curves) | _differs(cells.values))
    users, totals = cells.users.astype(np.int64), cells.totals
    return Cells(
        cells.curves[starts].astype(np.int64),
        cells.values[starts],
        np.add.reduceat(users, starts),
        np.add.reduceat(totals, starts),
    )


def _summed(cells: SourceCells) -> SourceCells:
    """Return the cells in order, those of the same curve, value and partition summed up, without those left empty."""
    curves, values, sources, users, totals = cells.at(_order(cells))
    starts = np.flatnonzero(_differs(curves) | _differs(values) | _differs(sources))
    users, totals = np.add.reduceat(users, starts), np.add.reduceat(totals, starts)
    held = np.flatnonzero((users != 0) | (totals != 0))
    first = starts[held]
    return _as_kept(SourceCells(curves[first], values[first], sources[first], users[held], totals[held]))


def _order(cells: SourceCells) -> Ints:
    """Return the order by curve, then by value with the highest first, then by partition.

    Where a cell fits into one number, cells that are in order and a few others after them are merged in one pass.
    """
    highest, lowest = int(cells.values.max()), int(cells.values.min())
    value_bits, source_bits = (highest - lowest).bit_length(), int(cells.sources.max()).bit_length()
    if int(cells.curves.max()).bit_length() + value_bits + source_bits > _NUMBER_BITS:
        return np.lexsort((cells.sources, -cells.values, cells.curves))
    by_value = cells.curves.astype(np.int64) << value_bits | highest - cells.values
    return np.argsort(by_value << source_bits | cells.sources, kind="stable")


def _as_kept(cells: SourceCells) -> SourceCells:
    types = [column.dtype for column in SourceCells.none()]
    return SourceCells(*(column.astype(dtype, copy=False) for column, dtype in zip(cells, types, strict=True)))


def _joined(first: SourceCells, second: SourceCells) -> SourceCells:
    """Return the cells of both, which share no curve, in order."""
    if not len(second.curves):
        return first
    if not len(first.curves):
        return second
    places = np.searchsorted(first.curves, second.curves) + np.arange(len(second.curves))
    is_second = np.zeros(len(first.curves) + len(second.curves), np.bool_)
    is_second[places] = True
    columns = []
    for one, other in zip(first, second, strict=True):
        column = np.empty(len(is_second), one.dtype)
        column[is_second], column[~is_second] = other, one
        columns.append(column)
    return SourceCells(*columns)


def _cells_of(cells: SourceCells, curves: Ints) -> SourceCells:
    return cells.at(_places_of(cells, curves))


def _places_of(cells: SourceCells, curves: Ints) -> Ints:
    """Return where the cells of some curves are, in order."""
    wanted = curves.astype(cells.curves.dtype)
    starts = np.searchsorted(cells.curves, wanted)
    return _ranges(starts, np.searchsorted(cells.curves, wanted, "right") - starts)


def _ranges(starts: Ints, sizes: Ints) -> Ints:
    """Return the numbers from each start on, as many as its size says."""
    ends = np.cumsum(sizes)
    numbers: Ints = np.repeat(starts - (ends - sizes), sizes) + np.arange(ends[-1] if len(ends) else 0)
    return numbers


def _least_totals(users: Ints, values: Ints) -> Ints:
    """Return what the totals of cells are if each user has just the value; users with a standing have none."""
    totals: Ints = users * np.maximum(values, 0)
    return totals


def _differs(column: Ints) -> Mask:
    """Return where a column differs from the place before; the first does."""
    differs = np.ones(len(column), np.bool_)
    np.not_equal(column[1:], column[:-1], out=differs[1:])
    return differs
