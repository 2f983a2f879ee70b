"""The cut: the smallest set of users who make up a given share of a scope, for many curves at once."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask, distinct_in
from stream_app.core.cuts.histogram import Cells, bins_of

_BIN_BITS = 16


class CurveCuts(NamedTuple):
    """The cut of every curve that has users with values: columns of equal length."""

    curves: Ints
    users: Ints
    totals: Ints
    k: Ints
    thresholds: Ints
    ties: Ints
    coverage: Floats
    gini: Floats
    exact: Mask


def merge(cells: Cells) -> Cells:
    """Merge cells of the same curve and value, from several partitions. Sorts each curve by value, highest first."""
    order = np.lexsort((-cells.values, cells.curves))
    curves, values, users, totals = (column[order] for column in cells)
    starts = np.flatnonzero(np.diff(curves, prepend=-1) | np.diff(values, prepend=-1))
    return Cells(curves[starts], values[starts], np.add.reduceat(users, starts), np.add.reduceat(totals, starts))


def cuts_of(merged: Cells, share: float) -> CurveCuts:
    """Compute the cut of every curve in `merged` cells.

    k is the smallest number of users whose values, from the highest down, sum to at least share · total. This is
    computed in integers, without rounding. In an inexact cell every user is assumed to have the mean value of the cell.
    """
    curves, values, users, totals = merged
    first = np.flatnonzero(np.diff(curves, prepend=-1))
    number = np.cumsum(np.diff(curves, prepend=-1) != 0) - 1
    all_users, all_totals = np.add.reduceat(users, first), np.add.reduceat(totals, first)
    before_users = np.cumsum(users) - users
    before_totals = np.cumsum(totals) - totals
    before_users -= before_users[first][number]
    before_totals -= before_totals[first][number]
    wanted = _at_least(all_totals, share)
    crossing = np.flatnonzero((before_totals < wanted[number]) & (before_totals + totals >= wanted[number]))
    missing = wanted - before_totals[crossing]
    held_users, held_totals, held_values = users[crossing], totals[crossing], values[crossing]
    uniform = totals == users * values
    mean = np.where(uniform[crossing], held_values, held_totals // held_users)
    needed = np.minimum(-(-missing // mean), held_users)
    reached = before_totals[crossing] + np.where(needed == held_users, held_totals, needed * mean)
    exact = uniform[crossing] & ~_shares_a_bin(curves, values, crossing, ~uniform)
    return CurveCuts(
        curves=curves[first],
        users=all_users,
        totals=all_totals,
        k=before_users[crossing] + needed,
        thresholds=mean,
        ties=np.where(exact, held_users, 1),
        coverage=reached / all_totals,
        gini=_gini(users, totals, before_totals, first, all_users, all_totals),
        exact=exact,
    )


def users_above(merged: Cells, curves: Ints, values: Ints) -> Ints:
    """Count the users of each curve that have a higher value than the given one, from `merged` cells."""
    above = np.zeros(len(curves), np.int64)
    for curve in distinct_in(curves).tolist():
        start, end = np.searchsorted(merged.curves, (curve, curve + 1))
        users = np.cumsum(np.append(0, merged.users[start:end]))
        asked = curves == curve
        above[asked] = users[np.searchsorted(-merged.values[start:end], -values[asked])]
    return above


def _at_least(totals: Ints, share: float) -> Ints:
    """Return ⌈share · total⌉ in integers; the share is rounded to four decimals."""
    exact = Fraction(round(share * 10_000), 10_000)
    quotient, remainder = np.divmod(totals, exact.denominator)
    least: Ints = quotient * exact.numerator - (-remainder * exact.numerator // exact.denominator)
    return least


def _shares_a_bin(curves: Ints, values: Ints, crossing: Ints, inexact: Mask) -> Mask:
    """Return whether an inexact cell in the bin of each crossing cell hides on which side of θ its users are."""
    if not inexact.any():
        return np.zeros(len(crossing), np.bool_)
    bins = curves << _BIN_BITS | bins_of(values)
    return np.isin(bins[crossing], bins[inexact])


def _gini(users: Ints, totals: Ints, totals_above: Ints, first: Ints, all_users: Ints, all_totals: Ints) -> Floats:
    """Return the Gini coefficient by curve: twice the area between diagonal and Lorenz curve (linear within a cell)."""
    area = np.add.reduceat(users * (totals_above + totals / 2.0), first)
    return 2.0 * area / (all_users.astype(np.float64) * all_totals) - 1.0
