"""The engine of a worker: the callbacks of its Faust app, and the tasks that run beside the app."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple, NoReturn

from aiokafka.errors import KafkaError

from stream_app import __version__
from stream_app.core.changelog.columns import FormatError
from stream_app.core.privacy.erasures import PersonKeyError
from stream_app.engine.context import EngineContext
from stream_app.engine.counting.waiting_batches import WaitingBatches
from stream_app.engine.faust.app import Tracker
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.liveness.broker_monitor import BrokerMonitor
from stream_app.engine.liveness.exit_codes import Exit, end
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.liveness.watchdog import Watchdog
from stream_app.engine.ownership.admission import Admission
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.ownership.foreign_records import ForeignRecordError
from stream_app.engine.ownership.rebalance import PartitionOwnership, restorable
from stream_app.engine.ports import FlagListeners
from stream_app.engine.producer import BatchingProducer
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.engine.rounds.cut_publisher import CutPublisher
from stream_app.engine.rounds.delta_reader import DeltaReader
from stream_app.engine.rounds.evaluation_round import EvaluationRound
from stream_app.engine.rounds.partition_updates import PartitionUpdates
from stream_app.engine.rounds.stale_cuts import delete_leftovers
from stream_app.engine.rounds.watermark_alignment import WatermarkAlignment
from stream_app.engine.time_synchronization import TimeSynchronization
from stream_app.kafka.corrupt_batches import CorruptBatchError
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Partition
from stream_app.kafka.topics import changelogs_of

logger = logging.getLogger(__name__)

_SWEEP_S = 5.0
_OBSERVE_S = 1.0
_LOOK_S = 0.1
_LOST = "the next owner continues from the last write that Kafka has"


class EngineParts(NamedTuple):
    """The parts of an engine; `build` creates them from the settings."""

    context: EngineContext
    tracker: Tracker
    consumer: SourceConsumer
    producer: BatchingProducer
    lease: Lease
    health: WorkerHealth
    broker_monitor: BrokerMonitor
    exchange: CurveExchange
    admission: Admission
    publisher: CutPublisher
    waiting: WaitingBatches
    alignment: WatermarkAlignment
    updates: PartitionUpdates
    evaluation: EvaluationRound
    ownership: PartitionOwnership
    synchronization: TimeSynchronization
    delta_reader: DeltaReader
    listeners: FlagListeners


class Engine:
    """The engine of one worker. Faust runs `app`; `run()` must run beside it."""

    def __init__(self, parts: EngineParts) -> None:
        self.context = parts.context
        self.settings = parts.context.settings
        self.owned = parts.context.owned
        self.app = parts.tracker.app
        self.health = parts.health
        self.exchange = parts.exchange
        self.publisher = parts.publisher
        self.listeners = parts.listeners
        self._admission = parts.admission
        self.is_admitted = parts.admission.admitted.is_set
        self._standings = parts.tracker.standings
        self._meter = parts.context.meter
        self._consumer = parts.consumer
        self._producer = parts.producer
        self._lease = parts.lease
        self._broker_monitor = parts.broker_monitor
        self._waiting = parts.waiting
        self._alignment = parts.alignment
        self._updates = parts.updates
        self._evaluation = parts.evaluation
        self._ownership = parts.ownership
        self._synchronization = parts.synchronization
        self._delta_reader = parts.delta_reader
        self._revocations = 0
        self._is_moving = False
        """Whether partitions were revoked and the next assignment has not arrived."""
        self._assigned_s = 0.0

    def watch(self) -> None:
        """Start the threads that monitor this process."""
        self._broker_monitor.watch()
        Watchdog(self.health, self._broker_monitor, self.settings.stall_s, lambda: self.app.should_stop).watch()

    def listens(self, http: str) -> None:
        """Publish `http` (host:port) in statuses as the address that serves queries about this worker's users."""
        self._updates.http = http
        self._admission.name = f"{self._admission.name} at {http}"

    def standings_of(self, partition: int, keys: Iterable[bytes] | None = None) -> dict[bytes, bytes]:
        """Return the latest flag of each standing in `partition` by key, as kept in memory; or only those of `keys`."""
        return self._standings.of_partition(partition) if keys is None else self._standings.some(keys)

    async def take(self, fetched: FetchedBatches) -> None:
        """Have fetched batches counted, small ones together. Any failure other than bad records ends the worker."""
        with self._fatal("a batch could not be counted"):
            await self._waiting.take(fetched)

    async def on_revoked(self, *_args: Any, **_kwargs: Any) -> None:
        """Wait until everything counted is in the log, before the partitions move."""
        self._revocations += 1
        self._is_moving = True
        self.health.forget()
        self._alignment.begin()  # holds everything until the partitions are taken over
        self._waiting.forget()
        self._meter.rebalance()
        with self._fatal("the partitions could not be given up"):
            await self._pause()

    async def _pause(self) -> None:
        pausing = asyncio.ensure_future(self._ownership.pause())
        while not pausing.done():
            # The lease may lapse here too. Once the group has removed this worker, nothing renews the lease before this
            # method returns, while the pending writes wait for the lease: a deadlock.
            if self._lease.has_lapsed() and self._producer.is_owing:
                end(Exit.FENCED, "it was cut off from Kafka for longer than its session, with writes still pending")
            await asyncio.wait((pausing,), timeout=_LOOK_S)
        await pausing

    async def on_assigned(self, *_args: Any, **_kwargs: Any) -> None:
        """Note the assignment. Faust now restores the tables of the new partitions."""
        self._is_moving = False
        self._assigned_s = perf_counter()

    async def on_rebalanced(self, *_args: Any, **_kwargs: Any) -> None:
        """Take over the assigned partitions. Their tables are restored."""
        # Faust cancels this when the next rebalance begins. Unshielded, partitions would be left half taken over.
        # See docs/reliability.md#fault-rebalance-cancels.
        await asyncio.shield(asyncio.ensure_future(self._take_over()))

    async def _take_over(self) -> None:
        if self._is_moving or self.app.tables.recovery.is_due:
            return  # another recovery has begun or is about to; this one is obsolete
        revocations, generation = self._revocations, self.app.consumer_generation_id
        partitions = restorable(self.app.consumer.assignment(), changelogs_of(self.settings))
        with self._fatal("the partitions could not be taken over"):
            await self.exchange.caught_up.wait()
            self.health.caught_up = True
            self._introduce()
            await asyncio.to_thread(self._broker_monitor.has_answered.wait)
            if self._revocations != revocations:
                return
            self._refuse_others()
            if not await self._restored(partitions, generation):
                return
            self._alignment.begin()
            self._refuse_others()
            self.health.recovered = self._revocations == revocations
            self._meter.recovery(perf_counter() - self._assigned_s)

    async def _restored(self, partitions: set[int], generation: int) -> bool:
        try:
            return await self._ownership.take_over(partitions, generation)
        except ForeignRecordError as error:
            end(Exit.REFUSED, str(error))
        except FormatError as error:
            end(Exit.REFUSED, f"what is stored cannot be read by release {__version__}: {error}")

    async def run(self) -> None:
        """Run the tasks beside the app, from before it starts until after it has stopped."""
        leftovers = delete_leftovers(self.settings, self.publisher)
        await asyncio.gather(self._exchange(), self._hear(), self._write(), self._observe(), leftovers)

    async def announce(self) -> None:
        """Announce this worker to the others, until cancelled."""
        with self._fatal("this worker could not announce itself"):
            await self._admission.run(self.exchange.caught_up)

    async def _exchange(self) -> None:
        with self._fatal("the curves of the other workers could not be read"):
            try:
                await self.exchange.run()
            except PersonKeyError as error:
                end(Exit.REFUSED, str(error))

    async def _hear(self) -> None:
        with self._fatal("what other workers send could not be read"):
            await self._delta_reader.run()

    async def _write(self) -> None:
        try:
            await self._producer.run()
        except KafkaError:
            logger.exception("writing to Kafka failed")
            self._end_after_lost_write()

    async def rounds(self) -> None:
        """Run evaluation rounds until the app stops."""
        while not self.app.should_stop:
            pause_s = self.settings.tick_s
            if self.health.recovered:
                with self._fatal("a round of evaluation failed"), self.health.doing("round"):
                    pause_s = await self._evaluation.round()
            with self._fatal("a batch could not be counted"):
                await self._waiting.rest(pause_s, self.settings.tick_s)

    async def sweeps(self) -> None:
        """Delete garbage every few seconds until the app stops."""
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
            if self.health.recovered:  # during a rebalance some partitions are about to leave
                with self._fatal("the sources could not be observed"):
                    await self._look()
                    self._refuse_others()
            else:
                self.health.observe_recovery(remaining)
            await asyncio.sleep(_OBSERVE_S if self.health.recovered else _LOOK_S)

    async def _look(self) -> None:
        known, positions = self._broker_monitor.answer.ends, self._positions()
        ends = {tp: max(self._consumer.end(tp), known.get(tp, 0)) for tp in positions}
        # Otherwise the window would overtake a source from which nothing was fetched yet, and make all its events late.
        self._synchronization.note_ends(ends)
        for tp, position in positions.items():
            is_held = tp in self._waiting.held  # which is no fault of this source
            stood_s = self.health.observe(*tp, position, position if is_held else ends[tp])
            if stood_s > self.settings.stall_s / 2:
                await self._ownership.read_again(tp)
                if not self.health.recovered:
                    return  # the partitions are moving

    def _end_after_lost_write(self) -> NoReturn:
        if self._producer.refusal:  # the next start would write the same
            end(Exit.REFUSED, self._producer.refusal)
        end(Exit.LOST_WRITE, _LOST)

    def _positions(self) -> dict[Partition, int]:
        return self._ownership.positions(self.owned)

    def _refuse_others(self) -> None:
        """End this worker if a source topic was deleted and created again, or has another number of partitions."""
        if why := self._ownership.adopt(self._broker_monitor.answer.topics):
            end(Exit.REFUSED, why)

    def _introduce(self) -> None:
        """Publish the check record of this worker's person_key, if the topic has none."""
        if record := self.context.erasures.introduction():
            self._producer.put(self.settings.erasures_topic, 0, *record)

    @contextmanager
    def _fatal(self, what: str) -> Iterator[None]:
        """End the worker on any exception in the block, or swallow it if the worker is stopping.

        Faust must see none: it would stop the app slowly, with exit status 1.
        """
        try:
            yield
        except CorruptBatchError as error:
            if not self.app.should_stop:
                end(Exit.REFUSED, str(error))
        except Exception:
            if self.app.should_stop:
                return
            logger.exception("%s", what)
            if self._producer.has_failed:
                self._end_after_lost_write()
            end(Exit.BROKEN, "its writes are complete; the next owner continues from there")
