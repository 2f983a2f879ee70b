"""The histogram (curve) of the values in a scope and role, as cells that can be summed across partitions.

A cell is (value, users, total). It is exact if total = users × value, when all its users have that value. Small scopes
and the bins around the cut are kept exact, so that k, θ and ties are exact too. Elsewhere a cell is a bin: an octave
has 32 bins, each at most 3.1 % wide. The bin is read off the float's bits: the exponent and the first five mantissa
bits.
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints

EXACT_USERS = 2048
"""A scope with at most this many users in a partition is kept exact throughout."""
EXACT_BINS = 3
"""This many bins on either side of the last θ are kept exact."""
NO_BIN = -1000

_MANTISSA_BITS = 5
_SHIFT = 52 - _MANTISSA_BITS
_FIRST = 1023 << _MANTISSA_BITS  # the bin of 1.0
_BINS = 64 << _MANTISSA_BITS


class Cells(NamedTuple):
    """Cells of many curves: columns of equal length."""

    curves: Ints
    values: Ints
    users: Ints
    totals: Ints


def bins_of(values: Ints) -> Ints:
    """Return the bin of each value (≥ 1). Every value below 64 has its own bin."""
    return (values.astype(np.float64).view(np.int64) >> _SHIFT) - _FIRST


def bin_floors(bins: Ints) -> Ints:
    """Return the smallest integer value in each bin."""
    return np.ceil(((bins + _FIRST) << _SHIFT).view(np.float64)).astype(np.int64)


def cells_of(curves: Ints, values: Ints, exact_bins: Ints) -> Cells:
    """Build the cells of rows with `values` in `curves` (numbers < len(exact_bins)). Rows with value 0 are left out.

    `exact_bins`: the bin of the last θ by curve, or NO_BIN if none is known.
    """
    counted = values > 0
    curves, values = curves[counted], values[counted]
    sizes = np.bincount(curves, minlength=len(exact_bins))
    bins = bins_of(values)
    exact = (sizes[curves] <= EXACT_USERS) | (np.abs(bins - exact_bins[curves]) <= EXACT_BINS)
    large = np.flatnonzero(sizes > EXACT_USERS)
    parts = (_exact(curves[exact], values[exact]), _binned(large, curves[~exact], values[~exact], bins[~exact]))
    return Cells(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _exact(curves: Ints, values: Ints) -> Cells:
    order = np.lexsort((values, curves))
    curves, values = curves[order], values[order]
    starts = np.flatnonzero(np.diff(curves, prepend=-1) | np.diff(values, prepend=-1))
    users = np.diff(starts, append=len(curves))
    return Cells(curves[starts], values[starts], users, users * values[starts])


def _binned(large: Ints, curves: Ints, values: Ints, bins: Ints) -> Cells:
    ranks = np.zeros(large.max(initial=-1) + 1, np.int64)
    ranks[large] = np.arange(len(large))
    places = ranks[curves] * _BINS + bins
    users = np.bincount(places)
    totals = np.zeros(len(users), np.int64)
    np.add.at(totals, places, values)
    held = np.flatnonzero(users)
    return Cells(large[held // _BINS], bin_floors(held % _BINS), users[held], totals[held])
