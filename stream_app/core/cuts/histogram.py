"""The curve of a scope and role: how many users have which value, as cells that add up across partitions.

A cell is (value, users, total). It is exact when total = users × value: all its users have that value. Small scopes
and the neighbourhood of the cut are kept exact, so that k, θ and ties are; elsewhere a cell is a bin one thirty-second
of an octave wide (at most 3.1 %), cut from the bits of the float: exponent and the first five of the mantissa.
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints

EXACT_USERS = 2048
"""A scope with up to this many users in a partition is kept exact throughout."""
EXACT_BINS = 3
"""So many bins on either side of the last θ are kept exact."""
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
    """The bin of each value (≥ 1). Values below 64 have a bin of their own."""
    return (values.astype(np.float64).view(np.int64) >> _SHIFT) - _FIRST


def bin_floors(bins: Ints) -> Ints:
    """The smallest integer value in each bin."""
    return np.ceil(((bins + _FIRST) << _SHIFT).view(np.float64)).astype(np.int64)


def cells_of(curves: Ints, values: Ints, exact_bins: Ints) -> Cells:
    """The cells of rows with `values` in `curves` (numbers < len(exact_bins)); rows with value 0 are in no cell.

    `exact_bins`: by curve, the bin of its last θ, NO_BIN where none is known.
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
