"""Who holds which partition: taking over after a rebalance, and deleting only what is certainly still owned."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from time import perf_counter

from faust.types import TP

from stream_app.core.changelog.ledger_store import Book
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.cuts.curve_updates import Teller
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.watermark import Source
from stream_app.engine.context import NOTHING_SEEN, Held, Shared
from stream_app.engine.faust.app import Kafka
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.liveness.broker_monitor import TopicIdentity
from stream_app.engine.liveness.lag import Lag
from stream_app.engine.ownership import topic_identity
from stream_app.engine.ownership.lost_records import tell_gone
from stream_app.engine.rounds.erasure import Eraser
from stream_app.engine.rounds.flag_outbox import Outbox

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
        self._lag = Lag(shared)
        self._outlet = shared.outlet
        self._segments = segments
        self._standings = standings
        self._outbox = outbox
        self._eraser = eraser
        self._kafka = kafka
        self._moving = asyncio.Lock()
        self._generation: int | None = None
        """Of the group, in which the books were taken over; None while the partitions may move."""

    async def take_over(self, partitions: set[int], generation: int) -> bool:
        """Hold exactly `partitions`, as the tables now have them; committed offsets become the books' positions.

        False when the group has moved on since `generation`: nothing new is held then, nor written.
        """
        async with self._moving:
            if not await self._take_over(partitions, generation):
                logger.warning("the group did not take the positions: another rebalance is under way")
                return False
            self._generation = generation
            return True

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
                    if why := topic_identity.mismatch(name, source, found, self._settings.partitions):
                        return why
                    topic_identity.adopt(source, found)
        return ""

    async def read_again(self, tp: TP) -> None:
        """See to a source that stands still: records were fetched, but never came to be counted, or they are gone.

        Seeks to where counting stands, once at each place; where Kafka begins later counting goes on there.
        """
        held = self._books.get(tp.partition)
        if held is None:
            return  # it moved away meanwhile
        start = await self._kafka.start(tp)
        if self._books.get(tp.partition) is not held or held.lock.locked():
            return
        source, ledger = held.book.ledger.source(tp.topic), held.book.ledger
        if start > source.position:
            tell_gone(tp, source.position, start - 1)
            source.position = start
            ledger.lagging.discard(tp.topic)
            held.seen = NOTHING_SEEN
        elif held.read_again.get(tp.topic) != source.position:
            held.read_again[tp.topic] = source.position
            logger.warning(
                "%s-%d stands still at offset %d: reading from there again",
                *(*tp, source.position),
                extra={"kind": (tp, source.position)},
            )
            await self._kafka.seek(tp, source.position)

    def positions(self, partitions: Iterable[int]) -> dict[TP, int]:
        """The next offsets to count of some of the partitions held."""
        books = {partition: self._books[partition].book for partition in partitions}
        return positions_of(books, self._settings.input_topics)

    def note_ends(self, ends: Mapping[TP, int]) -> None:
        """Have the windows wait for sources of which there is more to read, by where they end."""
        for tp, end in ends.items():
            held = self._books[tp.partition]
            ledger = held.book.ledger
            behind = max(end - ledger.source(tp.topic).position, 0)
            if behind:
                ledger.lagging.add(tp.topic)
            self._lag.look(held, tp, behind)

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

    async def _take_over(self, partitions: set[int], generation: int) -> bool:
        started = perf_counter()
        for lost in self._books.keys() - partitions:
            del self._books[lost]
            self._meter.partition_revoked(lost)
        fresh = {partition: self._read(partition) for partition in sorted(partitions) if self._let_go(partition)}
        positions = self.positions(self._books) | positions_of(fresh, self._settings.input_topics)
        # Asked before anything is written: a worker that was cut off would take the partition from its new owner.
        if positions and not await self._kafka.commit(positions, generation):
            return False
        for book in fresh.values():
            await self._begin(book, generation)
        await self._outlet.flush()
        self.note_ends(await self._kafka.ends(positions))
        if fresh:
            rows = sum(len(book.ledger.rows) for book in fresh.values())
            logger.info("took over %d partitions with %d rows in %.1f s", len(fresh), rows, perf_counter() - started)
        return True

    def _let_go(self, partition: int) -> bool:
        """Let go of a book that is not the last word any more; whether there is none now."""
        if self._is_current(partition):
            return False
        self._books.pop(partition, None)
        return True

    def _is_current(self, partition: int) -> bool:
        """Whether the book in memory is still the last word: nobody else has owned the partition since."""
        held = self._books.get(partition)
        if held is None:
            return False
        keys = map(SegmentKey.decode, self._segments.of_partition(partition))
        return max((key.epoch for key in keys if key.kind == "epoch"), default=0) == held.book.lineage.epoch

    def _read(self, partition: int) -> Book:
        settings = self._settings
        ledger = Ledger(settings.pane_ms, settings.panes, settings.short_panes)
        stored = self._segments.of_partition(partition)

        def put(key: bytes, value: bytes | None) -> None:
            self._segments.write(partition, key, value)

        return Book(partition, ledger, stored, put)

    async def _begin(self, book: Book, generation: int) -> None:
        """Own it from now on."""
        book.begin(generation)
        partition = book.partition
        held = self._books[partition] = Held(book, Teller(partition, book.lineage.epoch))
        async with held.lock:
            await self._eraser.visit(partition, held)  # before flags are sent again
            await self._outbox.take_over(partition, self._standings.of_partition(partition), book.ledger)


def positions_of(books: Mapping[int, Book], topics: Iterable[str]) -> dict[TP, int]:
    """The next offsets to count, by source partition."""
    return {TP(topic, p): book.ledger.source(topic).position for topic in topics for p, book in books.items()}
