"""The engine of a worker: what it does when Faust calls it, and what runs beside the Faust app."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from stream_app.core.privacy.erasures import PersonKeyError
from stream_app.engine.context import EngineContext
from stream_app.engine.counting import BatchCounter
from stream_app.engine.faust.app import Tracker
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.liveness.broker_monitor import BrokerMonitor
from stream_app.engine.liveness.exit_codes import Exit, end
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.liveness.watchdog import Watchdog
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.ownership.rebalance import PartitionOwnership
from stream_app.engine.ports import FlagListeners
from stream_app.engine.producer import BatchingProducer
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.engine.rounds.cut_publisher import CutPublisher
from stream_app.engine.rounds.evaluation_round import EvaluationRound
from stream_app.engine.rounds.stale_cuts import delete_leftovers
from stream_app.kafka.corrupt_batches import CorruptBatchError
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Partition

logger = logging.getLogger(__name__)

_SWEEP_S = 5.0
_OBSERVE_S = 1.0
_LOOK_S = 0.1


class EngineParts(NamedTuple):
    """What an engine is made of; `build` makes them from the settings."""

    context: EngineContext
    tracker: Tracker
    consumer: SourceConsumer
    producer: BatchingProducer
    lease: Lease
    health: WorkerHealth
    broker_monitor: BrokerMonitor
    exchange: CurveExchange
    publisher: CutPublisher
    counter: BatchCounter
    evaluation: EvaluationRound
    ownership: PartitionOwnership
    listeners: FlagListeners


class Engine:
    """One worker's engine. `app` is what Faust runs; `run()` must run beside it."""

    def __init__(self, parts: EngineParts) -> None:
        self.context = parts.context
        self.settings = parts.context.settings
        self.owned = parts.context.owned
        self.app = parts.tracker.app
        self.health = parts.health
        self.exchange = parts.exchange
        self.publisher = parts.publisher
        self.listeners = parts.listeners
        self._standings = parts.tracker.standings
        self._meter = parts.context.meter
        self._consumer = parts.consumer
        self._producer = parts.producer
        self._lease = parts.lease
        self._broker_monitor = parts.broker_monitor
        self._counter = parts.counter
        self._evaluation = parts.evaluation
        self._ownership = parts.ownership
        self._revocations = 0
        self._is_moving = False
        """Partitions were given up, and what is assigned instead is not known or not being restored yet."""
        self._assigned_s = 0.0

    def watch(self) -> None:
        """Start the threads that watch over this process."""
        self._broker_monitor.watch()
        Watchdog(self.health, self._broker_monitor, self.settings.stall_s, lambda: self.app.should_stop).watch()

    def listens(self, http: str) -> None:
        """This worker answers questions about its users at `http`, host:port: its statuses say so."""
        self._evaluation.http = http

    def standings_of(self, partition: int, keys: Iterable[bytes] | None = None) -> dict[bytes, bytes]:
        """The last flag of each standing in `partition`, as kept, by its key: of all, or of `keys` if still there."""
        return self._standings.of_partition(partition) if keys is None else self._standings.some(keys)

    async def count(self, fetched: FetchedBatches) -> None:
        """Count what was fetched. What goes wrong beyond its records ends the worker."""
        with self._fatal("a batch could not be counted"):
            try:
                await self._counter.count(fetched)
            except CorruptBatchError as error:
                await self._producer.flush()  # what was counted before it is not to be counted again and again
                end(Exit.REFUSED, str(error))

    async def on_revoked(self, *_args: Any, **_kwargs: Any) -> None:
        """Before the partitions move all that was counted of them is in the log."""
        self._revocations += 1
        self._is_moving = True
        self.health.forget()
        self._meter.rebalance()
        pausing = asyncio.ensure_future(self._ownership.pause())
        while not pausing.done():
            # The lease may lapse in here too. Once the group has given this worker up, nothing renews it before this
            # returns, and what is being written waits for that.
            if self._lease.has_lapsed() and self._producer.is_owing:
                end(Exit.FENCED, "it was cut off for longer than its session, and holds writes others may have made")
            await asyncio.wait((pausing,), timeout=_LOOK_S)
        await pausing

    async def on_assigned(self, *_args: Any, **_kwargs: Any) -> None:
        """The tables of the new partitions are being restored."""
        self._is_moving = False
        self._assigned_s = perf_counter()

    async def on_rebalanced(self, *_args: Any, **_kwargs: Any) -> None:
        """The tables are restored: take over what is assigned."""
        # Faust cancels this when the next rebalance begins; partitions that are half taken over would be left.
        await asyncio.shield(asyncio.ensure_future(self._take_over()))

    async def _take_over(self) -> None:
        if self._is_moving or self.app.tables.recovery.is_due:
            return  # Faust ends this recovery although it has begun, or is about to begin, another
        revocations, generation = self._revocations, self.app.consumer_generation_id
        assigned = self.app.consumer.assignment()
        partitions = {tp.partition for tp in assigned if tp.topic in self.settings.input_topics}
        with self._fatal("the partitions could not be taken over"):
            await self.exchange.caught_up.wait()
            self.health.caught_up = True
            self._introduce()
            await asyncio.to_thread(self._broker_monitor.has_answered.wait)
            if self._revocations != revocations:
                return
            self._refuse_others()
            if not await self._ownership.take_over(partitions, generation):
                return
            self._refuse_others()
            self.health.recovered = self._revocations == revocations
            self._meter.recovery(perf_counter() - self._assigned_s)

    async def run(self) -> None:
        """What runs beside the app, from before it starts until after it has stopped."""
        leftovers = delete_leftovers(self.settings, self.publisher)
        await asyncio.gather(self._exchange(), self._write(), self._observe(), leftovers)

    async def _exchange(self) -> None:
        try:
            await self.exchange.run()
        except (CorruptBatchError, PersonKeyError) as error:
            end(Exit.REFUSED, str(error))

    async def _write(self) -> None:
        try:
            await self._producer.run()
        except KafkaError:
            logger.exception("Kafka does not take what the tracker writes")
            end(Exit.LOST_WRITE, "the next owner goes on from the last write that Kafka has")

    async def rounds(self) -> None:
        """Evaluate regularly, until the app stops."""
        while not self.app.should_stop:
            pause_s = self.settings.tick_s
            if self.health.recovered:
                with self._fatal("a round of evaluation failed"), self.health.doing("round"):
                    pause_s = await self._evaluation.round()
            await asyncio.sleep(pause_s)

    async def sweeps(self) -> None:
        """Delete garbage regularly, until the app stops."""
        while not self.app.should_stop:
            await asyncio.sleep(_SWEEP_S)
            if self.health.recovered:
                with self._fatal("superseded segments could not be deleted"), self.health.doing("sweep"):
                    await self._ownership.sweep()

    async def _observe(self) -> None:
        while not self.app.should_stop:
            self.health.beat()
            remaining = self.app.tables.recovery.remaining
            self._meter.recovery_remaining(remaining)
            if self.health.recovered:  # in a rebalance some of the partitions are on their way out
                await self._look()
                self._refuse_others()
            else:
                self.health.observe_recovery(remaining)
            await asyncio.sleep(_OBSERVE_S if self.health.recovered else _LOOK_S)

    async def _look(self) -> None:
        known, positions = self._broker_monitor.answer.ends, self._positions()
        ends = {tp: max(self._consumer.end(tp), known.get(tp, 0)) for tp in positions}
        # A source that nothing has been fetched of would else be overtaken by the window, and all it holds be late.
        self._ownership.note_ends(ends)
        for tp, position in positions.items():
            stood_s = self.health.observe(*tp, position, ends[tp])
            if stood_s > self.settings.stall_s / 2:
                await self._ownership.read_again(tp)
                if not self.health.recovered:
                    return  # the partitions are moving

    def _positions(self) -> dict[Partition, int]:
        return self._ownership.positions(self.owned)

    def _refuse_others(self) -> None:
        """End this worker when a source topic is not the one that was counted: its records are others."""
        if why := self._ownership.adopt(self._broker_monitor.answer.topics):
            end(Exit.REFUSED, why)

    def _introduce(self) -> None:
        """Let the others see which person_key this worker has."""
        if record := self.context.erasures.introduction():
            self._producer.put(self.settings.erasures_topic, 0, *record)

    @contextmanager
    def _fatal(self, what: str) -> Iterator[None]:
        """What fails in here ends the worker, unless it is stopping anyhow. Nothing leaves an agent as an exception."""
        try:
            yield
        except Exception:
            if not self.app.should_stop:
                logger.exception("%s", what)
                end(Exit.BROKEN, "what it has written is complete; the next owner goes on from there")
