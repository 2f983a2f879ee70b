"""The Faust app of a worker: its topics, tables and agents, and the tasks beside them."""

import asyncio
import logging
import os
import time
from typing import Any

import faust
from faust.types import TP

from stream_app.core.messages import Flag
from stream_app.core.whole import Whole
from stream_app.engine.batching import AsTheyCome, scheduler_of
from stream_app.engine.evaluator import Evaluator, rules_of
from stream_app.engine.exchange import Exchange
from stream_app.engine.health import Health
from stream_app.engine.held import Books
from stream_app.engine.intake import Intake
from stream_app.engine.outbox import Outbox, decoded
from stream_app.engine.outlet import Outlet
from stream_app.engine.ownership import Ownership
from stream_app.engine.ports import Listener, Meter, Nobody
from stream_app.engine.publisher import Publisher
from stream_app.engine.tables import PartitionTable
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

EXIT_LOST_WRITE = 71
EXIT_BROKEN = 72
_SWEEP_S = 5.0
_BATCHES_AHEAD = 4
_LARGEST_REQUEST = 4_000_000
_PATIENCE_S = 120.0
"""How long a write to Kafka is retried before the worker gives up and ends."""


class Engine:
    """One worker: `app` is what Faust runs."""

    def __init__(self, settings: Settings, meter: Meter) -> None:
        self.settings = settings
        self.books: Books = {}
        self.whole = Whole(settings.share)
        self.health = Health(settings.stall_s)
        self.app = faust_app(settings)
        self._meter = meter
        self._segments = self._table("segments")
        self._standings = self._table("standings", changelog=settings.standings_topic)
        self.exchange = Exchange(settings, self.whole)
        outlet = Outlet(self._send, settings)
        self.listener: Listener = Nobody()
        outbox = Outbox(self._standings, outlet, meter, lambda partition, flags: self.listener.submit(partition, flags))
        rules = rules_of(settings)
        self.publisher = Publisher(settings, rules, self.whole, self.books, outlet, meter, time.time)
        self._ownership = Ownership(
            settings, self.books, self._segments, self._standings, outbox, meter, self._commit, self._ends
        )
        self._evaluator = Evaluator(
            settings, rules, self.books, self.whole, self.exchange, outlet, outbox, self.publisher, meter, time.time
        )
        self.intake = Intake(settings, self.books, outlet, meter, time.time, self._seek, self._highwater)
        self._declare_agents()
        self._connect()

    def _table(self, name: str, changelog: str | None = None) -> PartitionTable:
        topic = None
        if changelog:
            topic = self.app.topic(
                changelog,
                partitions=self.settings.partitions,
                compacting=True,
                deleting=False,
                internal=True,
                acks=False,
                key_type=bytes,
                value_type=bytes,
                key_serializer="raw",
                value_serializer="raw",
            )
        table: PartitionTable = self.app.Table(
            name, key_type=bytes, value_type=bytes, partitions=self.settings.partitions, changelog_topic=topic
        )
        table.on_lost = self._on_lost
        return table

    def standings_of(self, partition: int) -> list[Flag]:
        """The last flag of every user with a standing in `partition`."""
        return decoded(self._standings.of_partition(partition))

    def _declare_agents(self) -> None:
        for name, topic in zip(("posts", "shares"), self.settings.input_topics, strict=True):
            self.app.agent(self.app.topic(topic, schema=AsTheyCome()), name=name, concurrency=1)(self._count)

    async def _count(self, batches: Any) -> None:
        """The agent of an input topic: every batch is counted; what goes wrong beyond a record ends the worker."""
        async for records in batches:
            try:
                await self.intake.count(records)
            except Exception:
                _end(EXIT_BROKEN, "a batch could not be counted; the next owner begins before it")

    def _connect(self) -> None:
        self.app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        self.app.on_rebalance_complete.connect(self._on_rebalanced, weak=False)
        self.app.task(self._rounds)
        self.app.task(self._sweeps)

    async def _on_revoked(self, *_args: Any, **_kwargs: Any) -> None:
        self.health.forget()
        self._meter.rebalance()

    async def _on_rebalanced(self, *_args: Any, **_kwargs: Any) -> None:
        partitions = {tp.partition for tp in self.app.consumer.assignment() if tp.topic in self.settings.input_topics}
        try:
            await self.exchange.caught_up.wait()
            self.health.caught_up = True
            await self._ownership.take_over(partitions, self.app.consumer_generation_id)
        except Exception:
            _end(EXIT_BROKEN, "the partitions could not be taken over")
        self.health.recovered = True

    async def _rounds(self) -> None:
        while not self.app.should_stop:
            self.health.beat()
            pause_s = self.settings.tick_s
            if self.health.recovered:
                try:
                    pause_s = await self._evaluator.round()
                except Exception:
                    _end(EXIT_BROKEN, "a round of evaluation failed")
                self.intake.newest_ms = self.exchange.newest_ms
                self._observe()
            await asyncio.sleep(pause_s)

    async def _sweeps(self) -> None:
        while not self.app.should_stop:
            await asyncio.sleep(_SWEEP_S)
            if self.health.recovered:
                try:
                    await self._ownership.sweep()
                except Exception:
                    _end(EXIT_BROKEN, "old segments could not be deleted")

    def _observe(self) -> None:
        for partition, held in self.books.items():
            for topic in self.settings.input_topics:
                end = self._highwater(TP(topic, partition))
                self.health.observe(topic, partition, held.book.ledger.source(topic).position, end or 0)

    async def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        headers: list[tuple[str, bytes]] | None,
    ) -> Any:
        producer = await self.app.maybe_start_producer()
        return await producer.send(topic, key, value, partition, None, headers)

    async def _commit(self, positions: Any) -> bool:
        return bool(await self.app.consumer._commit(positions))

    async def _ends(self, tps: Any) -> Any:
        return await self.app.consumer.highwaters(*tps)

    async def _seek(self, tp: TP, offset: int) -> None:
        await self.app.consumer.seek(tp, offset)

    def _highwater(self, tp: TP) -> int | None:
        end = self.app.consumer.highwater(tp)
        return None if end is None else int(end)

    def _on_lost(self, error: BaseException) -> None:
        _end(EXIT_LOST_WRITE, f"Kafka did not take a write of the ledger ({error}); the next owner begins before it")


def faust_app(settings: Settings) -> faust.App:
    """A Faust app with every setting that matters set on purpose."""
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
        producer_acks=-1,
        producer_request_timeout=_PATIENCE_S,
        producer_max_request_size=_LARGEST_REQUEST,
        producer_linger=0.005,
        stream_buffer_maxsize=_BATCHES_AHEAD,
        stream_recovery_delay=0.0,
        stream_wait_empty=False,
    )


def _end(status: int, why: str) -> None:
    """End this process at once: what is in memory is not to be trusted, what is in the log is complete."""
    logger.critical("%s", why, exc_info=True)
    logging.shutdown()
    os._exit(status)
