"""kafka-python's consumer, made to read every codec, within bounds, and to pass over unreadable batches.

The problem: kafka-python reads snappy, lz4 and zstd only with three more packages, unpacks without a bound, and raises
again and again for a batch that it cannot read. So one producer could break every command.

How: the fetcher of a consumer is given the batches of this package in place of its own. `new_consumer` does it.
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

    def __init__(self, batch: AnyBatch, place: str, room: int) -> None:
        self._batch = batch
        self._place = place
        self._room = room

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
                *(self._place, self._batch.last_offset, len(self._batch.raw), error),
                extra={"kind": (self._place, error.reason)},
            )


class _CheckedFetch(FetchedBytes):
    """The batches of a fetch; what kafka-python calls MemoryRecords."""

    def __init__(self, fetched: bytes, place: str, room: int) -> None:
        super().__init__(fetched)
        self._room = room
        self._place = place

    def next_batch(self) -> Any:
        try:
            batch = super().next_batch()
        except CorruptRecordException as error:
            raise CorruptRecordError(f"{self._place}: {error}") from error
        return batch and _CheckedBatch(batch, self._place, self._room)


class CheckedRecords(fetcher.Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python has no types
    """The records of a fetch, from batches of this package; `room`: bytes of a batch without compression."""

    def __init__(self, fetch_offset: int, tp: Any, records: Any, *, room: int, **options: Any) -> None:
        fetched = bytes(records._buffer)  # noqa: SLF001 - it has no public access to its bytes
        checked = _CheckedFetch(fetched, f"{tp.topic}-{tp.partition}", room)
        super().__init__(fetch_offset, tp, checked, **options)


def read_all_batches(consumer: Any, room: int) -> None:
    """Have a consumer read so; `room`: bytes of a batch without compression."""
    consumer._fetcher.PartitionRecords = partial(CheckedRecords, room=room)  # noqa: SLF001 - there is no option for it
