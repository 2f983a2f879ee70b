"""Kafka through Faust: the app with every setting set on purpose, and what the engine asks of its clients."""

from collections.abc import Iterable, Mapping
from typing import Any

import faust
from faust.types import TP

from stream_app.engine.batching import scheduler_of
from stream_app.engine.tables import PartitionTable
from stream_app.settings import Settings

_BATCHES_AHEAD = 4


def faust_app(settings: Settings) -> faust.App:
    """The Faust app of a worker."""
    return faust.App(
        settings.app_id,
        broker=[f"kafka://{server.strip()}" for server in settings.brokers.split(",")],
        store="memory://",
        Table=PartitionTable,
        ConsumerScheduler=scheduler_of(settings.input_topics),
        cython_optimizations=True,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_disable_leader=True,
        broker_max_poll_records=settings.batch_events,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_rebalance_timeout=max(settings.session_timeout_s * 2, 10.0),
        broker_request_timeout=max(settings.session_timeout_s * 2, 30.0),
        broker_commit_interval=2.0,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=_BATCHES_AHEAD,
        stream_recovery_delay=0.0,
        stream_wait_empty=False,
    )


class Kafka:
    """The consumer of a running app."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    async def commit(self, positions: Mapping[TP, int]) -> bool:
        """Commit; False when the group has moved on and this worker no longer owns the partitions."""
        consumer: Any = self._app.consumer
        return bool(await consumer._commit(positions))  # noqa: SLF001 - the public one commits only Faust's own offsets

    async def ends(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Where the partitions end now."""
        return await self._app.consumer.highwaters(*tps)

    async def seek(self, tp: TP, offset: int) -> None:
        """Read a partition from `offset` on."""
        await self._app.consumer.seek(tp, offset)

    def end(self, tp: TP) -> int:
        """Where a partition ended when it was last fetched from."""
        return self._app.consumer.highwater(tp) or 0
