"""Faust's consumer for batches: its positions are the ledgers', and what the group answers renews the lease."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import faust
from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from stream_app.engine.faust.batches import BatchQueue
from stream_app.engine.faust.membership import note_membership
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.ownership.fencing import Lease
from stream_app.kafka.records import Partition

Positions = Mapping[Partition, int]
"""The next offset to count, by source partition."""


class TrackerApp(faust.App):
    """Faust's app with what the parts of the engine hand to its consumer."""

    lease: Lease
    health: WorkerHealth
    positions: Callable[[], Positions]
    client_options: Mapping[str, Any]
    tables: Any

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> BatchQueue:  # noqa: N802
        """Queues of batches: Faust has no setting for it."""
        return BatchQueue(maxsize=maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)


class _ConsumerThread(AIOKafkaConsumerThread):
    """Faust's thread that talks to Kafka; what the group answers renews the lease, or ends it."""

    def _create_consumer(self, loop: Any) -> Any:
        """One that reads only what was committed: Faust has a setting for it that turns on much else."""
        consumer: Any = super()._create_consumer(loop)
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - aiokafka looks at it when it starts
        return consumer

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Leave the logs of tables to recovery: what is fetched of them here nobody takes, and it stays in memory."""
        logs = [TopicPartition(*tp) for tp in assigned if _is_log(self.app, tp)]
        self._ensure_consumer().pause(*logs)  # before anything is awaited, so nothing has been fetched
        await super().on_partitions_assigned(assigned, generation_id)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust would log of every changelog that nothing is fetched."""
        if not _is_log(self.app, tp):
            super().verify_event_path(now, tp)

    def highwater(self, tp: TP) -> int:
        """Where a partition ended when it was last fetched from: what is in open transactions cannot be read yet."""
        stable = self._ensure_consumer().last_stable_offset(tp)
        return super().highwater(tp) if stable is None or stable < 0 else int(stable)

    async def on_start(self) -> None:
        await super().on_start()
        coordinator: Any = cast(Any, self._consumer)._coordinator  # noqa: SLF001 - aiokafka has no hook for heartbeats
        note_membership(cast(TrackerApp, self.app).lease, coordinator)


def _is_log(app: faust.types.AppT, tp: TP) -> bool:
    return tp.topic in app.tables.changelog_topics


class BatchConsumer(Consumer):
    """Faust's consumer for topics whose records are handed over in batches, and whose positions the ledgers keep."""

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Seek to the positions of the ledgers. Faust asks for this when it has thrown fetched records away.

        It would go to what the group has committed, and stay where it is, behind those records, if that is nothing.
        """
        assigned = self.assignment()
        wanted = _by_tp(cast(TrackerApp, self.app).positions())
        positions = {tp: position for tp, position in wanted.items() if tp in assigned}
        await self.seek_wait(positions)
        self._read_offset.update({tp: position or None for tp, position in positions.items()})

    @property
    def generation(self) -> int:
        """The generation of the group that this worker is in now; below 0 where the group does not know it."""
        return int(cast(Any, self._thread)._ensure_consumer()._coordinator.generation)  # noqa: SLF001 - nobody else has it

    async def commit_positions(self, positions: Positions, generation: int) -> bool:
        """Commit; False when the group has moved on since `generation`: the partitions may have had other owners.

        A commit is made in the name of whatever generation the consumer is in when it is sent, even of none, and Faust
        leaves out what is no longer assigned: that it succeeds says nothing of the generation before.
        """
        return await self._commit(_by_tp(positions)) and self.generation == generation

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        with cast(TrackerApp, self.app).health.doing("commit"):
            return bool(await super()._commit(offsets))

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """A batch stands at its last offset, so what looks like a gap before it is the batch."""

    def _new_offset(self, tp: TP) -> int | None:
        """Commit up to the last batch counted: batches of a partition are counted in order, one at a time."""
        acked = self._acked[tp]
        if not acked:
            return None
        offset = max(acked) + 1
        acked.clear()
        self._acked_index[tp].clear()
        return offset


class SourceConsumer:
    """The consumer of a running app."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    async def commit(self, positions: Positions, generation: int) -> bool:
        """Commit; False when the group has moved on since `generation`: the partitions may have had other owners."""
        return await cast(BatchConsumer, self._app.consumer).commit_positions(positions, generation)

    async def ends(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Where the partitions end now."""
        ends = await self._app.consumer.highwaters(*(TP(*partition) for partition in partitions))
        return {Partition(*tp): end for tp, end in ends.items()}

    async def start(self, partition: Partition) -> int:
        """Where a partition begins: what was before is gone."""
        tp = TP(*partition)
        return int((await self._app.consumer.earliest_offsets(tp))[tp])

    async def seek(self, partition: Partition, offset: int) -> None:
        """Read a partition from `offset` on, if it is ours still."""
        tp = TP(*partition)
        if tp in self._app.consumer.assignment():
            await self._app.consumer.seek(tp, offset)

    def end(self, partition: Partition) -> int:
        """Where a partition ended when it was last fetched from; 0 where it is not ours, as in a rebalance."""
        tp, consumer = TP(*partition), self._app.consumer
        return (consumer.highwater(tp) or 0) if tp in consumer.assignment() else 0


def _by_tp(positions: Positions) -> dict[TP, int]:
    return {TP(*partition): position for partition, position in positions.items()}
