"""Follows the flags on Kafka, without a group, into the log of the last ones."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from heapq import merge

from aiokafka.errors import KafkaError

from stream_app.core.messages import Flag, flag_in
from stream_app.kafka.records import Record
from stream_app.kafka.topic_reader import OpenPartitions, Partitions
from stream_app.serving.api.flags.flag_log import KEPT, FlagLog

logger = logging.getLogger(__name__)

_RETRY_S = 2.0


class FlagReader:
    """Reads the last flags, and then every one that comes."""

    def __init__(
        self,
        topic: str,
        partitions: int,
        log: FlagLog,
        open_partitions: OpenPartitions,
        seen: Callable[[Flag], None] = lambda _flag: None,
    ) -> None:
        """`seen` is called for each flag that comes, once; not for those that are there at the start."""
        self._topic = topic
        self._partitions = partitions
        self._log = log
        self._open = open_partitions
        self._seen = seen

    async def run(self) -> None:
        """Read until cancelled; connection trouble is retried."""
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                logger.warning("reading %s failed, trying again: %s", self._topic, error)
                await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        async with self._open(self._topic, range(self._partitions)) as topic:
            await self._take_up(topic, await self._begin(topic))
            self._log.is_complete.set()
            while True:
                async for partition, records in topic.fetch():
                    self._add(partition, records)

    async def _begin(self, topic: Partitions) -> dict[int, int]:
        """Begin so far before the end that the log is filled, or go on; returns the ends of what is there."""
        reached, bounds = self._log.offsets, await topic.bounds()
        wanted = {number: reached.get(number, there.end - KEPT // len(bounds)) for number, there in bounds.items()}
        starts = {number: max(there.first, wanted[number]) for number, there in bounds.items()}
        for number, start in starts.items():
            topic.seek(number, start)
        if not reached:
            self._log.begin(starts, (number for number, start in starts.items() if start > bounds[number].first))
        return {number: there.end for number, there in bounds.items() if there.end > starts[number]}

    async def _take_up(self, topic: Partitions, ends: dict[int, int]) -> None:
        """Read what is there, and put it in the order in which it was detected: that of each partition stays."""
        there: dict[int, list[tuple[int, int, Flag, bytes]]] = {number: [] for number in ends}
        while ends:
            async for partition, records in topic.fetch():
                there.setdefault(partition, []).extend((partition, *found) for found in _flags(records))
            for number in list(ends):
                if await topic.position(number) >= ends[number]:
                    del ends[number]
        for found in merge(*there.values(), key=lambda found: (found[2].detected_at, found[0])):
            self._take(*found)

    def _add(self, partition: int, records: Iterable[Record]) -> None:
        for offset, flag, json in _flags(records):
            self._take(partition, offset, flag, json)

    def _take(self, partition: int, offset: int, flag: Flag, json: bytes) -> None:
        is_new = self._log.add(partition, offset, flag, json)
        if is_new and self._log.is_complete.is_set():
            self._seen(flag)


def _flags(records: Iterable[Record]) -> Iterable[tuple[int, Flag, bytes]]:
    """The flags in some records; what is not one is passed over."""
    for record in records:
        if (flag := flag_in(record.value)) is not None:
            yield record.offset, flag, record.value or b""
