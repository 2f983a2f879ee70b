"""The consumer: Faust's consumer with batches, the positions of the ledgers, and the lease of the group."""

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

_FETCH_BYTES, _FETCH_WAIT_MS = 1_000_000, 200
"""Kafka answers a fetch once it has so many bytes, or after so long: few large batches instead of many small ones."""
_HELD_BACK_S = 0.02
"""Until it is looked again, while all sources are held back."""
Positions = Mapping[Partition, int]
"""The next offset to count, by source partition."""


class TrackerApp(faust.App):
    """A Faust app that holds what its consumer needs from the engine."""

    mundane_level = "debug"
    """Of "Starting..." and the like, here and in Faust's other services."""

    lease: Lease
    health: WorkerHealth
    positions: Callable[[], Positions]
    copartitioned: frozenset[str]
    """The topics that a member of the group subscribes to."""
    client_options: Mapping[str, Any]
    tables: Any

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> BatchQueue:  # noqa: N802
        """Create the queues of agents, for batches. Faust has no setting for this class."""
        return BatchQueue(maxsize=maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)


class _ConsumerThread(AIOKafkaConsumerThread):
    """Faust's thread that talks to Kafka. The group's answers renew the lease or end it."""

    mundane_level = "debug"

    def _create_consumer(self, loop: Any) -> Any:
        """Create a consumer that reads committed records only, and fetches in pieces worth counting.

        Faust has a setting for the first, which turns on much else, and passes a fetch wait of 1.5 s. aiokafka has one
        fetch under way per node: of partitions that are read up, it keeps those waiting that have more.
        """
        consumer: Any = super()._create_consumer(loop)
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - aiokafka reads these when it starts
        consumer._fetch_max_wait_ms, consumer._fetch_min_bytes = _FETCH_WAIT_MS, _FETCH_BYTES  # noqa: SLF001
        return consumer

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Pause the changelogs, which recovery reads. Records fetched here would never be taken and fill memory.

        See docs/reliability.md#fault-logs-fetched.
        """
        logs = [TopicPartition(*tp) for tp in assigned if _is_log(self.app, tp)]
        self._ensure_consumer().pause(*logs)  # before the first await, so nothing has been fetched
        await super().on_partitions_assigned(assigned, generation_id)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Skip changelogs: Faust would log for each one that nothing is fetched."""
        if not _is_log(self.app, tp):
            super().verify_event_path(now, tp)

    def highwater(self, tp: TP) -> int:
        """Return the end of a partition at the last fetch: the last stable offset, before open transactions."""
        stable = self._ensure_consumer().last_stable_offset(tp)
        return super().highwater(tp) if stable is None or stable < 0 else int(stable)

    def fetched_s(self, tp: TP) -> float:
        """Return when Kafka last answered a fetch of a partition, epoch s; 0 if it has not."""
        return float(self._ensure_consumer().last_poll_timestamp(tp) or 0) / 1000

    async def on_start(self) -> None:
        await super().on_start()
        coordinator: Any = cast(Any, self._consumer)._coordinator  # noqa: SLF001 - aiokafka has no hook for heartbeats
        note_membership(cast(TrackerApp, self.app).lease, coordinator)


def _is_log(app: faust.types.AppT, tp: TP) -> bool:
    return tp.topic in app.tables.changelog_topics


class BatchConsumer(Consumer):
    """Faust's consumer for topics that are read in batches, with positions kept in the ledgers."""

    mundane_level = "debug"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_back: set[TP] = set()

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group with all topics, or not at all.

        A Faust app that is stopped while it starts subscribes to the topics it has got to know so far. The group would
        assign it sources without the logs of their tables.
        See docs/reliability.md#fault-partial-subscription.
        """
        if cast(TrackerApp, self.app).copartitioned <= set(topics):
            await super().subscribe(topics)

    async def perform_seek(self) -> None:
        """Seek to the positions of the ledgers. Faust calls this after it has discarded fetched records.

        Faust's own method seeks to the committed offsets. Without any it would stay where it is, past those records.
        See docs/reliability.md#fault-seek.
        """
        assigned = self.assignment()
        wanted = _by_tp(cast(TrackerApp, self.app).positions())
        positions = {tp: position for tp, position in wanted.items() if tp in assigned}
        await self.seek_wait(positions)
        self._read_offset.update({tp: position or None for tp, position in positions.items()})

    @property
    def generation(self) -> int:
        """The current generation of this worker in the group; below 0 if the group does not know the worker."""
        return int(cast(Any, self._thread)._ensure_consumer()._coordinator.generation)  # noqa: SLF001 - found nowhere else

    def fetched_s(self, tp: TP) -> float:
        """Return when Kafka last answered a fetch of a partition, epoch s; 0 if it has not."""
        return cast(_ConsumerThread, self._thread).fetched_s(tp)

    async def commit_positions(self, positions: Positions, generation: int) -> bool:
        """Commit offsets. False if the group has moved past `generation`: the partitions may have had other owners.

        A commit carries the generation that the consumer is in when it is sent, or none, and Faust omits partitions
        that are no longer assigned. So a successful commit alone does not prove that `generation` is still current.
        See docs/reliability.md#fault-commit-generation.
        """
        return await self._commit(_by_tp(positions)) and self.generation == generation

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        with cast(TrackerApp, self.app).health.doing("commit"):
            return bool(await super()._commit(offsets))

    def hold_back(self, source: TP) -> None:
        """Hand over no more batches of a source.

        Faust's `pause_partitions` drops those that it has taken from aiokafka, and nothing is fetched again for them.
        """
        self._held_back.add(source)

    def release(self, source: TP) -> None:
        """Hand them over again."""
        self._held_back.discard(source)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's
        wanted = (active_partitions or set()) - self._held_back
        if not wanted:
            await self.sleep(_HELD_BACK_S)
            return {}
        return await super()._getmany(wanted, timeout)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing. A batch has the offset of its last record, so the offsets before it are no gap."""

    def _new_offset(self, tp: TP) -> int | None:
        """Return the offset after the last batch counted. Batches of a partition are counted one at a time."""
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
        """Commit offsets. False if the group has moved past `generation`: the partitions may have had other owners."""
        return await cast(BatchConsumer, self._app.consumer).commit_positions(positions, generation)

    async def ends(self, partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        """Fetch the current ends of partitions."""
        ends = await self._app.consumer.highwaters(*(TP(*partition) for partition in partitions))
        return {Partition(*tp): end for tp, end in ends.items()}

    async def start(self, partition: Partition) -> int:
        """Fetch the first offset of a partition. Records before it are gone."""
        tp = TP(*partition)
        return int((await self._app.consumer.earliest_offsets(tp))[tp])

    async def seek(self, partition: Partition, offset: int) -> None:
        """Seek to `offset` in a partition, if it is still assigned."""
        tp = TP(*partition)
        if tp in self._app.consumer.assignment():
            await self._app.consumer.seek(tp, offset)

    def fetched_s(self, partition: Partition) -> float:
        """Return when Kafka last said where a partition ends, epoch s; 0 if it is not assigned, as in a rebalance."""
        tp, consumer = TP(*partition), cast(BatchConsumer, self._app.consumer)
        return consumer.fetched_s(tp) if tp in consumer.assignment() else 0.0

    def pause(self, source: Partition) -> None:
        """Fetch no more of a source."""
        cast(BatchConsumer, self._app.consumer).hold_back(TP(*source))

    def resume(self, source: Partition) -> None:
        """Fetch it again."""
        cast(BatchConsumer, self._app.consumer).release(TP(*source))

    def end(self, partition: Partition) -> int:
        """Return the end of a partition at the last fetch; 0 if it is not assigned, as in a rebalance."""
        tp, consumer = TP(*partition), self._app.consumer
        return (consumer.highwater(tp) or 0) if tp in consumer.assignment() else 0


def _by_tp(positions: Positions) -> dict[TP, int]:
    return {TP(*partition): position for partition, position in positions.items()}
