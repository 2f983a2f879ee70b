"""Record batches of Kafka, left packed until they are counted, and unpacked within bounds.

The problem: aiokafka unpacks what it fetches at once, in the consumer's thread. The agent then finds every one of these
small objects in the cache of another core, and that cost a quarter of a worker's time
(docs/reliability.md#fault-unpacking). It also unpacks without a bound, and ends the consumer for a batch that it cannot
read, again and again (docs/reliability.md#fault-unreadable-batch).

How: aiokafka's fetcher is made to see a whole record batch as one record, at the offset of its last. Everything it does
with records (positions, aborted transactions, control batches) then works on batches:

    fetch    │ batch 10–19 │ control 20 │ batch 21–29 │ (compacted: 30) │
    handed   PackedBatch(first=10, offset=19)   PackedBatch(first=20, offset=29)   nothing(30, 30)

The invariant: the `first` of each is one above the `offset` of the one before, so that the ledger's position follows
every offset, also those without a record (docs/reliability.md#fault-transaction-marks). What of a batch cannot be read,
although its check sum is right, is handed over as an `UnreadableBatch`: its producer has made it so.

`leave_records_packed` patches the whole process; `new_async_consumer` calls it, and so does `configured_app`, for the
consumer that Faust makes. No other code makes a consumer of aiokafka. Change together: engine/faust/contract.py lists
what is used of aiokafka.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from stream_app.kafka.corrupt_batches import CorruptBatch, CorruptionCounter
from stream_app.kafka.format.batch import SLICE_RECORDS
from stream_app.kafka.format.compression import MALFORMED, UnreadableError
from stream_app.kafka.format.fetch import AnyBatch, FetchedBytes
from stream_app.kafka.records import Batch, Record, UnreadableBatch

OWN_BATCH_BYTES = 64_000_000
"""Most bytes of a record batch, without compression, in topics that only the tracker writes: far above what it does."""
TOGETHER_BYTES = 8_000_000
TOGETHER_RECORDS = 2 * SLICE_RECORDS
"""Of record batches that are counted together: with more bytes or records they are counted one after the other."""
_ABORT_MARKER = b"\0\0\0\0"
"""The key of a control record: version 0, type 0."""


class _NoRecords:
    """A batch that has been read, or never had records."""

    base_offset = count = unpacked_bytes = 0
    raw = b""

    def slices(self, _room: int) -> Iterator[Sequence[Record]]:
        return iter(())


_NO_RECORDS = _NoRecords()


class PackedBatch:
    """A record batch of Kafka. To aiokafka it is one record, at the offset of its last."""

    __slots__ = ("_batch", "count", "first", "offset", "timestamp", "unpacked_bytes")

    def __init__(self, batch: Any, *, first: int, offset: int, count: int, timestamp: int) -> None:
        self._batch = batch
        self.first = first
        """From here on these are all the records there are: what was aborted, or marks transactions, is left out."""
        self.offset = offset
        """Of the last one."""
        self.count = count
        """Records in it; fewer where compaction has removed some."""
        self.timestamp = timestamp
        self.unpacked_bytes = 0
        """Known once its first piece is read."""

    @classmethod
    def of(cls, batch: Any) -> "PackedBatch":
        """A batch of a fetch, from its first offset on."""
        return cls(
            batch,
            first=batch.base_offset,
            offset=batch.next_offset - 1,
            count=batch.span,
            timestamp=batch.max_timestamp,
        )

    @classmethod
    def nothing(cls, first: int, last: int) -> "PackedBatch":
        """Offsets at which there is no record to be read."""
        return cls(_NO_RECORDS, first=first, offset=last, count=0, timestamp=-1)

    def pieces(self, room: int) -> Iterator[Sequence[Record] | UnreadableBatch]:
        """Yield the records, once, a slice at a time; what of them cannot be read comes last.

        Then the fetched bytes are released, because Faust keeps the last message of every agent. `room`: bytes that the
        batch may have without compression. Raises CorruptBatchError.
        """
        batch, self._batch = self._batch, _NO_RECORDS
        reached, read = batch.base_offset, 0
        try:
            for records in batch.slices(room):
                self.unpacked_bytes = batch.unpacked_bytes
                in_order = _in_order(records, reached, self.offset)
                read += len(in_order)
                if in_order:
                    reached = in_order[-1].offset + 1
                    yield self._from_first(in_order)
                if len(in_order) < len(records):
                    raise UnreadableError(MALFORMED, "the offsets of its records do not increase")
        except UnreadableError as error:
            first, claimed = max(reached, self.first), batch.count - read
            left = self.offset - first + 1
            if left > 0:
                count = min(left, claimed) if claimed > 0 else left
                yield UnreadableBatch(first, self.offset, count, len(batch.raw), error.reason, str(error))

    def _from_first(self, records: Sequence[Record]) -> Sequence[Record]:
        if records[0].offset >= self.first:
            return records
        return [record for record in records if record.offset >= self.first]  # the fetch began in the middle


class FetchedBatches(NamedTuple):
    """What was fetched of one partition, in order; there is at least one record batch."""

    topic: str
    partition: int
    packed: Sequence[PackedBatch]

    @property
    def first(self) -> int:
        """The first offset that was asked for, whether there is a record or not."""
        return self.packed[0].first

    @property
    def end(self) -> int:
        """The offset after the last."""
        return self.packed[-1].offset + 1

    @property
    def records(self) -> int:
        """About how many there are."""
        return sum(packed.count for packed in self.packed)

    def followed_by(self, others: "FetchedBatches") -> "FetchedBatches":
        """Return both as one; the others begin where these end."""
        return self._replace(packed=[*self.packed, *others.packed])

    def unpacked(self, room: int) -> Iterator[Batch]:
        """Yield the records, once: in one batch, unless they are many or large, or some of them cannot be read.

        `room`: bytes that a record batch may have without compression. Raises CorruptBatchError.
        """
        records: list[Record] = []
        size = 0
        for packed in self.packed:
            for number, piece in enumerate(packed.pieces(room)):
                if isinstance(piece, UnreadableBatch):
                    if records:
                        yield Batch(self.topic, self.partition, piece.first, records)
                        records, size = [], 0
                    yield Batch(self.topic, self.partition, piece.last + 1, [], piece)
                    continue
                records += piece
                size += 0 if number else packed.unpacked_bytes
                if records and (size > TOGETHER_BYTES or len(records) >= TOGETHER_RECORDS):
                    yield Batch(self.topic, self.partition, records[-1].offset + 1, records)
                    records, size = [], size - TOGETHER_BYTES
        yield Batch(self.topic, self.partition, self.end, records)


def records_of(
    batches: Iterable[PackedBatch], room: int, on_unreadable: Callable[[UnreadableBatch], None]
) -> Iterator[Record]:
    """Yield the records of some batches; the unreadable part is handed to `on_unreadable`. Raises CorruptBatchError."""
    for packed in batches:
        for piece in packed.pieces(room):
            if isinstance(piece, UnreadableBatch):
                on_unreadable(piece)
            else:
                yield from piece


def _in_order(records: Sequence[Record], least: int, last: int) -> Sequence[Record]:
    """Return the first records, up to one whose offset is not above the one before, or not of this batch."""
    offsets = np.array([record.offset for record in records])
    if least <= offsets[0] and offsets[-1] <= last and np.all(offsets[1:] > offsets[:-1]):
        return records
    for number, record in enumerate(records):
        if not least <= record.offset <= last:
            return records[:number]
        least = record.offset + 1
    return records


class _AsOneRecord:
    """A record batch as aiokafka looks at it: checked, skipped or taken as a whole."""

    def __init__(self, batch: AnyBatch) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[PackedBatch]:
        return iter((PackedBatch.of(self._batch),))


class _BatchesAsRecords(FetchedBytes):
    """The record batches of a fetch; what aiokafka calls MemoryRecords."""

    def next_batch(self) -> Any:
        batch = super().next_batch()
        return None if batch is None else _AsOneRecord(batch)


class _LeftPacked(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types here
    _corrupt = CorruptionCounter()
    _records_iterator: Any

    def __init__(self, tp: Any, batches: Any, *settings: Any) -> None:
        super().__init__(tp, batches, *settings)
        self._end = self.next_fetch_offset

    def __next__(self) -> PackedBatch:
        """The next record batch; at the end the offsets after the last one, if there are any without a record.

        A corrupt batch ends the fetch, as if no more had come; one that stays corrupt is handed over as such. Raised,
        it would be an error of the whole fetch: of what came before it, and of other partitions.
        """
        try:
            if self._records_iterator is not None:
                found: PackedBatch = super().__next__()
                return found
        except CorruptRecordException:
            place = (self._tp, self.next_fetch_offset)
            if self._end == self.next_fetch_offset and self._corrupt.lasts(*place):  # else marks before it come first
                return PackedBatch.of(CorruptBatch(*place))
        except StopIteration:
            pass
        first, self._end = self._end, self.next_fetch_offset
        if first == self._end:
            raise StopIteration
        return PackedBatch.nothing(first, self._end - 1)

    def _consumer_record(self, _tp: Any, packed: PackedBatch) -> PackedBatch:
        packed.first, self._end = self._end, packed.offset + 1
        return packed

    def _contains_abort_marker(self, batch: Any) -> bool:
        return bool(batch.control_key().startswith(_ABORT_MARKER))


def leave_records_packed() -> None:
    """Have every aiokafka consumer of this process hand over `PackedBatch` in place of records."""
    fetcher.MemoryRecords, fetcher.PartitionRecords = _BatchesAsRecords, _LeftPacked
