"""Record batches that cannot be read: their records are rejected together, and counting goes on behind them."""

from typing import Any

from stream_app.core.events.dead_letter import DeadLetter, Shared
from stream_app.core.events.dead_letter import read as read_letter
from stream_app.kafka.record_batches import FetchedBatches
from tests.servers.raw_batches import bomb
from tests.unit.engine.fakes import PARTITION, posts
from tests.unit.engine.packing import read, record_batch
from tests.unit.engine.parts import Parts
from tests.unit.engine.test_counting import POSTS, counters

ROOM = 100_000
DEAD_LETTERS = "influence.dead-letters"


def fetch_of(*batches: bytes, start: int = 0) -> FetchedBatches:
    return FetchedBatches(POSTS, PARTITION, list(read(b"".join(batches), start)))


def with_bomb() -> tuple[bytes, bytes, bytes]:
    records = posts(range(10))
    return record_batch(records[:3]), bomb(records[3:8], "zstd", 50 * ROOM), record_batch(records[8:])


def letters(parts: Parts) -> list[dict[str, Any]]:
    return [dict(record.headers) for record in parts.fake.producer.of(DEAD_LETTERS)]


async def test_a_bomb_is_rejected_with_all_its_records_and_counting_goes_on() -> None:
    parts = Parts(max_unpacked_bytes=ROOM)
    await parts.counter.count(fetch_of(*with_bomb()))
    assert counters(parts) == (5, 0, 0, 5)
    assert parts.ledger.source(POSTS).position == 10
    parts.fake.meter.bound_hit.assert_called_once_with("max_unpacked_bytes")


async def test_one_dead_letter_says_which_records_how_large_and_what_to_do() -> None:
    parts = Parts(max_unpacked_bytes=ROOM)
    batches = with_bomb()
    await parts.counter.count(fetch_of(*batches))
    (letter,) = letters(parts)
    assert letter["__streams.errors.offset"] == b"3"
    assert letter["__streams.errors.exception"] == b"batch-too-large"
    message = letter["__streams.errors.message"].decode()
    for part in (
        "5 records",
        "offsets 3 to 7",
        f"{len(batches[1]):,} bytes",
        "100,000",
        "STREAM_APP_MAX_UNPACKED_BYTES",
    ):
        assert part in message


async def test_the_letter_stands_for_all_records_of_the_batch_and_no_setting_has_left_them_out() -> None:
    parts = Parts(max_unpacked_bytes=ROOM)
    await parts.counter.count(fetch_of(*with_bomb()))
    (written,) = parts.fake.producer.of(DEAD_LETTERS)
    letter = read_letter(written.key, written.value, written.headers)
    assert isinstance(letter, DeadLetter)
    assert letter.shared == Shared(7, {"batch-too-large": 5}, [(3, 7)])
    assert letter.is_unread
    assert not letter.is_withheld


async def test_what_comes_again_after_a_restart_is_not_rejected_again() -> None:
    parts = Parts(max_unpacked_bytes=ROOM)
    batches = with_bomb()
    for _ in range(2):
        await parts.counter.count(fetch_of(*batches))
    assert counters(parts) == (5, 0, 0, 5)
    assert len(letters(parts)) == 1


async def test_the_letter_is_durable_before_the_records_count_as_rejected() -> None:
    parts = Parts(max_unpacked_bytes=ROOM)
    await parts.counter.count(fetch_of(*with_bomb()))
    steps = parts.fake.producer.steps
    letter = steps.index(DEAD_LETTERS)
    assert steps[letter + 1] == "flush"
    assert "influence-segments-changelog" in steps[letter + 2 :]
