"""Records as Kafka packed them: unpacked only where they are counted.

aiokafka unpacks what it fetches at once, in the consumer's thread. The agent then finds every one of these small
objects in the cache of another core, and that cost a quarter of a worker's time.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from aiokafka.consumer import fetcher

from stream_app.engine.ports import Batch, Record


class Packed:
    """A record batch of Kafka. To aiokafka it is one record, at the offset of its last."""

    __slots__ = ("_batch", "count", "first", "offset", "timestamp")

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.count: int = batch.last_offset_delta + 1
        """Records in it; fewer where compaction has removed some."""
        self.offset: int = batch.next_offset - 1
        self.first: int = batch.base_offset
        """From here on these are all the records there are: what was aborted, or marks transactions, is left out."""
        self.timestamp: int = batch.max_timestamp

    def records(self) -> list[Record]:
        """The records, once: what was fetched is let go, because Faust holds on to the last message of every agent."""
        records = list(self._batch)
        self._batch = ()
        if records and records[0].offset < self.first:  # the fetch began in the middle of the batch
            return [record for record in records if record.offset >= self.first]
        return records


class Fetched(NamedTuple):
    """What was fetched of one partition, in order; there is at least one record batch."""

    topic: str
    partition: int
    packed: Sequence[Packed]

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

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Packed]:
        return iter((Packed(self._batch),))

    def __next__(self) -> Any:
        """The record of a control batch: it ends a transaction."""
        return next(self._batch)


class _BatchesAsRecords:
    """The record batches of a fetch."""

    def __init__(self, batches: Any) -> None:
        self.has_next = batches.has_next
        self._next_batch = batches.next_batch

    def next_batch(self) -> _AsOneRecord:
        return _AsOneRecord(self._next_batch())


class _LeftPacked(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types here
    def __init__(self, tp: Any, batches: Any, *settings: Any) -> None:
        super().__init__(tp, _BatchesAsRecords(batches), *settings)
        self._end = self.next_fetch_offset

    def _consumer_record(self, _tp: Any, packed: Packed) -> Packed:
        packed.first, self._end = self._end, packed.offset + 1
        return packed


def leave_records_packed() -> None:
    """Have every aiokafka consumer of this process hand over `Packed` in place of records."""
    fetcher.PartitionRecords = _LeftPacked
