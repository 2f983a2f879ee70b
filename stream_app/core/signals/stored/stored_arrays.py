"""Stored arrays: columns of integers in the narrowest type that holds them, in memory and in what is stored."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import FormatError

_TYPES = tuple(f"<{kind}{size}" for size in (1, 2, 4, 8) for kind in "ui")
_ENDS = [(np.dtype(name), np.iinfo(name)) for name in _TYPES]


class StoredArray(msgspec.Struct, array_like=True):
    """A column of integers as bytes."""

    dtype: str
    data: bytes


def narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return the integers in the narrowest type."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    return values.astype(next(dtype for dtype, ends in _ENDS if ends.min <= low and high <= ends.max))


def stored(values: NDArray[Any]) -> StoredArray:
    """Return the integers as they are stored."""
    narrowed = narrow(values)
    return StoredArray(narrowed.dtype.str, narrowed.tobytes())


def unstored(column: StoredArray, dtype: str = "<i8") -> NDArray[Any]:
    """Return stored integers as an array of its own. Raises FormatError for what no release has written."""
    if column.dtype not in _SPELLED:
        raise FormatError(f"unknown column type {column.dtype!r}: written by a newer release?")
    return np.frombuffer(column.data, column.dtype).astype(dtype)


def grown(values: NDArray[Any], size: int, default: int = 0) -> NDArray[Any]:
    """Return the array with room for `size` entries: the same one, or one that is an eighth larger than it must be."""
    if len(values) >= size:
        return values
    longer = np.full((size + size // 8, *values.shape[1:]), default, values.dtype)
    longer[: len(values)] = values
    return longer


def starts_of(*columns: NDArray[Any]) -> Ints:
    """Return the places at which a run of equal values begins; with several columns, of equal combinations."""
    begins = np.zeros(len(columns[0]), np.bool_)
    begins[:1] = True
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(begins)


_SPELLED = {dtype.str for dtype, _ in _ENDS}
