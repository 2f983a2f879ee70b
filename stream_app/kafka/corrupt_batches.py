"""Corrupt record batches: fetched again, as the checksum may have broken on the way; reported where they stay so."""

import logging
from collections.abc import Iterator
from typing import Any

from aiokafka import TopicPartition

logger = logging.getLogger(__name__)

_FETCHES = 3


class CorruptBatchError(Exception):
    """A record batch is not what Kafka once took in."""

    def __init__(self, tp: TopicPartition, offset: int) -> None:
        place = f"{tp.topic}-{tp.partition}"
        super().__init__(
            f"{place} cannot be read at offset {offset}: however often it is fetched, the check sum of the record "
            "batch there is wrong, so Kafka's copy on the broker that leads the partition is damaged. Have another "
            "replica lead it, or restore it, and start again. Posts and shares can be given up: kafka-dump-log.sh "
            "shows where the next batch begins, kafka-delete-records.sh deletes what is before it, uncounted"
        )


class CorruptionCounter:
    """Knows how often the same batch came damaged."""

    def __init__(self) -> None:
        self._came: dict[TopicPartition, tuple[int, int]] = {}

    def lasts(self, tp: TopicPartition, offset: int) -> bool:
        """Whether a batch that came damaged has to be taken for damaged in Kafka: no fetch brings another."""
        before, times = self._came.get(tp, (offset, 0))
        times = times + 1 if before == offset else 1
        self._came[tp] = (offset, times)
        if times >= _FETCHES:
            return True
        logger.warning("%s-%d: the record batch at offset %d came damaged, fetching it again", *tp, offset)
        return False


class CorruptBatch:
    """Stands in the place of a corrupt record batch: reading its records raises CorruptBatchError."""

    last_offset_delta = max_timestamp = 0

    def __init__(self, tp: TopicPartition, offset: int) -> None:
        self._tp = tp
        self.base_offset, self.next_offset = offset, offset + 1

    def __iter__(self) -> Iterator[Any]:
        raise CorruptBatchError(self._tp, self.base_offset)
