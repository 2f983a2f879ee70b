"""The engine in a rebalance: partitions that move away neither end the worker nor count as stalled."""

import asyncio
from unittest.mock import AsyncMock, Mock, patch

import pytest

from stream_app.engine.build import engine_parts
from stream_app.engine.engine import Engine
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.kafka.records import Partition
from stream_app.kafka.topics import changelogs_of, copartitioned_topics
from stream_app.settings import Settings
from tests.unit.engine.fakes import PARTITION, FakeKafka, posts
from tests.unit.engine.parts import Parts

POSTS = "influence.posts"
STALL_S = 30.0


def willing_ownership() -> Mock:
    return Mock(take_over=AsyncMock(return_value=True), adopt=Mock(return_value=""))


def restored(assigned: set[Partition], ownership: Mock, meter: Mock) -> Engine:
    """An engine at the end of a recovery, with nothing to wait for."""
    app = Mock(consumer_generation_id=1)
    app.tables.recovery.is_due = False
    app.consumer.assignment.return_value = assigned
    parts = engine_parts(Settings(), meter)
    engine = Engine(parts._replace(tracker=parts.tracker._replace(app=app), ownership=ownership))
    engine.exchange.caught_up.set()
    parts.broker_monitor.has_answered.set()
    return engine


async def test_the_end_of_a_partition_that_has_moved_away_is_no_error() -> None:
    """The consumer asserts that a partition is assigned; batches and rounds under way ask a moment too late."""
    app = Mock()
    app.consumer.assignment.return_value = set()
    app.consumer.highwater.side_effect = AssertionError("Partition is not assigned")
    assert SourceConsumer(app).end(Partition(POSTS, PARTITION)) == 0


async def test_a_partition_that_was_looked_at_during_a_rebalance_and_lost_is_not_stalled() -> None:
    parts = Parts()
    await parts.count(posts(range(3)))
    now_s = [100.0]
    kafka = FakeKafka()
    kafka.ended[Partition(POSTS, PARTITION)] = 9
    health = WorkerHealth(STALL_S, lambda: now_s[0])
    engine = Engine(engine_parts(Settings(), Mock())._replace(health=health, consumer=kafka))
    engine.health.recovered = True
    engine.owned.update(parts.fake.context.owned)
    await engine.on_revoked()
    observing = asyncio.create_task(engine._observe())
    await asyncio.sleep(0)
    engine.owned.clear()
    engine.health.recovered = True
    observing.cancel()
    now_s[0] += STALL_S + 1
    engine.health.beat()
    assert engine.health.live() == (True, {"stalled_s": {}, "round_age_s": 0.0})


async def test_the_time_a_recovery_took_runs_from_the_assignment_of_the_partitions() -> None:
    """Most of it goes into reading the changelogs, before anything can be taken over."""
    ownership, meter = willing_ownership(), Mock()
    engine = restored({Partition(topic, PARTITION) for topic in copartitioned_topics(Settings())}, ownership, meter)
    with patch("stream_app.engine.engine.perf_counter", side_effect=[100.0, 107.5]):
        await engine.on_assigned()
        await engine.on_rebalanced()
    meter.recovery.assert_called_once_with(7.5)


@pytest.mark.parametrize(
    ("assigned", "taken_over"),
    [
        ("posts-0 shares-0 segments-0 standings-0", {0}),
        ("shares-0 segments-0 standings-0", {0}),
        ("posts-0 shares-0 segments-0", set()),
        ("posts-0 shares-0 standings-0", set()),
        ("posts-0 shares-0", set()),
        ("segments-0 standings-0", set()),
        ("posts-0 shares-0 segments-1 standings-1", set()),
        ("posts-0 posts-1 shares-0 shares-1 segments-0 segments-1 standings-1 standings-2", {1}),
        ("", set()),
    ],
)
async def test_a_partition_is_left_alone_until_the_logs_of_its_tables_are_assigned(
    assigned: str, taken_over: set[int]
) -> None:
    """While a member has not subscribed to all topics, Faust's assignor deals them separately."""
    settings, ownership = Settings(), willing_ownership()
    segments, standings = changelogs_of(settings)
    names = {"posts": POSTS, "shares": settings.shares_topic, "segments": segments, "standings": standings}
    split = [place.split("-") for place in assigned.split()]
    engine = restored({Partition(names[name], int(number)) for name, number in split}, ownership, Mock())
    await engine.on_assigned()
    await engine.on_rebalanced()
    ownership.take_over.assert_awaited_once_with(taken_over, 1)
