"""Packed columns: integers and floats as bytes of the smallest type that fits, read back without a copy."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

_UNSIGNED = tuple((2 ** (8 * size), np.dtype(f"<u{size}")) for size in (1, 2, 4, 8))
_EXACT_FLOATS = 2.0**53
_SIGN = 63


class Column(msgspec.Struct, array_like=True):
    """A packed column: little-endian numbers of type `dtype` ("u1" … "u8", "f8")."""

    dtype: str
    data: memoryview


class FormatError(ValueError):
    """Stored data that this release cannot read."""


def pack(values: NDArray[Any]) -> Column:
    """Pack `values` (none negative) into the smallest type that holds them without loss."""
    largest = values.max() if len(values) else 0
    if values.dtype.kind == "f" and (largest >= _EXACT_FLOATS or (values % 1).any()):
        return Column("f8", np.ascontiguousarray(values, "<f8").view(np.uint8).data)
    packed = np.ascontiguousarray(values, next(dtype for limit, dtype in _UNSIGNED if largest < limit))
    return Column(f"u{packed.itemsize}", packed.view(np.uint8).data)


def unpack(column: Column) -> NDArray[Any]:
    """Return the numbers of a packed column as a read-only view of its bytes."""
    if column.dtype not in {"u1", "u2", "u4", "u8", "f8"}:
        raise FormatError(f"unknown column type {column.dtype!r}: written by a newer release?")
    return np.frombuffer(column.data, f"<{column.dtype}")


def pack_signed(values: NDArray[np.int64]) -> Column:
    """Pack integers that may be negative."""
    return pack(values << 1 ^ values >> _SIGN)


def unpack_signed(column: Column) -> NDArray[np.int64]:
    """Return the numbers that `pack_signed` has packed."""
    folded = unpack(column).astype(np.int64)
    return folded >> 1 ^ -(folded & 1)


def runs(counts: Sequence[int]) -> list[slice]:
    """Return consecutive slices of the given lengths."""
    ends = np.cumsum([0, *counts]).tolist()
    return [slice(start, end) for start, end in pairwise(ends)]
