"""Recovery: restores the tables of the assigned partitions from their changelogs before anything is counted.

This replaces Faust's recovery, which reads changelogs through the agents' consumer and separates the two by pausing and
seeking. When one rebalance followed another within a second, it mistook an empty table for a recovered one. The
recovery here has its own consumer. It reads each changelog from beginning to end, and is done when it has seen the end.
See docs/reliability.md#fault-recovery.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from time import monotonic
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.tables import TableManager
from faust.types import TP
from mode import Service
from mode.utils.locks import Event

from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.liveness.exit_codes import Exit, end
from stream_app.engine.ownership.foreign_records import foreign_record
from stream_app.kafka.corrupt_batches import CorruptBatchError
from stream_app.kafka.record_batches import OWN_BATCH_BYTES, records_of
from stream_app.kafka.records import Partition, UnreadableBatch
from stream_app.kafka.topic_reader import reader

logger = logging.getLogger(__name__)

_POLL_MS = 200
_RETRY_S = 1.0
_LOG_S = 2.0

Logs = dict[TopicPartition, PartitionTable]
"""The partitions of changelogs, each with its table."""


class Recovery(Service):
    """Restores tables after every rebalance, with the interface that Faust's table manager expects."""

    abstract = False
    mundane_level = "debug"

    def __init__(self, app: faust.App, tables: "TrackerTables", client: Mapping[str, Any], **options: Any) -> None:
        """`client`: aiokafka's connection options."""
        self.completed = Event()
        self.remaining = 0
        """Number of records still to be read."""
        self._rebalances = 0
        self._app: Any = app
        self._tables = tables
        self._client = client
        self._rebalanced = Event()
        super().__init__(**options)

    @property
    def is_due(self) -> bool:
        """Whether another rebalance has made the running recovery obsolete."""
        return bool(self._rebalanced.is_set())

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Do nothing: there are no buffers to flush."""

    async def on_rebalance(self, *_changes: Any) -> None:
        """Start a new recovery; cancel one that is running."""
        self._rebalances += 1
        self._rebalanced.set()

    @Service.task
    async def _recover_always(self) -> None:
        while not await self.wait_for_stopped(self._rebalanced):
            self._rebalanced.clear()
            recovering = asyncio.ensure_future(self._recover())
            await self.wait_first(recovering, self._rebalanced)
            await asyncio.wait((recovering,))  # a cancelled one still stops its consumer; two must not fill one table

    async def _recover(self) -> None:
        """Restore the tables, have the engine take over the partitions, then resume the source topics."""
        app, consumer = self._app, self._app.consumer
        generation, rebalances = app.consumer_generation_id, self._rebalances
        app.in_recovery = True
        assigned = consumer.assignment()
        tables = {table.changelog_topic_name: table for table in self._tables.values()}
        logs = {TopicPartition(*tp): tables[tp.topic] for tp in assigned if tp.topic in tables}
        await self._restore(logs)
        # An aiokafka consumer that is stopping swallows the cancellation. Without this check the partitions of the next
        # assignment would be taken over here, although their tables are still empty.
        # See docs/reliability.md#fault-swallowed-cancel.
        if self._rebalances != rebalances:
            return
        app.in_recovery = False
        await app.on_rebalance_complete.send()
        if app.consumer_generation_id != generation or not app.health.recovered:
            return  # another rebalance has begun
        consumer.resume_partitions(assigned - logs.keys())
        await consumer.perform_seek()
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        await app._fetcher.maybe_start()  # noqa: SLF001 - as Faust's own recovery does
        self._tables.on_actives_ready()
        self._tables.on_standbys_ready()
        app.on_rebalance_end()

    async def _restore(self, logs: Logs) -> None:
        """Make the tables equal to these changelogs. Retry connection errors."""
        for table in self._tables.values():
            table.keep({tp.partition for tp, of in logs.items() if of is table})
        rebalances = self._rebalances
        while logs and self._rebalances == rebalances:
            try:
                await self._read(logs)
            except CorruptBatchError as error:
                end(Exit.REFUSED, str(error))
            except (KafkaError, OSError) as error:
                logger.warning("reading the changelogs failed, trying again: %s", error)
                await asyncio.sleep(_RETRY_S)
            else:
                return
            finally:
                self.remaining = 0

    async def _read(self, logs: Logs) -> None:
        async with reader(self._client) as consumer:
            ends = await consumer.end_offsets(list(logs))
            changed = {tp: table for tp, table in logs.items() if not table.is_restored(tp.partition, ends[tp])}
            consumer.assign(list(changed))
            for tp, table in changed.items():
                table.drop(tp.partition)
            await self._read_to(consumer, {tp: ends[tp] for tp in changed}, changed)

    async def _read_to(self, consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int], logs: Logs) -> None:
        positions = {tp: await consumer.position(tp) for tp in ends}
        total, logged_s = sum(ends[tp] - positions[tp] for tp in ends), -_LOG_S
        while True:
            for tp in [tp for tp in logs if positions[tp] >= ends[tp]]:
                logs.pop(tp).restored(tp.partition, positions[tp])
                consumer.pause(tp)
            self.remaining = sum(ends[tp] - positions[tp] for tp in logs)
            if not logs:
                return
            if monotonic() - logged_s >= _LOG_S:
                logged_s = monotonic()
                logger.info("restoring the ledgers: %d of %d records read", total - self.remaining, total)
            for tp, fetched in (await consumer.getmany(timeout_ms=_POLL_MS)).items():
                logs[tp].restore(tp.partition, records_of(fetched, OWN_BATCH_BYTES, partial(_refuse, Partition(*tp))))
            positions = {tp: await consumer.position(tp) for tp in logs}


def _refuse(log: Partition, found: UnreadableBatch) -> None:
    """End this worker: what a changelog lacks would be missing from the counts, in silence."""
    end(Exit.REFUSED, foreign_record(log, f"at offset {found.first}: {found}"))


class TrackerTables(TableManager):
    """Faust's table manager with the recovery above."""

    mundane_level = "debug"
    _recovery: Any = None

    @property
    def recovery(self) -> Any:
        """The recovery service."""
        if self._recovery is None:
            app: Any = self.app
            self._recovery = Recovery(app, self, app.client_options, beacon=self.beacon, loop=self.loop)
        return self._recovery
