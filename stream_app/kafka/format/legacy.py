"""Messages of the versions 0 and 1, which brokers wrote before Kafka 0.11 and still serve from their disks.

A message is a record, or its value is a compressed set of messages. In version 1 these have offsets of their own, which
begin at 0: the offset of the message around them is that of the last one.
"""

import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from zlib import crc32

from aiokafka.errors import CorruptRecordException

from stream_app.kafka.format.batch import SLICE_RECORDS
from stream_app.kafka.format.compression import MALFORMED, NONE, ZSTD, UnreadableError, too_large, unpack
from stream_app.kafka.format.plain import PlainRecord
from stream_app.kafka.records import Record

_HEAD = struct.Struct(">qiIbb")
_OVERHEAD = 12
"""Offset and size, which the size does not include."""
_MAGIC_AT = 16
_CODEC, _APPEND_TIME = 0x07, 0x08
_LEAST = 26


class LegacyBatch:
    """A message that is a record, or a compressed set of records."""

    is_transactional = is_control_batch = False
    producer_id = None
    base_offset = count = 0
    """Not known before it is unpacked."""
    span = 1
    """Offsets that it stands for, at least."""

    def __init__(self, raw: memoryview) -> None:
        """`raw`: the whole message. Raises CorruptRecordException."""
        if len(raw) < _LEAST:
            raise CorruptRecordException(f"a message of {len(raw)} bytes")
        self.raw = raw
        self.last_offset: int
        self._crc: int
        self.last_offset, _, self._crc, self.magic, self._attributes = _HEAD.unpack_from(raw)
        self.next_offset = self.last_offset + 1
        self.unpacked_bytes = len(raw)
        self.max_timestamp = struct.unpack_from(">q", raw, _HEAD.size)[0] if self.magic else -1

    def validate_crc(self) -> bool:
        """Whether the bytes are those that were written."""
        return crc32(self.raw[_MAGIC_AT:]) == self._crc

    def slices(self, room: int) -> Iterator[Sequence[Record]]:
        """Yield the records, in order. Raises UnreadableError; `room`: most bytes of them without compression."""
        try:
            records = self._records(room)
            while found := list(islice(records, SLICE_RECORDS)):
                yield found
        except struct.error as error:
            raise UnreadableError(MALFORMED, f"a message in it is too short: {error}") from error

    def _records(self, room: int) -> Iterator[PlainRecord]:
        record, codec = _message(self.raw)
        if codec == NONE:
            if len(self.raw) > room:
                raise too_large(room)
            yield record
            return
        if codec == ZSTD or record.value is None:
            raise UnreadableError(MALFORMED, "it is no set of messages")
        data = unpack(codec, memoryview(record.value), room)
        self.unpacked_bytes = len(data)
        last = max(_offsets(data), default=0)
        # Version 0 has the offsets of the log in the messages too.
        shift = self.last_offset - last if self.magic else 0
        for start, end in _bounds(data):
            inner, inner_codec = _message(data[start:end])
            if inner_codec != NONE:
                raise UnreadableError(MALFORMED, "a compressed message is in a compressed message")
            timestamp = self.max_timestamp if self._attributes & _APPEND_TIME else inner.timestamp
            yield PlainRecord(inner.offset + shift, timestamp, inner.key, inner.value, [])


def _message(raw: memoryview) -> tuple[PlainRecord, int]:
    """Return the record of a message, and the codec of its value. Raises UnreadableError and struct.error."""
    offset, _, _, magic, attributes = _HEAD.unpack_from(raw)
    at, timestamp = _HEAD.size, -1
    if magic == 1:
        (timestamp,) = struct.unpack_from(">q", raw, at)
        at += 8
    elif magic != 0:
        raise UnreadableError(MALFORMED, f"a message in it has version {magic}")
    key, at = _field(raw, at)
    value, _ = _field(raw, at)
    return PlainRecord(offset, timestamp, key, value, []), attributes & _CODEC


def _field(raw: memoryview, at: int) -> tuple[bytes | None, int]:
    (length,) = struct.unpack_from(">i", raw, at)
    at += 4
    if length < 0:
        return None, at
    if at + length > len(raw):
        raise UnreadableError(MALFORMED, "the length of a field in it is wrong")
    return bytes(raw[at : at + length]), at + length


def _bounds(data: memoryview) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at + 8)
        end = at + _OVERHEAD + size
        if size < 0 or end > len(data):
            raise UnreadableError(MALFORMED, "the length of a message in it is wrong")
        yield at, end
        at = end


def _offsets(data: memoryview) -> Iterator[int]:
    for start, _ in _bounds(data):
        yield struct.unpack_from(">q", data, start)[0]
