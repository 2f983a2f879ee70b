"""A record batch as it is on Kafka: its header, and its records a slice at a time.

The header of a batch is inside the check sum, and brokers check it, but its producer has written it: every number in it
is treated as a claim. The records are read a slice at a time because they take many times their size in memory: 30 MB
can be 4 million records without a value, or one record with 15 million headers.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch

from stream_app.kafka.format.compression import MALFORMED, NONE, UnreadableError, too_large, unpack
from stream_app.kafka.format.plain import BatchTimes, record_at, varint
from stream_app.kafka.records import Record

SLICE_RECORDS = 10_000
SLICE_BYTES = 2_000_000
"""Of a batch that is larger, the lengths of the records are read first."""

HEAD = struct.Struct(">qiibIhiqqqhii")
_ATTRIBUTES_AT = 21
_CODEC, _APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20
_READER_ERRORS = (CorruptRecordException, ValueError, LookupError, ArithmeticError, MemoryError, struct.error)
"""What aiokafka's reader raises for malformed records."""


class BatchHead(NamedTuple):
    """The fields of a batch before its records, as they are claimed."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int


class RecordBatch:
    """A batch of version 2, the only one that brokers write since Kafka 0.11."""

    magic = 2

    def __init__(self, raw: memoryview) -> None:
        """`raw`: the whole batch, at least HEAD.size bytes. Raises CorruptRecordException."""
        if len(raw) < HEAD.size:
            raise CorruptRecordException(f"a record batch of {len(raw)} bytes")
        self.raw = raw
        self.head = BatchHead(*HEAD.unpack_from(raw))
        self.unpacked_bytes = len(raw)
        """Of its records too, once they are read."""

    @property
    def base_offset(self) -> int:
        """The first offset that it stands for."""
        return self.head.base_offset

    @property
    def last_offset(self) -> int:
        """The last offset that it stands for."""
        return self.head.base_offset + max(self.head.last_offset_delta, 0)

    @property
    def next_offset(self) -> int:
        """The offset after the last one."""
        return self.last_offset + 1

    @property
    def span(self) -> int:
        """Offsets that it stands for."""
        return self.next_offset - self.base_offset

    @property
    def count(self) -> int:
        """Records that it claims to hold."""
        return self.head.records

    @property
    def max_timestamp(self) -> int:
        """The newest of its records, epoch ms."""
        return self.head.max_timestamp

    @property
    def producer_id(self) -> int:
        """The producer of a transaction; below 0 without one."""
        return self.head.producer_id

    @property
    def is_transactional(self) -> bool:
        """Whether it is part of a transaction."""
        return bool(self.head.attributes & _TRANSACTIONAL)

    @property
    def is_control_batch(self) -> bool:
        """Whether it ends a transaction instead of holding records."""
        return bool(self.head.attributes & _CONTROL)

    def validate_crc(self) -> bool:
        """Whether the bytes are those that were written."""
        return bool(DefaultRecordBatch(self.raw).validate_crc())

    def control_key(self) -> bytes:
        """The key of the record in a control batch; empty where it is not readable."""
        try:
            record, _ = record_at(self.raw, HEAD.size, 0, BatchTimes(0, None))
        except UnreadableError:
            return b""
        return record.key or b""

    def slices(self, room: int) -> Iterator[Sequence[Record]]:
        """Yield the records, in order. Raises UnreadableError; `room`: most bytes of the batch without compression."""
        raw = self._unpacked(room)
        self.unpacked_bytes = len(raw)
        if self.count <= 0 < len(raw) - HEAD.size:
            raise UnreadableError(MALFORMED, f"it claims to hold {self.count} records")
        if len(raw) > SLICE_BYTES:
            yield from self._large(raw)
            return
        batch: Iterable[Record] = DefaultRecordBatch(raw)
        if self.count > SLICE_RECORDS:  # aiokafka's reader can begin once only, and `islice` makes it begin each time
            batch = (record for record in DefaultRecordBatch(raw))
        read = 0
        while read < self.count:
            try:
                records = list(islice(batch, SLICE_RECORDS))
            except _READER_ERRORS:
                yield from self.plain(raw, read)
                return
            if not records:
                return
            read += len(records)
            yield records

    def _unpacked(self, room: int) -> memoryview:
        codec = self.head.attributes & _CODEC
        if codec == NONE:
            if len(self.raw) - HEAD.size > room:
                raise too_large(room)
            return self.raw
        head = bytearray(self.raw[: HEAD.size])
        struct.pack_into(">h", head, _ATTRIBUTES_AT, self.head.attributes & ~_CODEC)
        return unpack(codec, self.raw[HEAD.size :], room, bytes(head))

    def _large(self, raw: memoryview) -> Iterator[Sequence[Record]]:
        """Slices of few bytes each; a record that is larger than a slice is read with bounded headers."""
        read, at = 0, HEAD.size
        while read < self.count and at < len(raw):
            start, size = at, 0
            while size < min(SLICE_RECORDS, self.count - read) and at < len(raw):
                end = _end_of(raw, at)
                if end - start > SLICE_BYTES and size:
                    break
                at, size = end, size + 1
            if at - start > SLICE_BYTES:
                yield [record_at(raw, start, self.base_offset, self._times())[0]]
            else:
                yield from self._piece(raw, start, at, size)
            read += size
        if read < self.count:
            raise UnreadableError(MALFORMED, "it holds fewer records than it claims")

    def _piece(self, raw: memoryview, start: int, end: int, size: int) -> Iterator[Sequence[Record]]:
        head = self.head._replace(records=size, attributes=self.head.attributes & ~_CODEC)
        data = HEAD.pack(*head) + raw[start:end]
        try:
            records = list(DefaultRecordBatch(data))
        except _READER_ERRORS:
            yield from RecordBatch(memoryview(data)).plain(memoryview(data), 0)
            return
        yield records

    def plain(self, raw: memoryview, skipped: int) -> Iterator[Sequence[Record]]:
        """Yield what can be read after the first `skipped` records. Raises UnreadableError where it ends too early."""
        at, times = HEAD.size, self._times()
        for number in range(self.count):
            record, at = record_at(raw, at, self.base_offset, times)
            if number >= skipped:
                yield [record]
        if at != len(raw):
            raise UnreadableError(MALFORMED, "bytes follow its last record")

    def _times(self) -> BatchTimes:
        is_appended = self.head.attributes & _APPEND_TIME
        return BatchTimes(self.head.first_timestamp, self.head.max_timestamp if is_appended else None)


def _end_of(raw: memoryview, at: int) -> int:
    length, at = varint(raw, at)
    if length < 0 or at + length > len(raw):
        raise UnreadableError(MALFORMED, "the length of a record in it is wrong")
    return at + length
