"""Counting: decodes, checks and credits batches of records and counts them; the rest goes to dead letters."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from time import monotonic, perf_counter

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits, ViewRates, credit, credit_all
from stream_app.core.events.decode import Rejected, decode, implausible
from stream_app.core.events.limits import TimeRange
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.partition_check import PartitionsOf, misplaced
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.group.clocks import ClockDoubtError
from stream_app.core.privacy.pseudonyms import PersonHashes, Pseudonyms
from stream_app.core.state.watermark import Source, horizon_after
from stream_app.engine.context import NEVER, EngineContext, OwnedPartition
from stream_app.engine.duplicate_sampling import duplicates_in
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.liveness.lag import Lag
from stream_app.engine.ownership.lost_records import log_lost_records
from stream_app.engine.set_aside import SetAside
from stream_app.engine.time_synchronization import TimeSynchronization
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Batch, Partition, UnreadableBatch

logger = logging.getLogger(__name__)

_CLOCK_WAIT_S = 0.5
"""Before a batch is read again that this worker's clock cannot judge."""


class BatchCounter:
    """Counts batches of records into the ledger stores of the owned partitions."""

    def __init__(self, context: EngineContext, consumer: SourceConsumer, synchronization: TimeSynchronization) -> None:
        self._context = context
        self._settings = context.settings
        self._owned = context.owned
        self._output = context.output
        self._meter = context.meter
        self._clock = context.clock
        self._clocks = context.clocks
        self._lag = Lag(context)
        self._consumer = consumer
        self._synchronization = synchronization
        settings = context.settings
        self._rates = ViewRates(settings.view_rate, settings.channel_view_rates)
        self._plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
        self._partitions_of: PartitionsOf | None = None
        if settings.partitioner == "murmur2":
            self._partitions_of = partial(partitions_of, partitions=settings.partitions)
        self._erasures = context.erasures
        self._pseudonyms = Pseudonyms(PersonHashes(settings.person_key.reveal())) if settings.pseudonyms else None
        self._set_aside = SetAside(context)
        self._kinds: dict[str, type[Event]] = {settings.posts_topic: Post, settings.shares_topic: Share}

    async def count(self, fetched: FetchedBatches) -> None:
        """Count the fetched records in order. Never raises because of the content of a record."""
        held = self._owned.get(fetched.partition)
        if held is None or held.is_paused:
            return  # the partition has moved; its new owner reads these records again
        try:
            await self._count_fetched(held, fetched)
        except ClockDoubtError:
            await self._read_again_later(held, fetched)
        await self._output.relieve()

    async def _count_fetched(self, held: OwnedPartition, fetched: FetchedBatches) -> None:
        """Count what is not counted yet. Raises ClockDoubtError, and has not counted the batch in doubt then."""
        async with held.lock:
            if await self._is_beyond_gap(held.store.ledger.source(fetched.topic), fetched):
                return
        for batch in fetched.unpacked(self._settings.max_unpacked_bytes):
            async with held.lock:  # in between, others that wait for it have their turn
                if not self._context.holds(held):
                    return
                await self._read(held, batch)

    async def _read(self, held: OwnedPartition, batch: Batch) -> None:
        source = held.store.ledger.source(batch.topic)
        if batch.unreadable is not None:
            await self._reject_unreadable(held, batch, batch.unreadable)
        fresh = _from_position(batch, source.position)
        if skipped := len(batch.records) - len(fresh.records):
            self._meter.read(batch.topic, skipped)
        self._meter.skipped(batch.topic, skipped)
        if fresh.records:
            await self._count(held, fresh)
        if source.position < batch.end:  # transaction markers follow the last record
            source.position = batch.end
            held.published = NEVER
        self._follow(held, batch)

    async def _read_again_later(self, held: OwnedPartition, fetched: FetchedBatches) -> None:
        """Read a batch again after a while, so that other partitions are looked at meanwhile."""
        self._meter.waited_for_clock(fetched.topic)
        logger.error(
            "%s-%d: events are ahead of this worker's clock, which may be wrong: waiting until it is set",
            *(fetched.topic, fetched.partition),
            extra={"kind": (fetched.topic, fetched.partition)},
        )
        await asyncio.sleep(_CLOCK_WAIT_S)
        if self._context.holds(held):
            position = held.store.ledger.source(fetched.topic).position
            await self._consumer.seek(Partition(fetched.topic, fetched.partition), position)

    async def _reject_unreadable(self, held: OwnedPartition, batch: Batch, found: UnreadableBatch) -> None:
        """Count the records of a batch that cannot be read as rejected; one dead letter stands for all of them."""
        source = held.store.ledger.source(batch.topic)
        if found.last < source.position:
            return  # counted already
        await self._set_aside.unreadable(batch, found)
        started = perf_counter()
        records = min(found.records, found.last - source.position + 1)
        nothing = self._credit_nothing(batch.topic)
        late = held.store.ledger.late(batch.topic, nothing.ts_ms)
        applied = held.store.count(batch.topic, batch.end, nothing, late, records)
        held.published = NEVER
        self._meter.read(batch.topic, records)
        self._meter.batch(batch.topic, applied.counts, perf_counter() - started)

    async def _count(self, held: OwnedPartition, batch: Batch) -> None:
        started = perf_counter()
        credits_, indices, rejected = self._credit(held, batch)
        refused = len(batch.records) - len(indices)
        if erased := refused - len(rejected):
            self._meter.erased(erased)
        if len(credits_.ts_ms):
            horizon = partial(horizon_after, held.store.ledger, batch.topic, int(credits_.ts_ms.max()))
            self._synchronization.before_moving(batch.partition, held, horizon)
        late = held.store.ledger.late(batch.topic, credits_.ts_ms)
        # Set records aside before counting. A crash in between sets them aside twice; the other order could lose them.
        await self._set_aside.records(batch, rejected, [indices[place] for place in np.flatnonzero(late).tolist()])
        applied = held.store.count(batch.topic, batch.end, credits_, late, refused)
        now_ms = round(self._clock() * 1000)
        held.duplicates.add(duplicates_in(batch, indices, credits_, applied.duplicate, late, held.store.ledger, now_ms))
        if rebuilds := held.store.ledger.seen.take_rebuilds():
            self._meter.bound_hit("hash_index_rounds", rebuilds)
        self._meter.read(batch.topic, len(batch.records))  # no await in between: the metrics add up at any time
        for bound, hits in held.store.ledger.admission.take_hits().items():
            self._meter.bound_hit(bound, hits)
        self._meter.batch(batch.topic, applied.counts, perf_counter() - started)

    def _credit_nothing(self, topic: str) -> Credits:
        return credit([], self._kinds[topic], self._rates)

    def _credit(self, held: OwnedPartition, batch: Batch) -> tuple[Credits, Sequence[int], list[Rejected]]:
        """Return the credits of the records to count, their indices in the batch, and the records to set aside.

        Records of erased people are in neither: setting them aside would store them again. Raises ClockDoubtError.
        """
        kind = self._kinds[batch.topic]
        keys, values = [record.key for record in batch.records], [record.value for record in batch.records]
        decoded = decode(values, kind, self._settings.max_event_bytes, self._settings.max_id_bytes)
        credits_, (_, indices, rejected) = credit_all(decoded, kind, self._rates, held.store.ledger.hashing)
        known = held.store.ledger.users if self._pseudonyms is None else {}
        bad = list(misplaced(credits_.users, keys, indices, batch.partition, self._partitions_of, known))
        if bad:
            self._meter.misrouted(len(bad))
        bad += implausible(credits_.ts_ms, indices, self._plausible)
        bad += self._ahead(batch, credits_.ts_ms, indices)
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

    def _ahead(self, batch: Batch, ts_ms: Ints, indices: Sequence[int]) -> list[Rejected]:
        """Reject events with timestamps in the future: a single one would move the window past all others.

        Raises ClockDoubtError if this worker's clock may be at fault.
        """
        now_ms, now_s = self._clock() * 1000, monotonic()
        self._clocks.note_record_time(batch.records[-1].timestamp / 1000 - now_ms / 1000, now_s)
        ahead_s = self._settings.max_ahead_s
        if not len(ts_ms) or int(ts_ms.max()) <= now_ms + (ahead_s + self._clocks.least_ahead_s) * 1000:
            return []
        stamped_ms = min(batch.records[index].timestamp for index in indices)
        judged = self._clocks.judge(
            (batch.topic, batch.partition), (ts_ms - now_ms) / 1000, (stamped_ms - now_ms) / 1000, ahead_s, now_s
        )
        return [
            Rejected(
                indices[place],
                "ahead-of-clock",
                f"ts {ts_ms[place]} is over {ahead_s:g} s ahead of this worker's clock: is the producer's clock right?",
            )
            for place in np.flatnonzero(judged).tolist()
        ]

    def _follow(self, held: OwnedPartition, batch: Batch) -> None:
        """Update lag and unread records of the source after a batch."""
        topic, ledger = batch.topic, held.store.ledger
        tp = Partition(topic, batch.partition)
        behind = max(self._consumer.end(tp) - ledger.source(topic).position, 0)
        held.unread[topic] = behind
        if behind:
            ledger.lagging.add(topic)
        elif topic not in held.doubts:
            ledger.lagging.discard(topic)
            ledger.read_up_ms[topic] = ledger.horizon
        if not batch.records:
            self._lag.look(held, tp, behind)
            return
        arrived_s = self._lag.counted(held, tp, behind, batch.records[0].timestamp / 1000)
        if held.oldest_unseen_s is None:
            held.oldest_unseen_s = arrived_s

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
