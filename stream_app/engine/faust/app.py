"""The tracker as a Faust app: the topics that are read, an agent for each, two tables, and the signals of a rebalance.

Records arrive in batches (`batches`). Tables keep segments and standings (`tables`), and are restored by `restore`. The
consumer uses the positions of the ledgers (`consumer`). The engine does the rest.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import faust
from faust.types import TopicT

from stream_app.core.changelog.standing_records import kept, readable
from stream_app.engine.faust.batches import RawSchema
from stream_app.engine.faust.config import configured_app
from stream_app.engine.faust.consumer import Positions, TrackerApp
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.liveness.memory import collect_quietly
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.producer import BatchingProducer
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.topics import changelogs_of
from stream_app.settings import Settings


class Callbacks(Protocol):
    """The methods of an engine that Faust calls. They never raise.

    See docs/reliability.md#fault-agent-exception.
    """

    async def take(self, fetched: FetchedBatches) -> None: ...
    async def on_revoked(self, *_args: Any, **_kwargs: Any) -> None: ...
    async def on_assigned(self, *_args: Any, **_kwargs: Any) -> None: ...
    async def on_rebalanced(self, *_args: Any, **_kwargs: Any) -> None: ...
    async def rounds(self) -> None: ...
    async def sweeps(self) -> None: ...


class Tracker(NamedTuple):
    """The app with its topics and tables."""

    app: TrackerApp
    posts: TopicT
    shares: TopicT
    retractions: TopicT
    credits: TopicT
    segments: PartitionTable
    standings: PartitionTable


def tracker_app(
    settings: Settings,
    lease: Lease,
    health: WorkerHealth,
    positions: Callable[[], Positions],
    producer: BatchingProducer,
) -> Tracker:
    """Create the app of a worker. It does nothing until it is connected to an engine."""
    app = configured_app(settings, lease, health, positions)
    segments_log, standings_log = changelogs_of(settings)

    def table(name: str, changelog: str) -> PartitionTable:
        log = app.topic(
            changelog, schema=RawSchema(), partitions=settings.partitions, compacting=True, internal=True, acks=False
        )
        made = app.Table(name, partitions=settings.partitions, changelog_topic=log, key_type=bytes, value_type=bytes)
        partition_table = cast(PartitionTable, made)
        partition_table.producer = producer
        return partition_table

    tracker = Tracker(
        app,
        posts=app.topic(settings.posts_topic, schema=RawSchema()),
        shares=app.topic(settings.shares_topic, schema=RawSchema()),
        retractions=app.topic(settings.retractions_topic, schema=RawSchema()),
        credits=app.topic(settings.credits_topic, schema=RawSchema()),
        segments=table("segments", segments_log),
        standings=table("standings", standings_log),
    )
    tracker.standings.kept, tracker.standings.readable = kept, readable
    return tracker


def connect(tracker: Tracker, engine: Callbacks) -> None:
    """Register the engine's agents, signal handlers and tasks with the app."""
    app = tracker.app

    async def count(batches: faust.StreamT[FetchedBatches]) -> None:
        async for batch in batches:
            await engine.take(batch)

    app.agent(tracker.posts, name="posts", concurrency=1)(count)
    app.agent(tracker.shares, name="shares", concurrency=1)(count)
    app.agent(tracker.retractions, name="retractions", concurrency=1)(count)
    app.agent(tracker.credits, name="credits", concurrency=1)(count)

    app.on_partitions_revoked.connect(engine.on_revoked, weak=False)
    app.on_partitions_assigned.connect(engine.on_assigned, weak=False)
    app.on_rebalance_complete.connect(engine.on_rebalanced, weak=False)

    app.task(engine.rounds)
    app.task(engine.sweeps)
    app.task(collect_quietly)
