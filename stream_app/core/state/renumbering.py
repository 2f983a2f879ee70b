"""Renumbering: maps sparse numbers to dense ones 0, 1, 2 … and keeps their order."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from stream_app.core.arrays import Ints, distinct_in

_CLOSE = 10_000
"""Numbers within a range of this size are counted instead of sorted."""

T = TypeVar("T")


def distinct(values: Ints) -> tuple[Ints, Ints]:
    """Return the distinct values, sorted, and the index of each value among them."""
    if not len(values):
        return values, values
    low = int(values.min())
    if int(values.max()) - low > _CLOSE:
        return np.unique(values, return_inverse=True)
    present = np.bincount(values - low) > 0
    return np.flatnonzero(present) + low, (np.cumsum(present) - 1)[values - low]


def renumbered(used: Ints, count: int) -> tuple[Ints, Ints]:
    """Return the numbers in `used`, sorted and distinct, and the new number of each of the `count` old ones."""
    kept = distinct_in(used)
    new = np.zeros(count, np.int64)
    new[kept] = np.arange(len(kept))
    return kept, new


def chosen(values: Sequence[T], places: Ints) -> Sequence[T]:
    """Return the values at `places`, which are sorted and distinct."""
    return values if len(places) == len(values) else [values[place] for place in places.tolist()]
