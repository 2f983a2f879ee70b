"""kafka-python's consumer, made to read every codec, within bounds, and to pass over unreadable batches.

The problem: kafka-python reads snappy, lz4 and zstd only with three more packages, unpacks without a bound, and raises
again and again for a batch that it cannot read. So one producer could break every command.

How: its fetcher is given the batches of this package in place of its own. `read_all_batches` patches the whole process;
`new_consumer` calls it.
"""

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

from aiokafka.errors import CorruptRecordException
from kafka.consumer import fetcher
from kafka.errors import CorruptRecordError

from stream_app.kafka.format.compression import UnreadableError
from stream_app.kafka.format.fetch import AnyBatch, FetchedBytes
from stream_app.kafka.records import Record

logger = logging.getLogger(__name__)

_ABORT_MARKER = b"\0\0\0\0"


class _CheckedRecord:
    """A record with the attributes of kafka-python's."""

    __slots__ = ("headers", "key", "offset", "timestamp", "value")
    timestamp_type = 0
    checksum = None

    def __init__(self, record: Record) -> None:
        self.offset, self.timestamp = record.offset, record.timestamp
        self.key, self.value, self.headers = record.key, record.value, list(record.headers)

    @property
    def size_in_bytes(self) -> int:
        """About its size on Kafka."""
        return len(self.key or b"") + len(self.value or b"")

    def validate_crc(self) -> bool:
        """The batch has been checked."""
        return True


class _ControlMark:
    """What ends a transaction."""

    def __init__(self, key: bytes) -> None:
        self.abort = key.startswith(_ABORT_MARKER)


class _CheckedBatch:
    """A batch with the attributes of kafka-python's."""

    def __init__(self, batch: AnyBatch, room: int) -> None:
        self._batch = batch
        self._room = room
        self.place: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    @property
    def leader_epoch(self) -> int:
        """The term of the broker that has written it."""
        return int(self._batch.head.leader_epoch)  # type: ignore[union-attr]  # asked for in version 2 only

    def has_producer_id(self) -> bool:
        """Whether it may be part of a transaction."""
        return (self._batch.producer_id or -1) >= 0

    def __next__(self) -> _ControlMark:
        return _ControlMark(self._batch.control_key())  # type: ignore[union-attr]  # asked for in version 2 only

    def __iter__(self) -> Iterator[_CheckedRecord]:
        try:
            for records in self._batch.slices(self._room):
                yield from map(_CheckedRecord, records)
        except UnreadableError as error:
            logger.warning(
                "%s: passed over unreadable records up to offset %d, of a record batch of %d bytes: %s",
                *(self.place, self._batch.last_offset, len(self._batch.raw), error),
                extra={"kind": (self.place, error.reason)},
            )


class _CheckedFetch(FetchedBytes):
    """The batches of a fetch; what kafka-python calls MemoryRecords."""

    def __init__(self, fetched: bytes | None, room: int) -> None:
        super().__init__(bytes(fetched or b""))
        self._room = room
        self.place: Any = None

    def next_batch(self) -> Any:
        try:
            batch = super().next_batch()
        except CorruptRecordException as error:
            raise CorruptRecordError(f"{self.place}: {error}") from error
        if batch is None:
            return None
        checked = _CheckedBatch(batch, self._room)
        checked.place = self.place
        return checked


class _PlacedRecords(fetcher.Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """The records of a fetch, which know of which partition they are."""

    def __init__(self, fetch_offset: int, tp: Any, records: Any, **options: Any) -> None:
        records.place = f"{tp.topic}-{tp.partition}"
        super().__init__(fetch_offset, tp, records, **options)


def read_all_batches(room: int) -> None:
    """Have every kafka-python consumer of this process read so; `room`: bytes of a batch without compression."""
    fetcher.MemoryRecords = partial(_CheckedFetch, room=room)
    fetcher.Fetcher.PartitionRecords = _PlacedRecords
