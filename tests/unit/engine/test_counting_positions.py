"""From raw records to the ledger: how far each source is read, with missing, repeated and interrupted batches."""

import asyncio
from unittest.mock import patch

import pytest

from stream_app.kafka.record_batches import FetchedBatches, PackedBatch
from stream_app.kafka.records import Partition
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, posts, stored_after
from tests.unit.engine.parts import CHANGELOG, Parts
from tests.unit.engine.test_counting import DAY_MS, POSTS, SHARES, counters


async def test_records_delivered_again_are_skipped() -> None:
    parts = Parts()
    await parts.count(posts(range(5)))
    await parts.count(posts(range(3, 8)))
    assert counters(parts) == (8, 0, 0, 0)
    assert parts.fake.meter.skipped.call_args.args == (POSTS, 2)
    steps = len(parts.fake.producer.steps)
    await parts.count(posts(range(8)))
    assert parts.fake.producer.steps[steps:] == []
    assert parts.ledger.source(POSTS).position == 8


async def test_a_gap_is_sought_back_to() -> None:
    parts = Parts()
    await parts.count(posts(range(5)))
    await parts.count(posts(range(8, 10)))
    assert parts.fake.kafka.sought == [(Partition(POSTS, PARTITION), 5)]
    assert counters(parts) == (5, 0, 0, 0)


async def test_a_gap_that_comes_again_is_sought_back_to_again() -> None:
    """In a rebalance reading may go on from the committed offsets before the seek has had any effect."""
    parts = Parts()
    await parts.count(posts(range(5)))
    await parts.count(posts(range(8, 10)))
    await parts.count(posts(range(8, 10)))
    assert [offset for _, offset in parts.fake.kafka.sought] == [5, 5]
    await parts.count(posts(range(5, 10)))
    assert counters(parts) == (10, 0, 0, 0)


async def test_records_that_are_gone_from_kafka_are_reported_and_what_is_left_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = Parts()
    await parts.count(posts(range(5)))
    parts.fake.kafka.began[Partition(POSTS, PARTITION)] = 8
    await parts.count(posts(range(8, 10)))
    assert parts.fake.kafka.sought == []
    assert counters(parts) == (7, 0, 0, 0)
    assert parts.ledger.source(POSTS).position == 10
    assert "offsets 5 to 7 are gone from Kafka" in caplog.text


async def test_a_gap_is_sought_back_to_where_kafka_begins() -> None:
    parts = Parts()
    await parts.count(posts(range(5)))
    parts.fake.kafka.began[Partition(POSTS, PARTITION)] = 7
    await parts.count(posts(range(9, 12)))
    assert parts.fake.kafka.sought == [(Partition(POSTS, PARTITION), 7)]
    await parts.count(posts(range(7, 12)))
    assert counters(parts) == (10, 0, 0, 0)


async def test_a_gap_before_the_first_batch_is_sought_back_to_as_well() -> None:
    """The group may have committed a batch whose delta did not reach Kafka before the worker was killed."""
    parts = Parts()
    await parts.count(posts(range(3, 5)))
    assert parts.fake.kafka.sought == [(Partition(POSTS, PARTITION), 0)]
    await parts.count(posts(range(5)))
    assert counters(parts) == (5, 0, 0, 0)


async def test_posts_and_shares_have_a_position_each() -> None:
    parts = Parts()
    await parts.count(posts(range(5)))
    await parts.count(posts(range(3), topic=SHARES))
    assert counters(parts) == (5, 0, 0, 0)
    assert counters(parts, SHARES) == (3, 0, 0, 0)
    assert parts.ledger.rows.totals[:, 0].tolist() == [5, 80]


async def test_records_of_a_partition_of_another_owner_are_skipped() -> None:
    parts = Parts(hold=False)
    await parts.count(posts(range(5)))
    assert parts.fake.producer.steps == []


@pytest.mark.parametrize(("end", "lagging"), [(5, False), (6, True)])
async def test_a_source_lags_while_records_are_still_to_be_read(end: int, lagging: bool) -> None:
    parts = Parts()
    parts.fake.kafka.ended[Partition(POSTS, PARTITION)] = end
    await parts.count(posts(range(5)))
    assert parts.ledger.lagging == ({POSTS} if lagging else set())


async def test_offsets_without_records_are_counted_as_read() -> None:
    """Marks of transactions, say: nobody may wait for what is no record."""
    parts = Parts()
    parts.fake.kafka.ended = {Partition(POSTS, PARTITION): 7}
    await parts.count(posts(range(5)))
    assert parts.ledger.lagging == {POSTS}
    written = len(parts.fake.producer.steps)
    await parts.counter.count(FetchedBatches(POSTS, PARTITION, [PackedBatch.nothing(5, 6)]))
    assert parts.ledger.source(POSTS).position == 7
    assert parts.ledger.lagging == set()
    assert parts.fake.producer.steps[written:] == [], "it is not worth a write"
    assert counters(parts) == (5, 0, 0, 0)
    await parts.counter.count(FetchedBatches(POSTS, PARTITION, [PackedBatch.nothing(3, 6)]))
    assert parts.ledger.source(POSTS).position == 7


async def test_a_source_without_lag_is_reported_even_if_no_record_showed_it() -> None:
    parts = Parts()
    parts.fake.kafka.ended = {Partition(POSTS, PARTITION): 7}
    await parts.count(posts(range(5)))
    for _ in range(3):
        await parts.round()
    assert parts.exchange.statuses[PARTITION].lagging
    await parts.counter.count(FetchedBatches(POSTS, PARTITION, [PackedBatch.nothing(5, 6)]))
    await parts.round()
    status = parts.exchange.statuses[PARTITION]
    assert (status.lagging, status.sources[POSTS].position) == (False, 7)


async def test_a_batch_whose_counting_is_cancelled_is_counted_whole_or_not_at_all() -> None:
    """A worker that ends cancels its agents wherever they wait, and goes on to write what it has."""
    parts = Parts()
    await parts.count(posts(range(3)))
    owned, producer = parts.fake.context.owned[PARTITION], parts.fake.producer

    async def forever() -> None:
        await asyncio.Event().wait()

    with patch.object(parts.fake.context.output, "flush", forever):
        counting = asyncio.ensure_future(parts.count([post(3), post(4, ts_ms=NOW_MS - 2 * DAY_MS)]))
        await asyncio.sleep(0)
        counting.cancel()
        await asyncio.wait((counting,))
    owned.store.erase({"somebody"})  # writes how far the ledger has come
    await producer.flush()
    new = Parts(hold=False)
    new.restore_table(stored_after(producer.of(CHANGELOG)))
    await new.ownership.take_over({PARTITION}, 2)
    assert new.ledger.source(POSTS).position == 3
    await new.count([post(3), post(4, ts_ms=NOW_MS - 2 * DAY_MS)])
    assert counters(new) == (4, 0, 1, 0)
    assert new.ledger.rows.totals[0].max() == 4
