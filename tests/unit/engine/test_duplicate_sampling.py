"""The sample of duplicates: what is taken up of a batch, what is published, and what the next owner knows."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from stream_app.core.changelog.columns import FormatError
from stream_app.core.events import duplicate_sample
from stream_app.core.events.duplicate_sample import (
    MOST_KEPT,
    MOST_OF_BATCH,
    NOWHERE,
    Duplicate,
    DuplicateSample,
    NewestDuplicates,
)
from stream_app.engine.counting.duplicate_sampling import PUBLISHED_EVERY_S
from stream_app.engine.rounds.curve_exchange import CurveExchange
from tests.unit.engine.fakes import NOW_MS, PARTITION, post
from tests.unit.engine.parts import Parts

POSTS, CURVES = "influence.posts", "influence.curves"
HOUR_MS = 3_600_000


def published(parts: Parts) -> list[list[Duplicate]]:
    """Every sample that was written."""
    records = [record for record in parts.fake.producer.of(CURVES) if record.key == b"duplicates/3"]
    return [duplicate_sample.decode(record.value or b"").newest for record in records]


def duplicate(number: int) -> Duplicate:
    return Duplicate(number, POSTS, number, NOWHERE, 0, 1)


async def test_the_first_one_is_known_by_its_offset_in_the_batch_and_by_its_time_in_an_earlier_one() -> None:
    parts = Parts()
    await parts.count([post(0, event_id=1), post(1, event_id=2), post(2, event_id=1), post(3, event_id=1)])
    await parts.count([post(4, event_id=2)])
    await parts.round()
    ((second, third, later),) = published(parts)
    assert [(found.offset, found.first_offset) for found in (second, third, later)] == [(2, 0), (3, 0), (4, NOWHERE)]
    assert {found.topic for found in (second, third, later)} == {POSTS}
    assert later.first_from_ms <= NOW_MS < later.first_until_ms
    assert later.first_until_ms - later.first_from_ms == parts.fake.context.settings.pane_ms


async def test_a_partition_that_counts_everything_again_takes_up_a_few_of_each_batch_and_keeps_the_newest() -> None:
    parts = Parts()
    await parts.count([post(offset, event_id=offset) for offset in range(200)])
    for start in range(200, 2200, 200):
        await parts.count([post(start + number, event_id=number) for number in range(200)])
    held = parts.fake.context.owned[PARTITION].duplicates.newest
    assert len(held) == MOST_KEPT < 10 * MOST_OF_BATCH
    assert held[-1].offset == 2199
    assert parts.ledger.source(POSTS).duplicate == 2000


async def test_a_record_time_of_the_future_does_not_keep_a_duplicate_in_the_sample() -> None:
    parts = Parts()
    await parts.count([post(0, event_id=1), replace(post(1, event_id=1), timestamp=NOW_MS + 10**10)])
    (ahead,) = parts.fake.context.owned[PARTITION].duplicates.newest
    assert ahead.arrived_ms == NOW_MS
    parts.fake.context.owned[PARTITION].duplicates.add([msgspec.structs.replace(ahead, arrived_ms=NOW_MS + 7)])
    assert parts.fake.context.owned[PARTITION].duplicates.newest == [ahead]  # counted again after a crash
    for offset in range(2, 2 + MOST_KEPT):
        parts.fake.now_s += 1
        await parts.count([replace(post(offset, event_id=1), timestamp=round(parts.fake.now_s * 1000))])
    assert [found.offset for found in parts.fake.context.owned[PARTITION].duplicates.newest] == [*range(2, 22)]


def test_a_published_duplicate_of_the_future_is_not_taken_over() -> None:
    exchange: CurveExchange = Parts().exchange
    exchange.update(*duplicate_sample.encode(DuplicateSample(1, PARTITION, [duplicate(1), duplicate(NOW_MS * 2)])))
    assert exchange.duplicates == {PARTITION: [duplicate(1)]}


async def test_a_sample_is_written_when_it_is_new_and_not_all_the_time() -> None:
    parts = Parts()
    await parts.count([post(0, event_id=1), post(1, event_id=1)])
    for _ in range(3):
        await parts.round()
    await parts.count([post(2, event_id=1)])
    await parts.round()
    assert [len(sample) for sample in published(parts)] == [1]
    parts.fake.now_s += PUBLISHED_EVERY_S
    await parts.round()
    assert [len(sample) for sample in published(parts)] == [1, 2]


async def test_the_next_owner_continues_the_sample_of_the_one_before() -> None:
    parts = Parts()
    key, value = duplicate_sample.encode(NewestDuplicates().sample(PARTITION))
    before = NewestDuplicates()
    before.add([duplicate(7)])
    key, value = duplicate_sample.encode(before.sample(PARTITION))
    parts.exchange.update(key, value)
    await parts.count([post(0, event_id=1), post(1, event_id=1)])
    await parts.round()
    assert {found.offset for found in published(parts)[0]} == {1, 7}


async def test_a_sample_that_cannot_be_read_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    exchange: CurveExchange = Parts().exchange
    for value in (b"", b"\xc1", b"\x93\x63\x03\x90"):
        exchange.update(b"duplicates/3", value)
    assert exchange.duplicates == {}
    assert "left out" in caplog.text
    with pytest.raises(FormatError, match="version 99, this release reads 1"):
        duplicate_sample.decode(b"\x93\x63\x03\x90")


def test_the_newest_are_kept_whatever_the_order_they_come_in() -> None:
    numbers = np.random.default_rng(1).permutation(100).tolist()
    newest = NewestDuplicates()
    for number in numbers:
        newest.add([duplicate(number), duplicate(number)])
    assert [found.offset for found in newest.newest] == list(range(100 - MOST_KEPT, 100))


async def test_a_duplicate_of_a_packed_pane_is_known_by_its_own_time() -> None:
    parts = Parts()
    old_ms = NOW_MS - 12 * HOUR_MS
    await parts.count([post(0, event_id=1, ts_ms=old_ms)])
    await parts.count([post(1, event_id=2, ts_ms=NOW_MS)])
    await parts.round()
    assert parts.ledger.panes[old_ms // parts.ledger.window.pane_ms].packed
    await parts.count([post(2, event_id=1, ts_ms=old_ms)])
    (found,) = parts.fake.context.owned[PARTITION].duplicates.newest
    assert found.first_from_ms <= old_ms < found.first_until_ms


def test_what_no_worker_publishes_is_not_taken_over() -> None:
    exchange: CurveExchange = Parts().exchange
    many = [duplicate(number) for number in range(3 * MOST_KEPT)]
    foreign = msgspec.structs.replace(duplicate(999), topic="x" * 100_000)
    for partition in (PARTITION, -1, 10**9):
        exchange.update(
            *duplicate_sample.encode(DuplicateSample(duplicate_sample.VERSION, partition, [*many, foreign]))
        )
    assert exchange.duplicates == {PARTITION: many[-MOST_KEPT:]}
