"""From raw records to the book: decoded, checked, credited, counted; and set aside where they cannot be counted."""

import logging
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from faust.types import TP

from stream_app.core.credit import Credits, Ints, ViewRates, credit, times_ms, user_ids
from stream_app.core.events import Event, Post, Rejected, Share, decode
from stream_app.core.ledger import Applied
from stream_app.core.placement import PartitionOf, misplaced
from stream_app.core.watermark import Source
from stream_app.engine.kafka import Kafka
from stream_app.engine.outlet import Letter, partition_of
from stream_app.engine.ports import Record
from stream_app.engine.shared import Held, Shared

logger = logging.getLogger(__name__)


class Intake:
    """Counts batches of records into the books of the partitions held."""

    def __init__(self, shared: Shared, kafka: Kafka) -> None:
        self._settings = shared.settings
        self._books = shared.books
        self._outlet = shared.outlet
        self._meter = shared.meter
        self._clock = shared.clock
        self._kafka = kafka
        settings = shared.settings
        self._rates = ViewRates(settings.view_rate, settings.channel_view_rates)
        self._partition_of = _murmur2_of(settings.partitions) if settings.partitioner == "murmur2" else None
        self._kinds: dict[str, type[Event]] = {settings.posts_topic: Post, settings.shares_topic: Share}

    async def count(self, records: Sequence[Record]) -> None:
        """Count the records of one partition, in order. Nothing that a record holds makes this raise."""
        held = self._books.get(records[0].partition)
        if held is None:
            return  # the partition has moved on; its new owner reads these records again
        async with held.lock:
            source = held.book.ledger.source(records[0].topic)
            if await self._is_beyond_gap(held, source, records):
                return
            fresh = _from_position(records, source.position)
            if len(fresh) < len(records):
                self._meter.skipped(records[0].topic, len(records) - len(fresh))
            if fresh:
                await self._count(held, source, fresh)
        await self._outlet.relieve()

    async def _count(self, held: Held, source: Source, records: Sequence[Record]) -> None:
        started = perf_counter()
        topic, partition = records[0].topic, records[0].partition
        before = (source.applied, source.duplicate, source.late, source.rejected, source.unknown)
        credits_, indices, rejected = self._credit(held, records)
        await self._set_aside(records, rejected)
        applied = held.book.count(topic, records[-1].offset + 1, credits_, len(rejected))
        await self._set_aside_late(records, indices, applied)
        held.book.write(applied)
        self._follow(held, TP(topic, partition), records)
        after = (source.applied, source.duplicate, source.late, source.rejected, source.unknown)
        *results, unknown = (now - then for now, then in zip(after, before, strict=True))
        counted = dict(zip(("applied", "duplicate", "late", "rejected"), results, strict=True))
        self._meter.batch(topic, counted, perf_counter() - started)
        if unknown:
            self._meter.unknown_audience(unknown)

    def _credit(self, held: Held, records: Sequence[Record]) -> tuple[Credits, Sequence[int], list[Rejected]]:
        """The credits of the countable records, their places among `records`, and the others."""
        kind = self._kinds[records[0].topic]
        events, indices, rejected = decode([r.value for r in records], kind, self._settings.max_event_bytes)
        users, ts_ms = user_ids(events), times_ms(events)
        keys = [r.key for r in records]
        known = held.book.ledger.users.numbers
        bad = list(misplaced(users, keys, indices, records[0].partition, self._partition_of, known))
        if bad:
            self._meter.misrouted(len(bad))
        bad += self._ahead(ts_ms, indices)
        if bad:
            by_index = {reject.index: reject for reject in reversed(bad)}
            rejected = [*rejected, *by_index.values()]
            kept = [place for place, index in enumerate(indices) if index not in by_index]
            events, indices = [events[place] for place in kept], [indices[place] for place in kept]
            users, ts_ms = [users[place] for place in kept], ts_ms[kept]
        return credit(events, users, ts_ms, posts=kind is Post, rates=self._rates), indices, rejected

    def _ahead(self, ts_ms: Ints, indices: Sequence[int]) -> list[Rejected]:
        """Events that claim to come from the future: one of them would move the window past all others."""
        limit_ms = (self._clock() + self._settings.max_ahead_s) * 1000
        ahead_s = self._settings.max_ahead_s
        return [
            Rejected(
                indices[place],
                "ahead-of-clock",
                f"ts {ts_ms[place]} is over {ahead_s:g} s ahead of this worker's clock: is the producer's clock right?",
            )
            for place in np.flatnonzero(ts_ms > limit_ms).tolist()
        ]

    async def _set_aside(self, records: Sequence[Record], rejected: Sequence[Rejected]) -> None:
        if rejected:
            first = rejected[0]
            logger.warning(
                "%d of %d records of %s-%d cannot be counted and go to %s; the first, at offset %d: %s",
                *(len(rejected), len(records), records[0].topic, records[0].partition),
                *(self._settings.dead_letters_topic, records[first.index].offset, first.message),
            )
            self._outlet.dead_letters(
                _letter(records[reject.index], reject.reason, reject.message) for reject in sorted(rejected)
            )
            await self._outlet.flush()

    async def _set_aside_late(self, records: Sequence[Record], indices: Sequence[int], applied: Applied) -> None:
        places = np.flatnonzero(applied.late).tolist()
        if places:
            message = f"older than the window of {self._settings.window_s:g} s"
            self._outlet.late(_letter(records[indices[place]], "late", message) for place in places)
            await self._outlet.flush()

    def _follow(self, held: Held, tp: TP, records: Sequence[Record]) -> None:
        """Note how far the source has been read."""
        ledger, end = held.book.ledger, self._kafka.end(tp)
        behind = max(end - ledger.source(tp.topic).position, 0)
        (ledger.lagging.add if behind else ledger.lagging.discard)(tp.topic)
        oldest_s = records[0].timestamp / 1000
        if held.oldest_unseen_s is None:
            held.oldest_unseen_s = oldest_s
        self._meter.lag(tp.topic, tp.partition, behind, max(self._clock() - oldest_s, 0.0) if behind else 0.0)

    async def _is_beyond_gap(self, held: Held, source: Source, records: Sequence[Record]) -> bool:
        """Whether records before these were never seen: then they are read again from there.

        Where they are gone from Kafka, the same batch comes back, and is counted.
        """
        first = records[0]
        if first.offset <= source.position:
            return False
        gap = (source.position, first.offset)
        if held.sought.get(first.topic) == gap:
            logger.error(
                "%s-%d: offsets %d to %d are gone from Kafka (retention, transaction markers) and were not counted",
                *(first.topic, first.partition, source.position, first.offset - 1),
            )
            return False
        held.sought[first.topic] = gap
        await self._kafka.seek(TP(first.topic, first.partition), source.position)
        return True


def _from_position(records: Sequence[Record], position: int) -> Sequence[Record]:
    """The records not yet counted."""
    if records[0].offset >= position:
        return records
    return [record for record in records if record.offset >= position]


def _letter(record: Record, reason: str, message: str) -> Letter:
    return Letter(record.topic, record.partition, record.offset, record.key, record.value, reason, message)


def _murmur2_of(partitions: int) -> PartitionOf:
    return lambda key: partition_of(key, partitions)
