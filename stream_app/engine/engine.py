"""The engine of a worker: its Faust app with tables and agents, and the rounds beside them."""

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, cast

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from stream_app.core.cuts.global_cuts import Whole
from stream_app.core.messages import Flag
from stream_app.core.privacy.erasures import Erasures, PersonKeyError
from stream_app.engine.context import Books, Shared
from stream_app.engine.counting import Intake
from stream_app.engine.faust.app import Kafka, faust_app
from stream_app.engine.faust.batches import AsTheyCome
from stream_app.engine.faust.recovery import Tables
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.liveness.broker_monitor import Probe
from stream_app.engine.liveness.exit_codes import Exit, end
from stream_app.engine.liveness.health import Health
from stream_app.engine.liveness.memory import collect_quietly
from stream_app.engine.liveness.watchdog import Watchdog
from stream_app.engine.output_topics import Outlet
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.ownership.rebalance import Ownership
from stream_app.engine.ports import Listener, Meter, Nobody
from stream_app.engine.producer import Outgoing
from stream_app.engine.rounds.curve_exchange import Exchange
from stream_app.engine.rounds.cut_publisher import Publisher
from stream_app.engine.rounds.erasure import Eraser
from stream_app.engine.rounds.evaluation_round import Evaluator, rules_of
from stream_app.engine.rounds.flag_outbox import Outbox
from stream_app.engine.rounds.stale_cuts import delete_leftovers
from stream_app.engine.rounds.standing_records import kept
from stream_app.kafka.corrupt_batches import DamagedError
from stream_app.kafka.topics import changelogs_of
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_SWEEP_S = 5.0
_OBSERVE_S = 1.0
_LOOK_S = 0.1


class Engine:
    """One worker's engine. `app` is what Faust runs; `run()` must run beside it."""

    def __init__(self, settings: Settings, meter: Meter) -> None:
        self.settings = settings
        self.books: Books = {}
        self.health = Health(settings.stall_s)
        self.listener: Listener = Nobody()
        self._revocations = 0
        self._is_moving = False
        """Partitions were given up, and what is assigned instead is not known or not being recovered yet."""
        self._assigned_s = 0.0
        self._lease = Lease(settings.session_timeout_s)
        self._probe = Probe(settings)
        self.app = faust_app(settings, self._lease, self.health, self._positions)
        self._meter = meter
        self._kafka = Kafka(self.app)
        self._outgoing = Outgoing(settings, self._lease)
        segments, standings = changelogs_of(settings)
        self._segments = self._table("segments", segments)
        self._standings = self._table("standings", standings)
        self._standings.kept = kept
        outlet = Outlet(self._outgoing, settings)
        whole = Whole(settings.share)
        self._erasures = Erasures(settings.erasures_topic, settings.person_key.reveal())
        self.shared = Shared(settings, rules_of(settings), self.books, whole, outlet, meter, time.time, self._erasures)
        self.exchange = Exchange(settings, whole, self._erasures)
        self.publisher = Publisher(self.shared, self.exchange.past)
        outbox = Outbox(self._standings, outlet, meter, self._tell)
        eraser = Eraser(self.shared, self._standings, self._forget)
        self._ownership = Ownership(self.shared, self._segments, self._standings, outbox, eraser, self._kafka)
        self._evaluator = Evaluator(self.shared, self.exchange, outbox, self.publisher, eraser)
        self._intake = Intake(self.shared, self._kafka)
        self._connect()

    def watch(self) -> None:
        """Start the threads that watch over this process."""
        self._probe.watch()
        Watchdog(self.health, self._probe, self.settings.stall_s, lambda: self.app.should_stop).watch()

    def listens(self, http: str) -> None:
        """This worker answers questions about its users at `http`, host:port: the others are told."""
        self._evaluator.http = http

    def standings_of(self, partition: int, keys: Iterable[bytes] | None = None) -> dict[bytes, bytes]:
        """The last flag of each standing in `partition`, as kept, by its key: of all, or of `keys` if still there."""
        return self._standings.of_partition(partition) if keys is None else self._standings.some(keys)

    def _table(self, name: str, changelog: str) -> PartitionTable:
        topic = self.app.topic(
            changelog,
            schema=AsTheyCome(),
            partitions=self.settings.partitions,
            compacting=True,
            internal=True,
            acks=False,
        )
        table = self.app.Table(
            name, partitions=self.settings.partitions, changelog_topic=topic, key_type=bytes, value_type=bytes
        )
        partition_table = cast(PartitionTable, table)
        partition_table.outgoing = self._outgoing
        return partition_table

    def _connect(self) -> None:
        for name, topic in zip(("posts", "shares"), self.settings.input_topics, strict=True):
            self.app.agent(self.app.topic(topic, schema=AsTheyCome()), name=name, concurrency=1)(self._count)
        self.app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        self.app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        self.app.on_rebalance_complete.connect(self._on_rebalanced, weak=False)
        self.app.task(self._rounds)
        self.app.task(self._sweeps)
        self.app.task(collect_quietly)

    async def _count(self, batches: faust.StreamT[Any]) -> None:
        """The agent of an input topic: every batch is counted. What goes wrong beyond its records ends the worker."""
        async for batch in batches:
            with self._fatal("a batch could not be counted"):
                try:
                    await self._intake.count(batch)
                except DamagedError as error:
                    await self._outgoing.flush()  # what was counted before it is not to be counted again and again
                    end(Exit.REFUSED, str(error))

    async def _on_revoked(self, *_args: Any, **_kwargs: Any) -> None:
        """Before the partitions move all that was counted of them is in the log."""
        self._revocations += 1
        self._is_moving = True
        self.health.forget()
        self._meter.rebalance()
        pausing = asyncio.ensure_future(self._ownership.pause())
        while not pausing.done():
            # The lease may lapse in here too. Once the group has given this worker up, nothing renews it before this
            # returns, and what is being written waits for that.
            if self._lease.has_lapsed() and self._outgoing.is_owing:
                end(Exit.FENCED, "it was cut off for longer than its session, and holds writes others may have made")
            await asyncio.wait((pausing,), timeout=_LOOK_S)
        await pausing

    async def _on_assigned(self, *_args: Any, **_kwargs: Any) -> None:
        self._is_moving = False
        self._assigned_s = perf_counter()

    async def _on_rebalanced(self, *_args: Any, **_kwargs: Any) -> None:
        # Faust cancels this when the next rebalance begins; partitions that are half taken over would be left.
        await asyncio.shield(asyncio.ensure_future(self._take_over()))

    async def _take_over(self) -> None:
        if self._is_moving or cast(Tables, self.app.tables).recovery.is_due:
            return  # Faust ends this recovery although it has begun, or is about to begin, another
        revocations, generation = self._revocations, self.app.consumer_generation_id
        assigned = self.app.consumer.assignment()
        partitions = {tp.partition for tp in assigned if tp.topic in self.settings.input_topics}
        with self._fatal("the partitions could not be taken over"):
            await self.exchange.caught_up.wait()
            self.health.caught_up = True
            self._introduce()
            await asyncio.to_thread(self._probe.has_answered.wait)
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
        except (DamagedError, PersonKeyError) as error:
            end(Exit.REFUSED, str(error))

    async def _write(self) -> None:
        try:
            await self._outgoing.run()
        except KafkaError:
            logger.exception("Kafka does not take what the tracker writes")
            end(Exit.LOST_WRITE, "the next owner goes on from the last write that Kafka has")

    async def _rounds(self) -> None:
        while not self.app.should_stop:
            pause_s = self.settings.tick_s
            if self.health.recovered:
                with self._fatal("a round of evaluation failed"), self.health.doing("round"):
                    pause_s = await self._evaluator.round()
            await asyncio.sleep(pause_s)

    async def _sweeps(self) -> None:
        while not self.app.should_stop:
            await asyncio.sleep(_SWEEP_S)
            if self.health.recovered:
                with self._fatal("superseded segments could not be deleted"), self.health.doing("sweep"):
                    await self._ownership.sweep()

    async def _observe(self) -> None:
        while not self.app.should_stop:
            self.health.beat()
            remaining = cast(Tables, self.app.tables).recovery.remaining
            self._meter.recovery_remaining(remaining)
            if self.health.recovered:  # in a rebalance some of the partitions are on their way out
                await self._look()
                self._refuse_others()
            else:
                self.health.observe_recovery(remaining)
            await asyncio.sleep(_OBSERVE_S if self.health.recovered else _LOOK_S)

    async def _look(self) -> None:
        told, positions = self._probe.answer.ends, self._positions()
        ends = {tp: max(self._kafka.end(tp), told.get(tp, 0)) for tp in positions}
        # A source that nothing has been fetched of would else be overtaken by the window, and all it holds be late.
        self._ownership.note_ends(ends)
        for tp, position in positions.items():
            stood_s = self.health.observe(*tp, position, ends[tp])
            if stood_s > self.settings.stall_s / 2:
                await self._ownership.read_again(tp)
                if not self.health.recovered:
                    return  # the partitions are moving

    def _positions(self) -> dict[TP, int]:
        return self._ownership.positions(self.books)

    def _refuse_others(self) -> None:
        """End this worker when a source topic is not the one that was counted: its records are others."""
        if why := self._ownership.adopt(self._probe.answer.topics):
            end(Exit.REFUSED, why)

    def _tell(self, partition: int, flags: list[Flag]) -> None:
        self.listener.submit(partition, flags)

    def _forget(self, partition: int, standings: list[bytes], users: set[str]) -> None:
        self.listener.forget(partition, standings, users)

    def _introduce(self) -> None:
        """Let the others see which person_key this worker has."""
        if record := self._erasures.introduction():
            self._outgoing.put(self.settings.erasures_topic, 0, *record)

    @contextmanager
    def _fatal(self, what: str) -> Iterator[None]:
        """What fails in here ends the worker, unless it is stopping anyhow. Nothing leaves an agent as an exception."""
        try:
            yield
        except Exception:
            if not self.app.should_stop:
                logger.exception("%s", what)
                end(Exit.BROKEN, "what it has written is complete; the next owner goes on from there")
