"""Array types for columns: one-dimensional numpy arrays unless a shape is stated; and their distinct values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Codes = NDArray[np.uint8]
Hashes = NDArray[np.uint64]


def distinct_in(values: Ints) -> Ints:
    """Return the distinct values, sorted.

    np.unique puts integers into a hash table, which takes five times as long for 5,000 of them (numpy 2.4).
    """
    ordered = np.sort(values)
    is_first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_first[1:])
    return ordered[is_first]


def together(columns: Sequence[Ints | None], sizes: Sequence[int]) -> Ints | None:
    """Concatenate columns of these sizes, of which those that are None are all zero; None if all are."""
    if all(column is None for column in columns):
        return None
    whole = [
        np.zeros(size, np.int64) if column is None else column for column, size in zip(columns, sizes, strict=True)
    ]
    return np.concatenate(whole)


def negated(column: Ints | None) -> Ints | None:
    """Return a column with the opposite sign, if there is one."""
    return None if column is None else -column.astype(np.int64)


def at(column: Ints | None, places: slice | Mask | Ints) -> Ints | None:
    """Return some of a column, if there is one."""
    return None if column is None else column[places]
