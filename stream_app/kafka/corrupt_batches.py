"""Corrupt record batches: fetched again, in case only the fetch was damaged; an error if they are corrupt on Kafka."""

import logging
from collections.abc import Iterator
from typing import Any

from aiokafka import TopicPartition

logger = logging.getLogger(__name__)

_FETCHES = 3


class CorruptBatchError(Exception):
    """A record batch on Kafka fails its checksum."""

    def __init__(self, tp: TopicPartition, offset: int) -> None:
        place = f"{tp.topic}-{tp.partition}"
        super().__init__(
            f"{place} cannot be read at offset {offset}: the record batch there fails its checksum in every fetch, so "
            "the copy of the broker that leads the partition is corrupt. Make another replica the leader, or restore "
            "the copy, and start again. Or give up these posts or shares: kafka-dump-log.sh shows where the next batch "
            "begins, and kafka-delete-records.sh deletes the records before it, which are then not counted"
        )


class CorruptionCounter:
    """Counts how often in a row a batch was fetched corrupt."""

    def __init__(self) -> None:
        self._fetched: dict[TopicPartition, tuple[int, int]] = {}

    def lasts(self, tp: TopicPartition, offset: int) -> bool:
        """Count a corrupt fetch; whether there were so many that the batch must be corrupt on Kafka."""
        before, times = self._fetched.get(tp, (offset, 0))
        times = times + 1 if before == offset else 1
        self._fetched[tp] = (offset, times)
        if times >= _FETCHES:
            return True
        logger.warning("%s-%d: the record batch at offset %d was fetched corrupt, fetching it again", *tp, offset)
        return False


class CorruptBatch:
    """Replaces a corrupt record batch: reading its records raises CorruptBatchError."""

    count = span = 1
    max_timestamp = unpacked_bytes = 0
    raw = b""

    def __init__(self, tp: TopicPartition, offset: int) -> None:
        self._tp = tp
        self.base_offset, self.next_offset = offset, offset + 1

    def slices(self, _room: int) -> Iterator[Any]:
        raise CorruptBatchError(self._tp, self.base_offset)
