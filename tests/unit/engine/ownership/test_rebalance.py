"""Rebalances: ledgers are kept or rebuilt, positions are committed, and nothing is deleted too early."""

import asyncio

import pytest

from stream_app.core.changelog.replay import replay
from stream_app.core.changelog.segments import SegmentKey
from stream_app.kafka.records import Partition
from tests.unit.engine.fakes import NOW_MS, PARTITION, Written, posts, stored_after
from tests.unit.engine.parts import CHANGELOG, Parts

POSTS, SHARES = "influence.posts", "influence.shares"
HOUR_MS = 3_600_000


def tombstones(parts: Parts) -> list[bytes]:
    return [record.key or b"" for record in parts.fake.producer.of(CHANGELOG) if record.value is None]


async def restarted(*before: Parts) -> Parts:
    """A new worker that takes over from what these have left in the log, in that order."""
    for parts in before:
        await parts.fake.producer.flush()
    new = Parts(hold=False)
    new.restore_table(stored_after([record for parts in before for record in parts.fake.producer.of(CHANGELOG)]))
    await new.ownership.take_over({PARTITION}, 2)
    return new


async def counted(batches: int = 4, size: int = 3) -> Parts:
    """A worker that has counted batches an hour of event time apart: the older panes are settled."""
    parts = Parts()
    for batch in range(batches):
        first = batch * size
        await parts.count(posts(range(first, first + size), ts_ms=NOW_MS - (batches - batch) * HOUR_MS))
    await parts.round()
    await parts.round()
    return parts


async def test_a_partition_that_stays_keeps_its_ledger_store() -> None:
    parts = await counted()
    owned = parts.fake.context.owned[PARTITION]
    await parts.ownership.take_over({PARTITION}, 2)
    assert parts.fake.context.owned[PARTITION] is owned


async def test_a_partition_that_moved_away_is_no_longer_owned() -> None:
    parts = await counted()
    await parts.ownership.take_over({PARTITION + 1}, 2)
    assert list(parts.fake.context.owned) == [PARTITION + 1]
    parts.fake.meter.partition_revoked.assert_called_once_with(PARTITION)


async def test_a_partition_that_comes_back_is_restored_from_the_log() -> None:
    parts = await counted()
    parts.fake.segments.restored(PARTITION, 10)
    await parts.ownership.take_over({PARTITION}, 2)
    assert {*parts.fake.segments.of_partition(PARTITION).values()} == {b""}
    await parts.ownership.take_over({PARTITION + 1}, 3)
    assert not parts.fake.segments.is_restored(PARTITION, 10)


async def test_a_partition_whose_take_over_failed_keeps_its_values_in_memory() -> None:
    first, new = await counted(), Parts(hold=False)
    await first.fake.producer.flush()
    new.restore_table(stored_after(first.fake.producer.of(CHANGELOG)))
    new.fake.kafka.takes_commits = False
    assert not await new.ownership.take_over({PARTITION}, 2)
    new.fake.kafka.takes_commits = True
    assert await new.ownership.take_over({PARTITION}, 3)
    assert new.ledger.source(POSTS).applied == 12


async def test_a_ledger_is_rebuilt_when_another_worker_has_owned_the_partition() -> None:
    first = await counted()
    other = await restarted(first)
    await other.count(posts(range(12, 15)))
    await other.fake.producer.flush()
    owned = first.fake.context.owned[PARTITION]
    first.restore_table(stored_after(first.fake.producer.of(CHANGELOG) + other.fake.producer.of(CHANGELOG)))
    await first.ownership.take_over({PARTITION}, 3)
    assert first.fake.context.owned[PARTITION] is not owned
    assert first.ledger.source(POSTS).applied == 15
    assert first.store.ownership.epoch > other.store.ownership.epoch


async def test_writes_of_a_frozen_worker_after_the_take_over_do_not_count() -> None:
    frozen = await counted()
    await frozen.fake.producer.flush()
    new = await restarted(frozen)
    await frozen.count(posts(range(12, 15)))
    await new.count(posts(range(12, 14)))
    last = await restarted(frozen, new)
    assert last.ledger.source(POSTS).applied == 14
    assert last.ledger.source(POSTS).position == 14


async def test_a_new_owner_goes_on_from_what_is_in_the_log() -> None:
    first = await counted()
    new = await restarted(first)
    assert new.ledger.sources == first.ledger.sources
    assert new.ledger.rows.totals[:, 0].tolist() == first.ledger.rows.totals[:, 0].tolist()
    ends = {POSTS: 12, SHARES: 0, "influence.retractions": 0, "influence.credits": 0}
    assert new.fake.kafka.commits == [{Partition(topic, PARTITION): end for topic, end in ends.items()}]


async def test_a_new_owner_writes_nothing_but_its_epoch() -> None:
    new = await restarted(await counted())
    keys = [SegmentKey.decode(record.key or b"") for record in new.fake.producer.of(CHANGELOG)]
    assert [key.kind for key in keys] == ["epoch"]


async def test_a_worker_that_the_group_has_given_up_writes_nothing_and_holds_nothing() -> None:
    """Its epoch would take the partition from the new owner, whose log it has read."""
    first = await counted()
    await first.fake.producer.flush()
    stale = Parts(hold=False)
    stale.restore_table(stored_after(first.fake.producer.of(CHANGELOG)))
    stale.fake.kafka.takes_commits = False
    assert not await stale.ownership.take_over({PARTITION}, 1)
    await stale.fake.producer.flush()
    assert stale.fake.producer.durable == []
    assert stale.fake.context.owned == {}


async def test_sources_with_records_to_read_are_noted_as_lagging() -> None:
    parts = Parts(hold=False)
    parts.fake.kafka.ended = {Partition(POSTS, PARTITION): 5, Partition(SHARES, PARTITION): 0}
    await parts.ownership.take_over({PARTITION}, 1)
    assert parts.ledger.lagging == {POSTS}


async def test_the_window_waits_for_a_source_of_which_nothing_has_been_fetched_yet() -> None:
    """Others are read meanwhile; moved on with them, the window would make all of it late."""
    parts = Parts()
    parts.synchronization.note_ends({Partition(POSTS, PARTITION): 0, Partition(SHARES, PARTITION): 2})
    assert parts.ledger.lagging == {SHARES}
    parts.ledger.advance(NOW_MS + 48 * HOUR_MS)
    await parts.count(posts(range(2), topic=SHARES))
    assert parts.ledger.source(SHARES).applied == 2
    assert parts.ledger.lagging == set()


async def test_nothing_is_deleted_while_the_group_does_not_confirm() -> None:
    parts = await counted()
    parts.fake.kafka.takes_commits = False
    await parts.ownership.sweep()
    await parts.fake.producer.flush()
    assert parts.fake.kafka.commits
    assert tombstones(parts) == []


async def test_garbage_is_deleted_once_the_group_confirms() -> None:
    parts = await counted()
    parts.fake.kafka.takes_commits = False
    await parts.ownership.sweep()
    parts.fake.kafka.takes_commits = True
    await parts.ownership.sweep()
    await parts.fake.producer.flush()
    assert {SegmentKey.decode(key).kind for key in tombstones(parts)} == {"delta"}


async def test_everything_written_is_in_kafka_when_the_group_is_asked() -> None:
    parts = await counted()
    open_when_asked: list[Written] = []
    parts.fake.kafka.on_commit = lambda: open_when_asked.extend(parts.fake.producer._open)
    await parts.count(posts(range(12, 15)))
    await parts.ownership.sweep()
    assert parts.fake.kafka.commits
    assert open_when_asked == []


async def test_nothing_is_deleted_of_a_partition_that_was_lost_while_the_group_was_asked() -> None:
    parts = await counted()
    parts.fake.kafka.on_commit = parts.fake.context.owned.clear
    await parts.ownership.sweep()
    await parts.fake.producer.flush()
    assert tombstones(parts) == []


async def test_nothing_is_deleted_while_the_partitions_may_move() -> None:
    """The group might confirm a generation in which others have been the owners."""
    parts = await counted()
    await parts.ownership.pause()
    await parts.ownership.sweep()
    await parts.fake.producer.flush()
    assert tombstones(parts) == []


async def test_the_group_is_asked_about_the_generation_in_which_the_partitions_were_taken_over() -> None:
    parts = await counted()
    await parts.ownership.take_over({PARTITION}, 7)
    await parts.ownership.sweep()
    assert parts.fake.kafka.generations[-2:] == [7, 7]


async def test_partitions_do_not_move_while_garbage_is_being_deleted() -> None:
    """A take-over in the middle of the sweep removed the ledgers that it read, which ended the worker."""
    parts = await counted()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def flush() -> None:
        asked.set()
        await answer.wait()

    parts.fake.context.output.flush = flush
    sweeping = asyncio.create_task(parts.ownership.sweep())
    await asked.wait()
    moving = asyncio.create_task(parts.ownership.take_over(set(), 2))
    await asyncio.sleep(0)
    assert list(parts.fake.context.owned) == [PARTITION]
    answer.set()
    await asyncio.gather(sweeping, moving)
    assert list(parts.fake.context.owned) == []


async def test_without_garbage_the_group_is_not_asked() -> None:
    parts = Parts()
    await parts.count(posts(range(3)))
    parts.fake.kafka.commits.clear()
    await parts.ownership.sweep()
    assert parts.fake.kafka.commits == []


async def test_a_swept_log_gives_the_same_ledger() -> None:
    first = await counted()
    await first.ownership.sweep()
    new = await restarted(first)
    assert tombstones(first)
    assert new.ledger.sources == first.ledger.sources
    assert new.ledger.rows.totals[:, 0].tolist() == first.ledger.rows.totals[:, 0].tolist()
    await new.count(posts(range(9, 12), ts_ms=NOW_MS - HOUR_MS))
    assert new.ledger.source(POSTS).applied == 12


async def test_before_partitions_move_the_log_has_all_that_was_counted() -> None:
    parts = await counted()
    await parts.count(posts(range(12, 15)))
    await parts.ownership.pause()
    assert parts.fake.producer.steps[-1] == "flush"
    assert stored_after(parts.fake.producer.of(CHANGELOG)).keys() == parts.fake.segments.of_partition(PARTITION).keys()


async def test_partitions_do_not_move_while_a_ledger_is_in_use() -> None:
    parts = await counted()
    pausing = asyncio.ensure_future(parts.ownership.pause())
    async with parts.fake.context.owned[PARTITION].lock:
        await asyncio.sleep(0)
        assert not pausing.done()
    await pausing


async def test_what_is_under_way_goes_on_with_no_partition_that_may_have_moved() -> None:
    """A round or a batch may have waited for Kafka while the group moved: the new owner has begun."""
    parts = await counted()
    held = parts.fake.context.owned[PARTITION]
    async with held.lock:
        under_way = [asyncio.ensure_future(parts.round()), asyncio.ensure_future(parts.count(posts(range(12, 40))))]
        pausing = asyncio.ensure_future(parts.ownership.pause())
        await asyncio.sleep(0)
    await pausing
    before, counted_before = len(parts.fake.producer.steps), parts.ledger.source(POSTS).read
    await parts.count(posts(range(12, 40)))
    await parts.round()
    await asyncio.wait(under_way)
    assert not {CHANGELOG, "influence.standings", "influence.flags"}.intersection(parts.fake.producer.steps[before:])
    assert parts.ledger.source(POSTS).read == counted_before
    await parts.ownership.take_over({PARTITION}, 2)
    await parts.count(posts(range(12, 40)))
    assert parts.ledger.source(POSTS).read == 40


async def test_a_source_that_stands_still_is_read_again_once_at_each_place() -> None:
    parts = await counted()
    place = Partition(POSTS, PARTITION)
    await parts.ownership.read_again(place)
    await parts.ownership.read_again(place)
    await parts.count(posts(range(12, 15)))
    await parts.ownership.read_again(place)
    assert parts.fake.kafka.sought == [(place, 12), (place, 15)]


async def test_a_source_whose_records_are_gone_is_counted_on_from_where_kafka_begins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = await counted()
    place = Partition(POSTS, PARTITION)
    parts.fake.kafka.began[place] = 20
    parts.synchronization.note_ends({place: 20})
    await parts.ownership.read_again(place)
    assert parts.ledger.source(POSTS).position == 20
    assert parts.ledger.lagging == set()
    assert "offsets 12 to 19 are gone" in caplog.text
    assert parts.fake.kafka.sought == []
    await parts.fake.producer.flush()
    logged = replay(stored_after(parts.fake.producer.of(CHANGELOG)), PARTITION).header
    assert logged is not None
    assert logged.sources[POSTS].position == 20, "also if nothing is ever counted there"
