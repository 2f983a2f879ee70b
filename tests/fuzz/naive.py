"""The naive model: what must come of a record batch, worked out without any code of the tracker's readers."""

import struct
from collections.abc import Iterator
from typing import NamedTuple


class Expected(NamedTuple):
    """What is read of a batch, and how many records are set aside in its place."""

    offsets: list[int]
    values: list[tuple[bytes | None, bytes | None]]
    """Key and value of each."""
    set_aside: int


class _Bad(Exception):
    pass


def expected(head: bytes, body: bytes | None) -> Expected:
    """`body`: the records without compression; None where they cannot be unpacked."""
    base, last_delta, count = *struct.unpack_from(">q", head, 0), *struct.unpack_from(">i", head, 23), _count(head)
    last = base + max(last_delta, 0)
    offsets: list[int] = []
    values: list[tuple[bytes | None, bytes | None]] = []
    is_bad = body is None or (count <= 0 and body != b"")
    try:
        for delta, key, value in _records(body or b"", count) if not is_bad else ():
            offset = base + delta
            if offset > last or offset < (offsets[-1] + 1 if offsets else base):
                raise _Bad
            offsets.append(offset)
            values.append((key, value))
    except _Bad:
        is_bad = True
    left = last - (offsets[-1] if offsets else base - 1)
    claimed = count - len(offsets)
    return Expected(offsets, values, (min(left, claimed) if claimed > 0 else left) if is_bad else 0)


def _count(head: bytes) -> int:
    count: int = struct.unpack_from(">i", head, 57)[0]
    return count


def _records(body: bytes, count: int) -> Iterator[tuple[int, bytes | None, bytes | None]]:
    at = 0
    for _ in range(count):
        length, at = _varint(body, at)
        record, at = _taken(body, at, length)
        here = 1
        _, here = _varint(record, here)
        delta, here = _varint(record, here)
        key, here = _field(record, here)
        value, here = _field(record, here)
        headers, here = _varint(record, here)
        if headers < 0:
            raise _Bad
        for _ in range(headers):
            _, here = _field(record, here)
            _, here = _field(record, here)
        yield delta, key, value
    if at != len(body):
        raise _Bad


def _field(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _varint(data, at)
    return (None, at) if length < 0 else _taken(data, at, length)


def _taken(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if length < 0 or at + length > len(data):
        raise _Bad
    return data[at : at + length], at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _Bad
        number |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return (number >> 1) ^ -(number & 1), at
    raise _Bad
