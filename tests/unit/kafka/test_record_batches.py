"""Record batches of Kafka: every record is read once, and none that aiokafka leaves out."""

from dataclasses import replace

import pytest
from aiokafka.structs import ConsumerRecord

from tests.unit.engine.packing import (
    ABORT_MARK,
    COMMIT_MARK,
    READ_COMMITTED,
    fetched,
    in_transaction,
    numbered,
    read,
    record_batch,
    records_of_one,
    unpacked,
    with_bytes,
)

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)


def mark(offset: int, kind: bytes, producer: int) -> bytes:
    return in_transaction(
        record_batch([ConsumerRecord("posts", 0, offset, 1, 0, kind, b"", None, 1, 1, ())]), producer, control=True
    )


def offsets(data: bytes, start: int, *settings: object) -> list[list[int]]:
    return [[record.offset for record in records_of_one(packed)] for packed in read(data, start, *settings)]  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", [NONE, GZIP, SNAPPY, LZ4, ZSTD])
def test_records_keep_what_was_produced(codec: int) -> None:
    (packed,) = read(record_batch(numbered(range(3, 6)), codec), 3)
    assert (packed.first, packed.count, packed.offset, packed.timestamp) == (3, 3, 5, 1005)
    assert [(r.offset, r.timestamp, r.key, r.value) for r in records_of_one(packed)] == [
        (3, 1003, b"k", b"v3"),
        (4, 1004, b"k", b"v4"),
        (5, 1005, b"k", b"v5"),
    ]


def test_records_before_the_offset_asked_for_are_left_out() -> None:
    data = record_batch(numbered(range(3))) + record_batch(numbered(range(3, 6))) + record_batch(numbered([6]))
    assert offsets(data, 4) == [[4, 5], [6]]


def test_all_that_was_fetched_of_a_partition_comes_out_in_order() -> None:
    data = record_batch(numbered(range(2))) + record_batch(numbered(range(2, 5)))
    batch = unpacked(list(read(data, 1)))
    assert [record.offset for record in batch.records] == [1, 2, 3, 4]
    assert batch.end == 5


def test_offsets_without_a_record_are_no_gap() -> None:
    data = record_batch(numbered([0, 3]), last=7) + mark(8, COMMIT_MARK, 5) + record_batch(numbered([9]))
    first, second = read(data, 0)
    assert (first.first, first.offset) == (0, 7)
    assert (second.first, second.offset) == (8, 9)
    assert unpacked([first, second]).end == 10


def test_a_gap_before_what_was_asked_for_shows() -> None:
    assert fetched(numbered(range(5, 8))).first == 5


def test_the_consumer_goes_on_after_the_last_offset_even_without_its_record() -> None:
    records = read(record_batch(numbered([0, 1]), last=4), 0)
    assert len(list(records)) == 1
    assert records.next_fetch_offset == 5


def test_aborted_transactions_are_left_out_where_asked_for() -> None:
    data = b"".join(
        (
            in_transaction(record_batch(numbered([0, 1])), 5),
            mark(2, ABORT_MARK, 5),
            in_transaction(record_batch(numbered([3])), 5),
            mark(4, COMMIT_MARK, 5),
        )
    )
    assert offsets(data, 0, [(5, 0)], READ_COMMITTED) == [[3], []]
    assert offsets(data, 0) == [[0, 1], [3], []]


def test_marks_at_the_end_of_a_fetch_are_handed_over_as_nothing_but_offsets() -> None:
    """They would be waited for as if they were records, and a source that ends with one would seem to stand still."""
    data = b"".join(
        (
            in_transaction(record_batch(numbered([0, 1])), 5),
            mark(2, COMMIT_MARK, 5),
            in_transaction(record_batch(numbered([3])), 6),
            mark(4, ABORT_MARK, 6),
        )
    )
    records = read(data, 0, [(6, 3)], READ_COMMITTED)
    kept, nothing = records
    assert (kept.first, kept.offset, [record.offset for record in records_of_one(kept)]) == (0, 1, [0, 1])
    assert (nothing.first, nothing.offset, nothing.count, records_of_one(nothing)) == (2, 4, 0, [])
    assert (records.next_fetch_offset, next(records, None)) == (5, None)
    assert unpacked([nothing]).end == 5


@pytest.mark.parametrize("start", [0, 4])
def test_a_header_whose_name_is_no_utf_8_does_not_keep_its_record_from_being_read(start: int) -> None:
    before, after = record_batch(numbered(range(3))), record_batch(numbered(range(6, 8)))
    named = [replace(record, headers=(("ABC", b"x"),)) for record in numbered(range(3, 6))]
    bad = with_bytes(record_batch(named), b"ABC", b"\xff\xfe\xfd")
    records = [record for packed in read(before + bad + after, start) for record in records_of_one(packed)]
    assert [(record.offset, record.key, record.value) for record in records] == [
        (number, b"k", b"v%d" % number) for number in range(start, 8)
    ]
    assert records[4 - start].headers == [("\\xff\\xfe\\xfd", b"x")]
