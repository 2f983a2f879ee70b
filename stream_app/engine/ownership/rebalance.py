"""Rebalance: takes over partitions, gives them up, and sweeps garbage of partitions that are certainly still owned."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from secrets import randbits
from time import perf_counter

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.exchange.delta_message import DeltaSource
from stream_app.core.exchange.delta_sender import DeltaSender
from stream_app.core.state.interning import Numbers
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.watermark import Source
from stream_app.engine.context import NEVER, EngineContext, OwnedPartition
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.influence.credit_sender import CreditSender
from stream_app.engine.influence.funnel_settings import funnel_settings_of, limits_of
from stream_app.engine.liveness.broker_monitor import TopicIdentity
from stream_app.engine.ownership import topic_identity
from stream_app.engine.ownership.foreign_records import UNREADABLE, ForeignRecordError, foreign_record
from stream_app.engine.ownership.lost_records import log_lost_records
from stream_app.engine.rounds.erasure import PartitionEraser
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.engine.time_synchronization import TimeSynchronization
from stream_app.kafka.records import Partition
from stream_app.kafka.topics import changelogs_of

logger = logging.getLogger(__name__)


class PartitionOwnership:
    """The ledger stores of the partitions assigned to this worker."""

    def __init__(
        self,
        context: EngineContext,
        segments: PartitionTable,
        standings: PartitionTable,
        outbox: FlagOutbox,
        eraser: PartitionEraser,
        consumer: SourceConsumer,
        synchronization: TimeSynchronization,
        ids_until_ms: Callable[[], int],
    ) -> None:
        """`ids_until_ms`: see `CurveExchange`."""
        self._sender = CreditSender(context)
        self._settings = context.settings
        self._owned = context.owned
        self._meter = context.meter
        self._output = context.output
        self._limits = context.limits
        self._segments = segments
        self._standings = standings
        self._outbox = outbox
        self._eraser = eraser
        self._consumer = consumer
        self._synchronization = synchronization
        self._ids_until_ms = ids_until_ms
        self._numbers = Numbers()
        self._moving = asyncio.Lock()
        self._generation: int | None = None
        """The group's generation in which the partitions were taken over; None while they may move."""

    async def take_over(self, partitions: set[int], generation: int) -> bool:
        """Own exactly `partitions`, restored from the tables, and commit the positions of their ledgers.

        Returns False if the group has moved past `generation`. Then no new partition is owned and nothing is written.
        """
        async with self._moving:
            if not await self._take_over(partitions, generation):
                logger.warning("the group refused the positions: another rebalance is under way")
                return False
            self._generation = generation
            return True

    async def pause(self) -> None:
        """Wait until no ledger is in use and the changelog has every write, so that partitions may move.

        A round or a batch under way goes on with no other partition: its new owner may have begun.
        """
        async with self._moving:
            self._generation = None
            for held in self._owned.values():
                async with held.lock:
                    held.is_paused = True
            await self._output.flush()

    def adopt(self, topics: Mapping[str, TopicIdentity]) -> str:
        """Record in the ledgers the identity of their topics. Returns an error message if a topic was replaced."""
        for name in self._settings.read_topics:
            if found := topics.get(name):  # a topic that is gone has nothing to read
                sources = [held.store.ledger.source(name) for held in self._owned.values()]
                for source in (Source(), *sources):
                    if why := topic_identity.mismatch(name, source, found, self._settings.partitions):
                        return why
                    topic_identity.adopt(source, found)
        return ""

    async def read_again(self, tp: Partition) -> None:
        """Unblock a stuck source, whose fetched records never got counted or are gone from Kafka.

        Seeks to the position of the ledger, once per position. If Kafka's first offset is higher, counting continues
        there.
        """
        held = self._owned.get(tp.partition)
        if held is None:
            return  # the partition has moved meanwhile
        start = await self._consumer.start(tp)
        if self._owned.get(tp.partition) is not held or held.is_paused or held.lock.locked():
            return
        source, ledger = held.store.ledger.source(tp.topic), held.store.ledger
        if start > source.position:
            log_lost_records(tp, source.position, start - 1)
            source.position = start
            ledger.lagging.discard(tp.topic)
            held.store.write_state()  # nothing may ever come that would write it
            held.published = NEVER
        elif held.read_again.get(tp.topic) != source.position:
            held.read_again[tp.topic] = source.position
            logger.warning(
                "%s-%d is stuck at offset %d: reading from there again",
                *(*tp, source.position),
                extra={"kind": (tp, source.position)},
            )
            await self._consumer.seek(tp, source.position)

    def positions(self, partitions: Iterable[int]) -> dict[Partition, int]:
        """Return the next offsets to count in some of the owned partitions."""
        stores = [self._owned[partition].store for partition in partitions]
        return positions_of(stores, self._settings.read_topics)

    async def sweep(self) -> None:
        """Delete garbage, after the log has all writes and the group has confirmed the ownership."""
        async with self._moving:
            if self._generation is not None:
                await self._sweep(self._generation)

    async def _sweep(self, generation: int) -> None:
        sweepable = {}
        for partition, held in self._owned.items():
            async with held.lock:
                if count := held.store.sweepable():
                    sweepable[partition] = (held, count)
        if not sweepable:
            return
        await self._output.flush()
        if not await self._consumer.commit(self.positions(sweepable), generation):
            return
        for partition, (held, count) in sweepable.items():
            async with held.lock:
                if self._owned.get(partition) is held:
                    held.store.sweep(count)

    async def _take_over(self, partitions: set[int], generation: int) -> bool:
        started = perf_counter()
        for lost in self._owned.keys() - partitions:
            del self._owned[lost]
            self._segments.drop(lost)  # it has only keys: should the partition come back, it is to be restored
            self._meter.partition_revoked(lost)
        fresh = {partition: self._read(partition) for partition in sorted(partitions) if self._let_go(partition)}
        positions = self.positions(self._owned) | positions_of(fresh.values(), self._settings.read_topics)
        # Commit before anything is written: a disconnected worker would take the partition from its new owner.
        if positions and not await self._consumer.commit(positions, generation):
            return False
        for store in fresh.values():
            await self._begin(store, generation)
        await self._output.flush()
        await self._sender.send_again(fresh.values())
        self._synchronization.note_ends(await self._consumer.ends(positions))
        for partition, held in self._owned.items():
            held.is_paused = False
            if self._is_current(partition):  # it holds what it needs; a new one will be made of what is read again
                self._segments.keep_only_keys(partition)
        if fresh:
            rows = sum(len(store.ledger.rows) for store in fresh.values())
            logger.info("took over %d partitions with %d rows in %.1f s", len(fresh), rows, perf_counter() - started)
        return True

    def _let_go(self, partition: int) -> bool:
        """Drop a ledger store that is outdated. Returns whether the partition must be read again."""
        if self._is_current(partition):
            return False
        self._owned.pop(partition, None)
        return True

    def _is_current(self, partition: int) -> bool:
        """Return whether the ledger store in memory is current: no other worker has owned the partition since."""
        held = self._owned.get(partition)
        if held is None:
            return False
        keys = map(SegmentKey.decode, self._segments.of_partition(partition))
        return max((key.epoch for key in keys if key.kind == "epoch"), default=0) == held.store.ownership.epoch

    def _read(self, partition: int) -> LedgerStore:
        settings = self._settings
        panes = (settings.pane_ms, settings.panes, settings.short_panes)
        ledger = Ledger(*panes, self._numbers, limits_of(settings), event_key=randbits(64) or 1)
        stored = self._segments.of_partition(partition)

        def put(key: bytes, value: bytes | None) -> None:
            self._segments.write(partition, key, value)

        def most_bytes() -> int:
            return self._limits.record(self._segments.changelog_topic_name)

        try:
            return LedgerStore(partition, ledger, stored, put, most_bytes, funnel_settings_of(settings))
        except UNREADABLE as error:
            log = Partition(changelogs_of(settings)[0], partition)
            raise ForeignRecordError(foreign_record(log, str(error) or type(error).__name__)) from error

    async def _begin(self, store: LedgerStore, generation: int) -> None:
        """Begin the ownership of a restored ledger store."""
        store.begin(generation)
        store.ledger.seen.store_ids_until(self._ids_until_ms(), self._settings.pane_ms)
        partition = store.partition
        sender = DeltaSender(DeltaSource(partition, store.ownership.epoch), self._settings.partitions)
        held = self._owned[partition] = OwnedPartition(store, sender)
        async with held.lock:
            await self._eraser.visit(partition, held)  # before unsent flags are sent
            await self._outbox.take_over(partition, self._standings.of_partition(partition), store.ledger)


def restorable(assigned: Collection[tuple[str, int]], logs: Collection[str]) -> set[int]:
    """Return the partitions of sources whose `logs`, those of the tables, are all assigned too.

    While a member has not subscribed to all topics, the group may assign sources without the logs: that ledger would be
    empty.
    See docs/reliability.md#fault-partial-subscription.
    """
    logged = set.intersection(*({partition for topic, partition in assigned if topic == log} for log in logs))
    return {partition for topic, partition in assigned if topic not in logs} & logged


def positions_of(stores: Iterable[LedgerStore], topics: Iterable[str]) -> dict[Partition, int]:
    """Return the next offset to count in each source partition."""
    return {
        Partition(topic, store.partition): store.ledger.source(topic).position for store in stores for topic in topics
    }
