"""The interval of a cut: how far k and θ are from those of all people like these, with 95 % confidence.

Which truth: the users of a window are those who happened to be active, of many who could have been. The truth is the
cut of all of these: their θ, and their part p of the users, which makes k = N·p for the N users of the window, at least
one. It answers what a reader of "12 of 300" asks: would it be 12 with other people of the same kind? What each user
does by chance is in it, for it is in the values. As counts of what was sent, k and θ have no error.

k: as long as θ stays, p is linear in the users. With the share s, a user with the value x has the influence
(s·x − (x − θ)⁺)/θ − p (Hampel 1974, "The influence curve and its role in robust estimation"). The standard error is
that of its mean, on the log scale, which keeps k above zero.

θ: the interval is that of the share that is made above a value, read off the curve (Woodruff 1952, "Confidence
intervals for medians and other position measures"). It needs no density at θ: where values are 1, 2 and 3 posts there
is none. With values x above θ and y below, the log odds of the share have the variance Σx²/(Σx)² + Σy²/(Σy)², one over
the effective number of users: two independent sums, for the number of users is by chance as well.

How wide: values have heavy tails. A few users decide, and those who would outweigh them have mostly not shown up: k is
too high then, and θ too low. 1.96 standard errors have the truth inside in 28 to 95 of 100 samples. So each side has
its own number of them, see `interval_width`. Where no user is large enough to end θ's interval, it goes on like a
Pareto tail.
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints
from stream_app.core.cuts.cut import CurveCuts
from stream_app.core.cuts.histogram import Cells
from stream_app.core.cuts.interval_width import CurveStatistics, widths_of
from stream_app.core.decoding import LARGEST

_MOST_ABOVE = np.log(1000.0)
"""θ's interval ends at a thousand times the largest value, where one user has nearly everything."""


class CurveIntervals(NamedTuple):
    """The intervals of the cut of every curve that has users with values: columns of equal length."""

    curves: Ints
    k_low: Ints
    k_high: Ints
    threshold_low: Ints
    threshold_high: Ints


class _Curves(NamedTuple):
    """Cells by their place in their curve; all but `first` and `last` by cell, and values in units of θ."""

    first: Ints
    last: Ints
    number: Ints
    """Of the curve."""
    ratios: Floats
    """The mean value of the cell, over θ."""
    users: Floats
    reached: Floats
    """The part of the total that this cell makes together with those above it."""
    part: Floats
    """The part of the total that this cell makes."""


def intervals_of(merged: Cells, cuts: CurveCuts, share: float) -> CurveIntervals:
    """Compute the intervals of every curve in `merged` cells, given the cuts that `cuts_of` gets of them."""
    cells = _place(merged, cuts)
    found = _statistics(cells, cuts, share)
    widths = widths_of(found)
    k_low, k_high = (found.head * np.exp(side * found.k_error) for side in (-widths.k_low, widths.k_high))
    below, above = widths.threshold_low * found.error, widths.threshold_high * found.error
    low, high = _thresholds(merged, cells, share, below, above)
    return CurveIntervals(
        curves=cuts.curves,
        k_low=np.clip(_rounded(k_low), 1, cuts.k),
        k_high=np.clip(_rounded(k_high), cuts.k, cuts.users),
        threshold_low=np.minimum(low, cuts.thresholds),
        threshold_high=np.maximum(high, cuts.thresholds),
    )


def statistics_of(merged: Cells, cuts: CurveCuts, share: float) -> CurveStatistics:
    """Return what the widths of the intervals depend on, of every curve in `merged` cells, given their cuts."""
    return _statistics(_place(merged, cuts), cuts, share)


def _place(merged: Cells, cuts: CurveCuts) -> _Curves:
    first = np.searchsorted(merged.curves, cuts.curves)
    after = np.append(first[1:], len(merged.curves))
    number = np.repeat(np.arange(len(first)), after - first)
    totals = merged.totals.astype(np.float64)
    reached = np.cumsum(merged.totals)
    reached -= (reached - merged.totals)[first][number]
    return _Curves(
        first=first,
        last=after - 1,
        number=number,
        ratios=totals / (merged.users * cuts.thresholds[number]),
        users=merged.users.astype(np.float64),
        reached=reached / cuts.totals[number],
        part=totals / cuts.totals[number],
    )


def _statistics(cells: _Curves, cuts: CurveCuts, share: float) -> CurveStatistics:
    """Return the statistics of each curve; its head are the users of the cut, the last one in part."""
    logs, first = np.log(cells.ratios), cells.first
    in_head = np.clip((share - cells.reached) / cells.part + 1.0, 0.0, 1.0)
    in_head *= cells.users
    head = np.add.reduceat(in_head, first)
    _, head_squares, head_cubes = _moments(in_head, cells.ratios, first, 3)
    head_logs, head_log_squares = _moments(in_head, logs, first, 2)
    _, all_squares = _moments(cells.users, cells.ratios, first, 2)
    all_logs, log_squares = _moments(cells.users, logs, first, 2)
    size, total = cuts.users.astype(np.float64), cuts.totals / cuts.thresholds
    rest_squares = np.maximum(all_squares - head_squares, 0.0)
    # In units of θ the influence is s·x below θ and 1 − (1 − s)·x above it, and the head makes s of the total.
    rest = 1.0 - share
    influences = share**2 * rest_squares + rest**2 * head_squares - 2.0 * rest * share * total + head
    part = head / size
    excess = head_logs / head
    return CurveStatistics(
        users=size,
        head=head,
        k_error=np.sqrt(np.maximum(influences / size - part * part, 0.0) / size) / part,
        error=np.sqrt(head_squares / share**2 + rest_squares / (1.0 - share) ** 2) / total,
        skewness=head_cubes / head_squares**1.5,
        spread=np.sqrt(np.maximum(log_squares / size - (all_logs / size) ** 2, 0.0)),
        excess=excess,
        excess_square=head_log_squares / head,
    )


def _moments(weights: Floats, factors: Floats, first: Ints, most: int) -> list[Floats]:
    """Return the sums by curve of weights · factors, · factors², up to the power `most`: in one array, for speed."""
    powers, sums = weights * factors, list[Floats]()
    for power in range(most):
        if power:
            powers *= factors
        sums.append(np.add.reduceat(powers, first))
    return sums


def _thresholds(merged: Cells, cells: _Curves, share: float, below: Floats, above: Floats) -> tuple[Ints, Ints]:
    """Return where θ's interval begins and ends: `below` and `above` the log odds of the share."""
    odds, number = np.log(share / (1.0 - share)), np.arange(len(cells.first))
    key = np.minimum(cells.reached, 1.0) + cells.number

    def cell_at(log_odds: Floats) -> Ints:
        found = np.searchsorted(key, number + 1.0 / (1.0 + np.exp(-log_odds)))
        place: Ints = np.clip(found, cells.first, cells.last)
        return place

    low = merged.values[cell_at(odds + below)]
    highest = cell_at(odds - above)
    mean = merged.totals[highest] / merged.users[highest]
    largest = cells.part[cells.first] / cells.users[cells.first]
    beyond = np.log(largest / np.maximum(1.0 - largest, 1e-12)) - odds + above
    beyond = np.where(highest == cells.first, np.clip(beyond, 0.0, _MOST_ABOVE), 0.0)
    high = np.minimum(np.ceil(mean * np.exp(beyond) * (1.0 - 1e-12)), LARGEST).astype(np.int64)
    return low, high


def _rounded(numbers: Floats) -> Ints:
    """Round to integers, which are then bounded by N: half of one is no part of a user."""
    return np.rint(np.minimum(numbers, LARGEST)).astype(np.int64)
