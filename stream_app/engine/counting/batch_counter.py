"""The batch counter: counts batches of records up to the end of a step; the rest goes to dead letters, or is held."""

import asyncio
import logging
from functools import partial
from time import perf_counter

import numpy as np

from stream_app.core.group.clocks import ClockDoubtError
from stream_app.core.state.watermark import Source, horizon_after
from stream_app.engine.context import NEVER, EngineContext, OwnedPartition
from stream_app.engine.counting.crediting import BatchCrediting
from stream_app.engine.counting.duplicate_sampling import duplicates_in
from stream_app.engine.counting.held_batches import CreditedBatch, HeldBatches
from stream_app.engine.counting.record_checks import RecordChecks
from stream_app.engine.counting.retracting import Retracting
from stream_app.engine.counting.set_aside import SetAside
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.influence.credit_receiving import CreditReceiving
from stream_app.engine.liveness.lag import Lag
from stream_app.engine.ownership.lost_records import log_lost_records
from stream_app.engine.time_synchronization import TimeSynchronization
from stream_app.kafka.corrupt_batches import CorruptBatchError
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Batch, Partition, UnreadableBatch

logger = logging.getLogger(__name__)

_CLOCK_WAIT_S = 0.5
"""Before a batch is read again that this worker's clock cannot judge."""


class BatchCounter:
    """Counts batches of records into the ledger stores of the owned partitions."""

    def __init__(self, context: EngineContext, consumer: SourceConsumer, synchronization: TimeSynchronization) -> None:
        self._context = context
        self._limit = context.limit
        self._settings = context.settings
        self._owned = context.owned
        self._output = context.output
        self._meter = context.meter
        self._clock = context.clock
        self._lag = Lag(context)
        self._consumer = consumer
        self._synchronization = synchronization
        checks = RecordChecks(context)
        self._crediting = BatchCrediting(context, checks)
        self._set_aside = SetAside(context)
        self._retracting = Retracting(context, checks, self._set_aside)
        self._receiving = CreditReceiving(context, checks, self._set_aside)

    async def count(self, batches: FetchedBatches | HeldBatches) -> HeldBatches | None:
        """Count records in order, up to the end of the step; return what is held, None for nothing.

        Never raises because of the content of a record. Raises CorruptBatchError for a batch that Kafka has damaged.
        """
        held = self._owned.get(batches.partition)
        if held is None or held.is_paused:
            return None  # the partition has moved; its new owner reads these records again
        fetched = batches if isinstance(batches, FetchedBatches) else batches.fetched
        try:
            left = await self._count_up_to_end(held, batches)
        except ClockDoubtError:
            await self._read_again_later(held, fetched)
            left = None
        except CorruptBatchError:
            await self._output.flush()  # the worker ends now, and else each restart would count the batches before it
            raise
        await self._output.relieve()
        return left

    async def _count_up_to_end(self, held: OwnedPartition, batches: FetchedBatches | HeldBatches) -> HeldBatches | None:
        """Count what is not counted yet. Raises ClockDoubtError, and has not counted the batch in doubt then."""
        if isinstance(batches, FetchedBatches):
            async with held.lock:
                if await self._is_beyond_gap(held.store.ledger.source(batches.topic), batches):
                    return None
            batches = HeldBatches(batches, batches.unpacked(self._settings.max_unpacked_bytes))
        while True:
            async with held.lock:  # in between, others that wait for it have their turn
                if not self._context.holds(held):
                    return None
                if batches.credited is None:
                    batch = next(batches.unpacked, None)
                    if batch is None:
                        return None
                    batches.credited = await self._read(held, batch)
                    continue
                batches.credited, is_held = await self._count_credited(held, batches.credited)
                if is_held:
                    return batches

    async def _read(self, held: OwnedPartition, batch: Batch) -> CreditedBatch | None:
        """Decode a batch; None if there is nothing in it to be counted."""
        source = held.store.ledger.source(batch.topic)
        if batch.unreadable is not None:
            await self._reject_unreadable(held, batch, batch.unreadable)
        fresh = _from_position(batch, source.position)
        if skipped := len(batch.records) - len(fresh.records):
            self._meter.read(batch.topic, skipped)
        self._meter.skipped(batch.topic, skipped)
        if fresh.records and batch.topic in self._settings.input_topics:
            return self._crediting.credit(held, fresh)
        if fresh.records:
            what = self._receiving if batch.topic == self._settings.credits_topic else self._retracting
            await what.count(held, fresh)
        self._come_to_end(held, batch)
        return None

    async def _count_credited(self, held: OwnedPartition, credited: CreditedBatch) -> tuple[CreditedBatch | None, bool]:
        """Count a batch up to the end of the step. Returns what is left of it, and whether that is held."""
        if credited.basis != self._crediting.basis(held):
            credited = self._crediting.credit(held, credited.uncounted)
        now, later = credited.split(self._limit.end_ms)
        if now is not None:
            await self._count(held, now)
            self._come_to_end(held, now.batch)
        return later, later is not None

    def _come_to_end(self, held: OwnedPartition, batch: Batch) -> None:
        source = held.store.ledger.source(batch.topic)
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
        nothing = self._crediting.nothing()
        late = held.store.ledger.late(batch.topic, nothing.ts_ms)
        applied = held.store.count(batch.topic, batch.end, nothing, late, records)
        held.published = NEVER
        self._meter.read(batch.topic, records)
        self._meter.batch(batch.topic, applied.counts, perf_counter() - started)

    async def _count(self, held: OwnedPartition, credited: CreditedBatch) -> None:
        started = perf_counter()
        batch, credits_, indices, rejected = credited[:4]
        refused = len(batch.records) - len(indices)
        if credited.erased:
            self._meter.erased(credited.erased)
        if len(credits_.ts_ms):
            horizon = partial(horizon_after, held.store.ledger, batch.topic, int(credits_.ts_ms.max()))
            self._synchronization.before_moving(batch.partition, held, horizon)
        late = held.store.ledger.late(batch.topic, credits_.ts_ms)
        # Set records aside before counting. A crash in between sets them aside twice; the other order could lose them.
        await self._set_aside.records(batch, rejected, [indices[place] for place in np.flatnonzero(late).tolist()])
        applied = held.store.count(batch.topic, batch.end, credits_, late, refused, credited.own)
        now_ms = round(self._clock() * 1000)
        held.duplicates.add(duplicates_in(batch, indices, credits_, applied.duplicate, late, held.store.ledger, now_ms))
        if rebuilds := held.store.ledger.seen.take_rebuilds():
            self._meter.bound_hit("hash_index_rounds", rebuilds)
        self._meter.read(batch.topic, len(batch.records))  # no await in between: the metrics add up at any time
        for bound, hits in held.store.ledger.admission.take_hits().items():
            self._meter.bound_hit(bound, hits)
        self._meter.batch(batch.topic, applied.counts, perf_counter() - started)

    def _follow(self, held: OwnedPartition, batch: Batch) -> None:
        """Update lag and unread records of the source after a batch."""
        topic, ledger = batch.topic, held.store.ledger
        tp = Partition(topic, batch.partition)
        behind = max(self._consumer.end(tp) - ledger.source(topic).position, 0)
        held.unread[topic] = behind
        if topic not in self._settings.input_topics:
            pass  # retractions and credits say nothing about time
        elif behind:
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
