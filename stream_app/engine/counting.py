"""Counting: decodes, checks and credits batches of records and counts them; the rest goes to dead letters."""

import logging
from collections.abc import Sequence
from functools import partial
from time import perf_counter

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits, ViewRates, credit
from stream_app.core.events.dead_letter import DeadLetter, Origin, attempts_of
from stream_app.core.events.decode import Rejected, decode
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.partition_check import PartitionsOf, misplaced
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.privacy.pseudonyms import PersonHashes, Pseudonyms
from stream_app.core.state.watermark import Source
from stream_app.engine.context import NOT_EVALUATED, EngineContext, OwnedPartition
from stream_app.engine.duplicate_sampling import duplicates_in
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.liveness.lag import Lag
from stream_app.engine.ownership.lost_records import log_lost_records
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Batch, Partition

logger = logging.getLogger(__name__)


class BatchCounter:
    """Counts batches of records into the ledger stores of the owned partitions."""

    def __init__(self, context: EngineContext, consumer: SourceConsumer) -> None:
        self._settings = context.settings
        self._owned = context.owned
        self._output = context.output
        self._meter = context.meter
        self._clock = context.clock
        self._lag = Lag(context)
        self._consumer = consumer
        settings = context.settings
        self._rates = ViewRates(settings.view_rate, settings.channel_view_rates)
        self._partitions_of: PartitionsOf | None = None
        if settings.partitioner == "murmur2":
            self._partitions_of = partial(partitions_of, partitions=settings.partitions)
        self._erasures = context.erasures
        self._pseudonyms = Pseudonyms(PersonHashes(settings.person_key.reveal())) if settings.pseudonyms else None
        self._kinds: dict[str, type[Event]] = {settings.posts_topic: Post, settings.shares_topic: Share}

    async def count(self, fetched: FetchedBatches) -> None:
        """Count the fetched records in order. Never raises because of the content of a record."""
        held = self._owned.get(fetched.partition)
        if held is None:
            return  # the partition has moved; its new owner reads these records again
        async with held.lock:
            source = held.store.ledger.source(fetched.topic)
            if await self._is_beyond_gap(source, fetched):
                return
            batch = fetched.unpacked()
            fresh = _from_position(batch, source.position)
            if fresh.records:
                await self._count(held, fresh)
            # No await since the batch was metered, so the metrics add up whenever they are scraped.
            self._meter.read(batch.topic, len(batch.records))
            self._meter.skipped(batch.topic, len(batch.records) - len(fresh.records))
            if source.position < batch.end:  # transaction markers follow the last record
                source.position = batch.end
                held.evaluated = NOT_EVALUATED
            self._follow(held, batch)
        await self._output.relieve()

    async def _count(self, held: OwnedPartition, batch: Batch) -> None:
        started = perf_counter()
        credits_, indices, rejected = self._credit(held, batch)
        refused = len(batch.records) - len(indices)
        if erased := refused - len(rejected):
            self._meter.erased(erased)
        late = held.store.ledger.late(batch.topic, credits_.ts_ms)
        # Set records aside before counting. A crash in between sets them aside twice; the other order could lose them.
        await self._set_aside(batch, rejected, [indices[place] for place in np.flatnonzero(late).tolist()])
        applied = held.store.count(batch.topic, batch.end, credits_, late, refused)
        held.duplicates.add(duplicates_in(batch, indices, credits_, applied.duplicate, late, held.store.ledger))
        if rebuilds := held.store.ledger.seen.take_rebuilds():
            self._meter.bound_hit("hash_index_rounds", rebuilds)
        self._meter.batch(batch.topic, applied.counts, perf_counter() - started)

    def _credit(self, held: OwnedPartition, batch: Batch) -> tuple[Credits, Sequence[int], list[Rejected]]:
        """Return the credits of the records to count, their indices in the batch, and the records to set aside.

        Records of erased people are in neither: setting them aside would store them again.
        """
        kind = self._kinds[batch.topic]
        keys, values = [record.key for record in batch.records], [record.value for record in batch.records]
        events, indices, rejected = decode(values, kind, self._settings.max_event_bytes)
        credits_ = credit(events, kind, self._rates, held.store.ledger.hashing)
        known = held.store.ledger.users if self._pseudonyms is None else {}
        bad = list(misplaced(credits_.users, keys, indices, batch.partition, self._partitions_of, known))
        if bad:
            self._meter.misrouted(len(bad))
        bad += self._ahead(credits_.ts_ms, indices)
        if self._pseudonyms is not None:
            credits_ = credits_._replace(users=self._pseudonyms.of(credits_.users))
        by_index = {reject.index: reject for reject in reversed(bad)}
        rejected += by_index.values()
        erased = self._erased(
            held, credits_.users, indices, [(reject.index, keys[reject.index]) for reject in rejected]
        )
        if not bad and not erased:
            return credits_, indices, rejected
        kept = [place for place, index in enumerate(indices) if index not in by_index and index not in erased]
        rejected = [reject for reject in rejected if reject.index not in erased]
        return credits_.only(kept), [indices[place] for place in kept], rejected

    def _erased(
        self,
        held: OwnedPartition,
        users: Sequence[str],
        indices: Sequence[int],
        rejected: Sequence[tuple[int, bytes | None]],
    ) -> set[int]:
        """Return which records of a batch belong to erased people: by user, or by key if `rejected`.

        Users in the ledger need no check, because an erasure removes the user from it.
        """
        if not self._erasures:
            return set()
        texts = [(key or b"").decode(errors="replace") for _, key in rejected]
        names = self._pseudonyms.of(texts) if self._pseudonyms is not None else texts
        gone = self._erasures.among(set(users).difference(held.store.ledger.users).union(names))
        if not gone:
            return set()
        return {
            *(index for index, user in zip(indices, users, strict=True) if user in gone),
            *(index for (index, _), name in zip(rejected, names, strict=True) if name in gone),
        }

    def _ahead(self, ts_ms: Ints, indices: Sequence[int]) -> list[Rejected]:
        """Reject events with timestamps in the future: a single one would move the window past all others."""
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

    async def _set_aside(self, batch: Batch, rejected: Sequence[Rejected], late: Sequence[int]) -> None:
        """Write the records that are not counted, `rejected` and `late`; return when Kafka has them."""
        if rejected:
            first = rejected[0]
            logger.warning(
                "%d of %d records of %s-%d cannot be counted and go to %s; the first, at offset %d: %s",
                *(len(rejected), len(batch.records), batch.topic, batch.partition),
                *(self._settings.dead_letters_topic, batch.records[first.index].offset, first.message),
                extra={"kind": (batch.topic, first.reason)},
            )
            self._output.dead_letters(
                _dead_letter(batch, reject.index, reject.reason, reject.message) for reject in sorted(rejected)
            )
        if late:
            message = f"older than the window of {self._settings.window_s:g} s"
            self._output.late(_dead_letter(batch, index, "late", message) for index in late)
        if rejected or late:
            await self._output.flush()

    def _follow(self, held: OwnedPartition, batch: Batch) -> None:
        """Update lag and unread records of the source after a batch."""
        topic, ledger = batch.topic, held.store.ledger
        tp = Partition(topic, batch.partition)
        behind = max(self._consumer.end(tp) - ledger.source(topic).position, 0)
        held.unread[topic] = behind
        (ledger.lagging.add if behind else ledger.lagging.discard)(topic)
        if not batch.records:
            self._lag.look(held, tp, behind)
            return
        arrived_s = batch.records[0].timestamp / 1000
        if held.oldest_unseen_s is None:
            held.oldest_unseen_s = arrived_s
        self._lag.counted(held, tp, behind, arrived_s)

    async def _is_beyond_gap(self, source: Source, fetched: FetchedBatches) -> bool:
        """Seek back and return True if skipped records are still in Kafka; log skipped records that are lost."""
        if fetched.first <= source.position:
            return False
        tp = Partition(fetched.topic, fetched.partition)
        start = await self._consumer.start(tp)
        if fetched.first > max(start, source.position):
            await self._consumer.seek(tp, max(start, source.position))
            return True
        log_lost_records(tp, source.position, fetched.first - 1)
        return False


def _from_position(batch: Batch, position: int) -> Batch:
    """Drop the records before `position`, which are counted already."""
    if not batch.records or batch.records[0].offset >= position:
        return batch
    return batch._replace(records=[record for record in batch.records if record.offset >= position])


def _dead_letter(batch: Batch, index: int, reason: str, message: str) -> DeadLetter:
    record = batch.records[index]
    origin = Origin(batch.topic, batch.partition, record.offset)
    return DeadLetter(origin, record.key, record.value, reason, message, attempts_of(record.headers))
