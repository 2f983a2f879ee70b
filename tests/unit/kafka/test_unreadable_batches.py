"""Batches with a right check sum and wrong contents: what can be read is read, the rest is set aside together."""

import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from kafka.record import MemoryRecords

from stream_app.kafka.format.batch import HEAD, SLICE_BYTES
from stream_app.kafka.format.compression import MALFORMED, TOO_LARGE
from stream_app.kafka.format.kafka_python import CheckedRecords
from stream_app.kafka.record_batches import TOGETHER_BYTES, FetchedBatches
from stream_app.kafka.records import Batch, Partition, UnreadableBatch
from tests.servers.raw_batches import around, bomb, compressed, packed
from tests.unit.engine.packing import numbered, read, record_batch, sealed

CODECS = ["gzip", "snappy", "snappy-raw", "lz4", "zstd"]
ROOM = 1_000_000


def pieces(data: bytes, start: int = 0, room: int = ROOM) -> tuple[list[int], list[UnreadableBatch]]:
    """The offsets that are read, and what is not."""
    offsets, unreadable = [], []
    for packed_batch in read(data, start):
        for piece in packed_batch.pieces(room):
            if isinstance(piece, UnreadableBatch):
                unreadable.append(piece)
            else:
                offsets += [record.offset for record in piece]
    return offsets, unreadable


def counted(data: bytes, room: int = ROOM) -> list[Batch]:
    return list(FetchedBatches("posts", 0, list(read(data, 0))).unpacked(room))


def with_head(batch: bytes, **fields: int) -> bytes:
    """The batch with other numbers in its head."""
    names = ["base", "length", "epoch", "magic", "crc", "attributes", "last", "first_ms", "max_ms"]
    names += ["producer", "producer_epoch", "sequence", "count"]
    head = dict(zip(names, HEAD.unpack_from(batch), strict=True)) | fields
    return sealed(bytearray(HEAD.pack(*head.values()) + batch[HEAD.size :]))


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_that_unpacks_to_more_than_allowed_is_one_thing_to_set_aside(codec: str) -> None:
    before, after = record_batch(numbered([0, 1])), record_batch(numbered([5]))
    large = bomb(numbered([2, 3, 4]), codec, 30 * ROOM)
    offsets, (found,) = pieces(before + large + after)
    assert offsets == [0, 1, 5]
    assert found[:5] == (2, 4, 3, len(large), TOO_LARGE)
    assert "1,000,000 bytes" in str(found)


@pytest.mark.parametrize("codec", CODECS)
def test_a_bomb_takes_no_more_memory_than_what_is_allowed(codec: str) -> None:
    large = bomb(numbered([0]), codec, 50 * ROOM)
    tracemalloc.start()
    pieces(large)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * ROOM + 4 * len(large)


@pytest.mark.parametrize("codec", CODECS)
def test_what_just_fits_is_read(codec: str) -> None:
    data = record_batch(numbered(range(3)))
    size = len(data) - HEAD.size
    assert pieces(compressed(data, codec), room=size) == ([0, 1, 2], [])
    assert pieces(compressed(data, codec), room=size - 1)[0] == []


def test_the_bound_holds_without_compression_too() -> None:
    assert pieces(record_batch(numbered(range(3))), room=10)[1][0].reason == TOO_LARGE


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("body", [b"", b"\0", b"nonsense" * 9, b"\xff" * 30], ids=repr)
def test_what_is_no_such_compression_is_set_aside(codec: str, body: bytes) -> None:
    data = around(record_batch(numbered(range(3))), body, {"gzip": 1, "lz4": 3, "zstd": 4}.get(codec, 2))
    offsets, (found,) = pieces(data)
    assert (offsets, found.first, found.last, found.records, found.reason) == ([], 0, 2, 3, MALFORMED)


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_codecs_that_do_not_exist_are_set_aside(codec: int) -> None:
    assert pieces(around(record_batch(numbered(range(3))), b"?" * 40, codec))[1][0].records == 3


def test_a_xerial_block_may_say_what_it_likes_about_its_size() -> None:
    start = packed("snappy", b"x" * 100)[:16]
    for length in (-1, 5, 2**31 - 1):
        body = start + struct.pack(">i", length) + b"\xff\xff\xff\xff\x07"
        assert pieces(around(record_batch(numbered([0])), body, 2))[1][0].records == 1


@pytest.mark.parametrize("count", [2**31 - 1, 4, 2, 0, -1, -(2**31)])
def test_the_number_of_records_may_be_a_lie(count: int) -> None:
    """What is there is read as far as the batch claims it; what it claims beyond its offsets does not exist."""
    offsets, unreadable = pieces(with_head(record_batch(numbered(range(3))), count=count))
    read_ = len(range(3)[: max(count, 0)])
    assert offsets == list(range(read_))
    assert sum(found.records for found in unreadable) == 3 - read_


@pytest.mark.parametrize("last", [-5, 0, 1])
def test_the_last_offset_may_be_a_lie(last: int) -> None:
    offsets, unreadable = pieces(with_head(record_batch(numbered(range(3))), last=last))
    assert offsets == list(range(max(last, 0) + 1))
    assert unreadable == []


LIES: dict[str, Callable[[bytearray], Any]] = {
    "length of a record": lambda data: data.__setitem__(0, 0x7E),
    "negative length of a record": lambda data: data.__setitem__(0, 0x01),
    "length of a key": lambda data: data.__setitem__(4, 0x7E),
    "length of a value": lambda data: data.__setitem__(6, 0x7E),
    "number without end": lambda data: data.__setitem__(slice(0, 12), b"\xff" * 12),
    "number of headers": lambda data: data.__setitem__(9, 0x7E),
    "negative number of headers": lambda data: data.__setitem__(9, 0x01),
}


@pytest.mark.parametrize("lie", LIES)
def test_lengths_may_be_lies(lie: str) -> None:
    """The records before it are read, those from it on are set aside together."""
    good = record_batch(numbered(range(4)))
    size = (len(good) - HEAD.size) // 4
    body = bytearray(good[HEAD.size :])
    bad = bytearray(body[2 * size : 3 * size])
    LIES[lie](bad)
    offsets, (found,) = pieces(around(good, bytes(body[: 2 * size] + bad + body[3 * size :])))
    assert (offsets, found.first, found.last, found.records, found.reason) == ([0, 1], 2, 3, 2, MALFORMED)


@pytest.mark.parametrize(
    "order",
    [
        *([0, 0, 0, 0], [3, 2, 1, 0], [0, 1, 1, 2], [0, 9, 1, 2], [1, 2, 3, 4], [0, 1, 2, 2**31 - 1]),
        *([0, -64, 2, 3], [0, 1, 9, 3]),
    ],
)
def test_offsets_that_do_not_increase_are_never_counted_twice(order: list[int]) -> None:
    good = record_batch(
        [replace(record, offset=offset) for record, offset in zip(numbered(range(4)), order, strict=True)]
    )
    offsets, unreadable = pieces(with_head(good, base=0, last=3))
    assert offsets == sorted(set(offsets))
    assert all(0 <= offset <= 3 for offset in offsets)
    assert len(offsets) + sum(found.records for found in unreadable) == 4


def test_a_record_with_a_million_headers_takes_little_memory() -> None:
    (record,) = numbered([0])
    headers = (("", b""),) * (SLICE_BYTES + 10)
    data = compressed(record_batch([replace(record, headers=headers)]), "zstd")
    (packed_batch,) = read(data, 0)
    ((found,),) = packed_batch.pieces(50 * ROOM)
    assert (found.key, found.value) == (b"k", b"v0")
    assert len(found.headers) == 1000


@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_a_million_records_without_a_value_are_counted_a_slice_at_a_time(codec: str) -> None:
    count = 300_000
    empty = record_batch([replace(numbered([0])[0], key=None, value=None)])[HEAD.size :]
    body = b"".join(_numbered_empty(empty, number) for number in range(count))
    head = with_head(record_batch(numbered([0])), count=count, last=count - 1)
    batches = counted(around(head, packed(codec, body), {"gzip": 1, "zstd": 4}[codec]), 10 * ROOM)
    assert max(len(batch.records) for batch in batches) <= 20_000
    assert [record.offset for batch in batches for record in batch.records] == list(range(count))
    assert batches[-1].end == count


def _numbered_empty(record: bytes, number: int) -> bytes:
    body = record[1:3] + _varint(number) + record[4:]
    return _varint(len(body)) + body


def _varint(number: int) -> bytes:
    number <<= 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def test_many_large_batches_are_not_unpacked_together() -> None:
    size = TOGETHER_BYTES // 4
    data = b"".join(bomb(numbered([offset]), "zstd", size) for offset in range(20))
    batches = counted(data, 2 * size)
    assert max(len(batch.records) for batch in batches) <= 5
    assert [record.offset for batch in batches for record in batch.records] == list(range(20))


def test_positions_follow_what_is_set_aside() -> None:
    data = record_batch(numbered([0, 1])) + bomb(numbered([2, 3]), "zstd", 9 * ROOM) + record_batch(numbered([4]))
    batches = counted(data)
    assert [(batch.end, len(batch.records), batch.unreadable is not None) for batch in batches] == [
        (2, 2, False),
        (4, 0, True),
        (5, 1, False),
    ]


def legacy(magic: int, codec: int, count: int = 3, size: int = 3) -> bytes:
    """A set of messages, as Kafka stores it."""
    builder = LegacyRecordBatchBuilder(magic, codec, 2_000_000_000)
    for number in range(count):
        builder.append(number, 1000 + number, b"k", b"v" * size)
    return bytes(builder.build())


@pytest.mark.parametrize(("magic", "codec"), [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2), (1, 3)])
def test_messages_of_the_old_versions_are_read(magic: int, codec: int) -> None:
    data = legacy(magic, codec)
    if codec:
        data = struct.pack(">q", 2) + data[8:]
    assert pieces(data) == ([0, 1, 2], [])


@pytest.mark.parametrize("codec", [1, 2, 3])
def test_the_bound_holds_for_old_versions_too(codec: int) -> None:
    data = struct.pack(">q", 2) + legacy(1, codec, size=ROOM)[8:]
    offsets, (found,) = pieces(data)
    assert (offsets, found.first, found.last, found.records, found.reason) == ([], 0, 2, 3, TOO_LARGE)


def test_compression_in_compression_is_set_aside() -> None:
    inner = legacy(1, 1)
    builder = LegacyRecordBatchBuilder(1, 0, 1_000_000)
    builder.append(0, 1, None, packed("gzip", inner))
    outer = bytearray(builder.build())
    outer[17] = 1  # the attributes
    struct.pack_into(">I", outer, 12, crc32(outer[16:]))
    assert pieces(bytes(outer))[1][0].reason == MALFORMED


@pytest.mark.parametrize("codec", CODECS)
def test_the_commands_read_every_codec_and_pass_over_what_is_too_large(
    codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = compressed(record_batch(numbered(range(3))), codec) + bomb(numbered([3, 4]), codec, 9 * ROOM)
    data += compressed(record_batch(numbered([5])), codec)
    fetched = CheckedRecords(1, Partition("flags", 2), MemoryRecords(data), room=ROOM)
    assert [(record.offset, record.value) for record in fetched.take()] == [(1, b"v1"), (2, b"v2"), (5, b"v5")]
    assert fetched.next_fetch_offset == 6
    assert "flags-2: passed over" in caplog.text
