"""Record batches of Kafka, left packed until they are counted.

The problem: aiokafka unpacks what it fetches at once, in the consumer's thread. The agent then finds every one of these
small objects in the cache of another core, and that cost a quarter of a worker's time
(docs/reliability.md#fault-unpacking).

How: aiokafka's fetcher is made to see a whole record batch as one record, at the offset of its last. Everything it does
with records (positions, aborted transactions, control batches) then works on batches:

    fetch    │ batch 10–19 │ control 20 │ batch 21–29 │ (compacted: 30) │
    handed   PackedBatch(first=10, offset=19)   PackedBatch(first=20, offset=29)   nothing(30, 30)

The invariant: the `first` of each is one above the `offset` of the one before, so that the ledger's position follows
every offset, also those without a record (docs/reliability.md#fault-transaction-marks). `leave_records_packed` patches
the whole process; `new_async_consumer` calls it, and so does `configured_app`, for the consumer that Faust makes. No
other code makes a consumer of aiokafka. Change together: engine/faust/contract.py lists what is used of aiokafka.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

from stream_app.kafka.corrupt_batches import CorruptBatch, CorruptionCounter
from stream_app.kafka.records import Batch, Record


class PackedBatch:
    """A record batch of Kafka. To aiokafka it is one record, at the offset of its last."""

    __slots__ = ("_batch", "_fetch", "count", "first", "offset", "timestamp")

    def __init__(self, batch: Any, fetch: bytes, *, first: int, offset: int, count: int, timestamp: int) -> None:
        """`fetch`: the bytes that the batch is part of."""
        self._batch = batch
        self._fetch = fetch
        self.first = first
        """From here on these are all the records there are: what was aborted, or marks transactions, is left out."""
        self.offset = offset
        """Of the last one."""
        self.count = count
        """Records in it; fewer where compaction has removed some."""
        self.timestamp = timestamp

    @classmethod
    def of(cls, batch: Any, fetch: bytes) -> "PackedBatch":
        """A batch of aiokafka's, of a fetch from its first offset on."""
        return cls(
            batch,
            fetch,
            first=batch.base_offset,
            offset=batch.next_offset - 1,
            count=batch.last_offset_delta + 1,
            timestamp=batch.max_timestamp,
        )

    @classmethod
    def nothing(cls, first: int, last: int) -> "PackedBatch":
        """Offsets at which there is no record to be read."""
        return cls((), b"", first=first, offset=last, count=0, timestamp=-1)

    def records(self) -> list[Record]:
        """The records, once: then the fetched bytes are released, because Faust keeps the last message of every agent.

        Raises CorruptBatchError.
        """
        try:
            records = list(self._batch)
        except UnicodeDecodeError:
            records = _readable(self._fetch, self._batch.base_offset)
        self._batch, self._fetch = (), b""
        if records and records[0].offset < self.first:  # the fetch began in the middle of the batch
            return [record for record in records if record.offset >= self.first]
        return records


class FetchedBatches(NamedTuple):
    """What was fetched of one partition, in order; there is at least one record batch."""

    topic: str
    partition: int
    packed: Sequence[PackedBatch]

    @property
    def first(self) -> int:
        """The first offset that was asked for, whether there is a record or not."""
        return self.packed[0].first

    def unpacked(self) -> Batch:
        """The records, once."""
        records = list(chain.from_iterable(packed.records() for packed in self.packed))
        return Batch(self.topic, self.partition, self.packed[-1].offset + 1, records)


class _AsOneRecord:
    """A record batch as aiokafka looks at it: checked, skipped or taken as a whole."""

    def __init__(self, batch: Any, fetch: bytes) -> None:
        self._batch = batch
        self._fetch = fetch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[PackedBatch]:
        return iter((PackedBatch.of(self._batch, self._fetch),))

    def __next__(self) -> Any:
        """The record of a control batch: it ends a transaction."""
        return next(self._batch)


class _BatchesAsRecords:
    """The record batches of a fetch; what aiokafka calls MemoryRecords."""

    def __init__(self, fetch: bytes) -> None:
        batches = MemoryRecords(fetch)
        self.has_next = batches.has_next
        self.size_in_bytes = batches.size_in_bytes
        self._next_batch = batches.next_batch
        self._fetch = fetch

    def next_batch(self) -> _AsOneRecord:
        return _AsOneRecord(self._next_batch(), self._fetch)


class _Lenient(bytearray):
    """Bytes whose parts can be decoded whatever they hold."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Lenient(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


def _readable(fetch: bytes, base_offset: int) -> list[Record]:
    """The records of one batch of a fetch, of which aiokafka cannot read the name of a header: it is no UTF-8."""
    batches: Any = _MemoryRecordsPy(fetch)
    while batches.has_next():
        plain: Any = _DefaultRecordBatchPy(bytes(batches._next_slice))  # noqa: SLF001 - aiokafka has no lenient reader
        batches.next_batch()
        if plain.base_offset == base_offset:
            plain._maybe_uncompress()  # noqa: SLF001
            plain._buffer = _Lenient(plain._buffer)  # noqa: SLF001
            return list(plain)
    raise AssertionError("a fetch does not hold the batch that was read from it")


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
                return PackedBatch.of(CorruptBatch(*place), b"")
        except StopIteration:
            pass
        first, self._end = self._end, self.next_fetch_offset
        if first == self._end:
            raise StopIteration
        return PackedBatch.nothing(first, self._end - 1)

    def _consumer_record(self, _tp: Any, packed: PackedBatch) -> PackedBatch:
        packed.first, self._end = self._end, packed.offset + 1
        return packed


def leave_records_packed() -> None:
    """Have every aiokafka consumer of this process hand over `PackedBatch` in place of records."""
    fetcher.MemoryRecords, fetcher.PartitionRecords = _BatchesAsRecords, _LeftPacked
