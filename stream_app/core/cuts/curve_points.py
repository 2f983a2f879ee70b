"""Curve points: a few points of a curve, from which it can be drawn, and the rank of any value estimated.

Each flag says a rank, and any worker shows the curve of a topic, also one that does not have it. A curve of
few cells is sent as a whole, and ranks are exact; of others six points for each tenfold rank are, and a rank between
two points is interpolated on log scales.
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.cuts.histogram import Cells

FEW_CELLS = 64
"""A curve of no more cells is published as a whole …"""
MANY_CELLS = 2000
"""… and of no more to who asks its home."""
_POINTS_PER_DECADE = 6


class CurvePoints(NamedTuple):
    """Points of many curves: columns of equal length, in each curve the highest value first."""

    curves: Ints
    values: Ints
    above: Ints
    """Users of the curve with a higher value."""
    totals_above: Ints
    """The sum of their values."""


def points_of(cells: Cells, few_cells: int = FEW_CELLS) -> CurvePoints:
    """Return the points of curves, given by their merged cells, the highest value of each first.

    A curve of no more than `few_cells` is there as a whole.
    """
    curves, values, users, totals = cells
    if not len(curves):
        return CurvePoints(curves, values, users, totals)
    starts = np.flatnonzero(np.diff(curves, prepend=-1))
    sizes = np.diff(starts, append=len(curves))
    above, totals_above = (_before(column, starts, sizes) for column in (users, totals))
    decades = np.floor(_POINTS_PER_DECADE * np.log10(above + 1)).astype(np.int64)
    is_last = np.append(starts[1:], len(curves)) - 1
    chosen = np.repeat(sizes <= few_cells, sizes)
    chosen |= np.diff(decades, prepend=-1) != 0
    chosen[starts] = chosen[is_last] = True
    return CurvePoints(curves[chosen], values[chosen], above[chosen], totals_above[chosen])


def ranks_of(values: Ints, point_values: Ints, point_above: Ints) -> Ints:
    """Return the rank of each value by the points of one curve: users with a higher value, plus one."""
    if not len(point_values):
        return np.ones(len(values), np.int64)
    known = np.searchsorted(-point_values, -values)  # the first point that is not higher
    is_exact = (known < len(point_values)) & (point_values[np.minimum(known, len(point_values) - 1)] == values)
    ascending = (_log(point_values[::-1]), _log(point_above[::-1] + 1))
    between: Floats = np.exp(np.interp(_log(values), *ascending))
    exact = point_above[np.minimum(known, len(point_values) - 1)] + 1
    return np.where(is_exact, exact, np.maximum(np.rint(between), 1)).astype(np.int64)


def users_from(least: int, points: Ints, users: int) -> int:
    """Return how many of the `users` of a curve have at least so much, by its points (value, users above, their total).

    It is exact where all users between two points have the same value, as in a curve that is there as a whole.
    """
    values, above, totals = points[:, 0], points[:, 1], points[:, 2]
    place = int(np.searchsorted(-values, -least, "right"))  # the first point that is lower
    if place in (0, len(points)):
        return users if place else 0
    between, total = above[place] - above[place - 1], totals[place] - totals[place - 1]
    if total == values[place - 1] * between:
        return int(above[place])
    return int(ranks_of(np.array([least - 1]), values, above)[0]) - 1


def _before(column: Ints, starts: Ints, sizes: Ints) -> Ints:
    """Return the sum of what comes before each place in its curve."""
    before = np.cumsum(column) - column
    sums: Ints = before - np.repeat(before[starts], sizes)
    return sums


def _log(values: Ints) -> Floats:
    return np.log(np.maximum(values, 1).astype(np.float64))
