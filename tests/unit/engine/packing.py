"""Record batches as Kafka packs them, read by the consumer's own classes."""

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import ConsumerRecord

from stream_app.kafka.record_batches import FetchedBatches, PackedBatch, leave_records_packed, records_of
from stream_app.kafka.records import Batch, Partition

ROOM = 10_000_000
READ_UNCOMMITTED, READ_COMMITTED = range(2)
COMMIT_MARK = b"\x00\x00\x00\x01"
ABORT_MARK = b"\x00\x00\x00\x00"
_TRANSACTIONAL, _CONTROL = 0x10, 0x20
_ATTRIBUTES = struct.Struct(">h")
_ATTRIBUTES_AT, _CRC_AT, _LAST_DELTA_AT = 21, 17, 23


def record_batch(records: Sequence[Any], codec: int = 0, last: int | None = None) -> bytes:
    """One record batch; `last` is the last offset it stands for, where compaction has removed records."""
    first = records[0].offset
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2_000_000_000)
    for record in records:
        assert (
            builder.append(record.offset - first, record.timestamp, record.key, record.value, list(record.headers))
            is not None
        )
    batch = bytearray(builder.build())
    struct.pack_into(">q", batch, 0, first)
    if last is not None:
        struct.pack_into(">i", batch, _LAST_DELTA_AT, last - first)
    return sealed(batch)


def read(data: bytes, start: int, aborted: Sequence[tuple[int, int]] = (), isolation: int = READ_UNCOMMITTED) -> Any:
    """What a consumer that asked for offset `start` makes of a fetch."""
    leave_records_packed()
    return fetcher.PartitionRecords(
        Partition("posts", 0), fetcher.MemoryRecords(data), list(aborted), start, None, None, True, isolation
    )


def in_transaction(batch: bytes, producer: int, *, control: bool = False) -> bytes:
    """The batch as one of a transaction; as the mark that ends it."""
    changed = bytearray(batch)
    _ATTRIBUTES.pack_into(changed, _ATTRIBUTES_AT, _TRANSACTIONAL | (_CONTROL if control else 0))
    struct.pack_into(">qhi", changed, 43, producer, 0, 0)
    return sealed(changed)


def with_bytes(batch: bytes, text: bytes, other: bytes) -> bytes:
    """The batch with other bytes in the place of these, as somebody may have written it."""
    assert len(text) == len(other)
    return sealed(bytearray(batch.replace(text, other)))


def fetched(records: Sequence[Any]) -> FetchedBatches:
    """Records of one partition as an agent gets them."""
    data = record_batch(records)
    packed: list[PackedBatch] = list(read(data, records[0].offset))
    return FetchedBatches(records[0].topic, records[0].partition, packed)


def unpacked(packed: Sequence[PackedBatch], room: int = ROOM) -> Batch:
    """What is counted together, where it is little."""
    (batch,) = FetchedBatches("posts", 0, packed).unpacked(room)
    return batch


def records_of_one(packed: PackedBatch, room: int = ROOM) -> list[Any]:
    """The records of a batch, all of which can be read."""
    return list(records_of([packed], room, lambda found: pytest.fail(str(found))))


def numbered(offsets: Sequence[int], partition: int = 0) -> list[Any]:
    """Records that say where they stand."""
    return [ConsumerRecord("posts", partition, n, 1000 + n, 0, b"k", b"v%d" % n, None, 1, 2, ()) for n in offsets]


def sealed(batch: bytearray) -> bytes:
    """With the right check sum."""
    struct.pack_into(">I", batch, _CRC_AT, calc_crc32c(bytes(batch[_ATTRIBUTES_AT:])))
    return bytes(batch)
