"""A reader of records in plain Python: slower than aiokafka's, it reads what can be read of anything.

It is used where aiokafka's reader gives up: names of headers that are not UTF-8, lengths that lie, and records so large
that their headers have to be bounded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stream_app.kafka.format.compression import MALFORMED, UnreadableError

MOST_HEADERS = 1000
"""Headers of a record that are read; 2 bytes each on Kafka, they take 100 in memory. The others are left out."""
_MOST_SHIFT = 63
_CONTINUED = 0x80
"""The bit of a byte that says that another one follows."""


@dataclass(slots=True)
class PlainRecord:
    """A record with the attributes of aiokafka's."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class BatchTimes(NamedTuple):
    """How the times of the records of a batch are worked out."""

    first: int
    appended: int | None
    """For all records, where the broker stamps them."""


def record_at(data: memoryview, at: int, base_offset: int, times: BatchTimes) -> tuple[PlainRecord, int]:
    """Return the record at `at`, and where the next one begins. Raises UnreadableError."""
    length, at = varint(data, at)
    end = at + length
    if length < 0 or end > len(data):
        raise _malformed("the length of a record")
    data = data[:end]
    delta_ms, at = varint(data, at + 1)  # the byte left out are attributes that nobody uses
    delta, at = varint(data, at)
    key, at = _nullable(data, at)
    value, at = _nullable(data, at)
    count, at = varint(data, at)
    if count < 0:
        raise _malformed("the number of headers")
    headers = list(_headers(data, at, min(count, MOST_HEADERS)))
    timestamp = times.first + delta_ms if times.appended is None else times.appended
    return PlainRecord(base_offset + delta, timestamp, key, value, headers), end


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the zigzag number at `at`, and what follows it. Raises UnreadableError."""
    number = shift = 0
    while at < len(data) and shift <= _MOST_SHIFT:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < _CONTINUED:
            return (number >> 1) ^ -(number & 1), at
        shift += 7
    raise _malformed("a number")


def _headers(data: memoryview, at: int, count: int) -> Iterator[tuple[str, bytes | None]]:
    for _ in range(count):
        name, at = _nullable(data, at)
        value, at = _nullable(data, at)
        yield (name or b"").decode(errors="backslashreplace"), value


def _nullable(data: memoryview, at: int) -> tuple[bytes | None, int]:
    length, at = varint(data, at)
    if length < 0:
        return None, at
    if at + length > len(data):
        raise _malformed("the length of a field")
    return bytes(data[at : at + length]), at + length


def _malformed(what: str) -> UnreadableError:
    return UnreadableError(MALFORMED, f"{what} in it is wrong")
