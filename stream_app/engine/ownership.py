"""Who holds which partition: taking over after a rebalance, and deleting only what is certainly still owned."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from time import perf_counter

from faust.types import TP

from stream_app.core.book import Book
from stream_app.core.ledger import Ledger
from stream_app.core.segments import SegmentKey
from stream_app.core.telling import Teller
from stream_app.core.watermark import Source
from stream_app.engine import identity
from stream_app.engine.eraser import Eraser
from stream_app.engine.kafka import Kafka
from stream_app.engine.outbox import Outbox
from stream_app.engine.probe import TopicIdentity
from stream_app.engine.shared import Held, Shared
from stream_app.engine.tables import PartitionTable

logger = logging.getLogger(__name__)


class Ownership:
    """The books of the partitions assigned to this worker."""

    def __init__(
        self,
        shared: Shared,
        segments: PartitionTable,
        standings: PartitionTable,
        outbox: Outbox,
        eraser: Eraser,
        kafka: Kafka,
    ) -> None:
        self._settings = shared.settings
        self._books = shared.books
        self._meter = shared.meter
        self._outlet = shared.outlet
        self._segments = segments
        self._standings = standings
        self._outbox = outbox
        self._eraser = eraser
        self._kafka = kafka
        self._moving = asyncio.Lock()
        self._generation: int | None = None
        """Of the group, in which the books were taken over; None while the partitions may move."""

    async def take_over(self, partitions: set[int], generation: int) -> None:
        """Hold exactly `partitions`, as the tables now have them; committed offsets become the books' positions."""
        async with self._moving:
            await self._take_over(partitions, generation)
            self._generation = generation

    async def pause(self) -> None:
        """Return when nobody is at a book and the log has all that was written: the partitions may move."""
        async with self._moving:
            self._generation = None
            for held in self._books.values():
                async with held.lock:
                    pass
            await self._outlet.flush()

    def adopt(self, topics: Mapping[str, TopicIdentity]) -> str:
        """Have the books note which topics they are read from; what is wrong where those are others than before."""
        for name in self._settings.input_topics:
            if found := topics.get(name):  # a topic that is gone has nothing to read
                sources = [held.book.ledger.source(name) for held in self._books.values()]
                for source in (Source(), *sources):
                    if why := identity.mismatch(name, source, found, self._settings.partitions):
                        return why
                    identity.adopt(source, found)
        return ""

    async def read_again(self, tp: TP) -> None:
        """Seek to where counting stands, once at each place: records were fetched, but never came to be counted."""
        held = self._books[tp.partition]
        position = held.book.ledger.source(tp.topic).position
        if held.read_again.get(tp.topic) != position:
            held.read_again[tp.topic] = position
            logger.warning(
                "%s-%d stands still at offset %d: reading from there again",
                *(*tp, position),
                extra={"kind": (tp, position)},
            )
            await self._kafka.seek(tp, position)

    def positions(self, partitions: Iterable[int]) -> dict[TP, int]:
        """The next offsets to count of some of the partitions held."""
        return {
            TP(topic, partition): self._books[partition].book.ledger.source(topic).position
            for partition in partitions
            for topic in self._settings.input_topics
        }

    async def sweep(self) -> None:
        """Delete garbage, once the log has all that was written and the group has confirmed who owns the partitions."""
        async with self._moving:
            if self._generation is not None:
                await self._sweep(self._generation)

    async def _sweep(self, generation: int) -> None:
        sweepable = {}
        for partition, held in self._books.items():
            async with held.lock:
                if count := held.book.sweepable():
                    sweepable[partition] = (held, count)
        if not sweepable:
            return
        await self._outlet.flush()
        if not await self._kafka.commit(self.positions(sweepable), generation):
            return
        for partition, (held, count) in sweepable.items():
            async with held.lock:
                if self._books.get(partition) is held:
                    held.book.sweep(count)

    async def _take_over(self, partitions: set[int], generation: int) -> None:
        started = perf_counter()
        for lost in self._books.keys() - partitions:
            del self._books[lost]
            self._meter.partition_revoked(lost)
        fresh = [partition for partition in sorted(partitions) if not self._is_current(partition)]
        for partition in fresh:
            held = self._books[partition] = self._rebuilt(partition, generation)
            async with held.lock:
                await self._eraser.visit(partition, held)  # before flags are sent again
                await self._outbox.take_over(partition, self._standings.of_partition(partition), held.book.ledger)
        await self._outlet.flush()
        await self._align(partitions, generation)
        if fresh:
            rows = sum(len(self._books[partition].book.ledger.rows) for partition in fresh)
            logger.info("took over %d partitions with %d rows in %.1f s", len(fresh), rows, perf_counter() - started)
            self._meter.recovery(perf_counter() - started)

    def _is_current(self, partition: int) -> bool:
        """Whether the book in memory is still the last word: nobody else has owned the partition since."""
        held = self._books.get(partition)
        if held is None:
            return False
        keys = map(SegmentKey.decode, self._segments.of_partition(partition))
        return max((key.epoch for key in keys if key.kind == "epoch"), default=0) == held.book.lineage.epoch

    def _rebuilt(self, partition: int, generation: int) -> Held:
        settings = self._settings
        ledger = Ledger(settings.pane_ms, settings.panes, settings.short_panes)
        stored = self._segments.of_partition(partition)

        def put(key: bytes, value: bytes | None) -> None:
            self._segments.write(partition, key, value)

        return Held(Book(partition, ledger, stored, generation, put), Teller(partition))

    async def _align(self, partitions: set[int], generation: int) -> None:
        """Make the group go on where the books are, and note which sources are behind."""
        positions = self.positions(partitions)
        if positions and not await self._kafka.commit(positions, generation):
            logger.warning("the group did not take the positions: another rebalance is under way")
        for tp, end in (await self._kafka.ends(positions)).items():
            ledger = self._books[tp.partition].book.ledger
            if ledger.source(tp.topic).position < end:
                ledger.lagging.add(tp.topic)
