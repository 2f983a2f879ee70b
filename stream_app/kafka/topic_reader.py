"""Readers of topics for asyncio, without a group: of whole topics, or of partitions from any offset."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException

from stream_app.kafka.async_clients import aiokafka_options, new_async_consumer
from stream_app.kafka.corrupt_batches import CorruptBatchError
from stream_app.kafka.record_batches import OWN_BATCH_BYTES, records_of
from stream_app.kafka.records import Partition, Record, UnreadableBatch
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

READ_WAIT_MS = 200


OnUnreadable = Callable[[Partition, UnreadableBatch], None]
"""Called for records that are left out, because they cannot be read."""


def log_unreadable(place: Partition, found: UnreadableBatch) -> None:
    """Log records that are left out, once for each kind."""
    logger.warning("%s-%d: left out %s", *place, found, extra={"kind": (place.topic, found.reason)})


class TopicReader:
    """Reads whole topics, from their beginning."""

    def __init__(self, consumer: AIOKafkaConsumer, ends: dict[object, int], on_unreadable: OnUnreadable) -> None:
        self._consumer = consumer
        self._ends = ends
        self._on_unreadable = on_unreadable

    async def fetch(self) -> list[tuple[Partition, Iterator[Record]]]:
        """The next records by partition; an empty list after a while without any."""
        fetched = await self._consumer.getmany(timeout_ms=READ_WAIT_MS)
        places = [(Partition(*place), batches) for place, batches in fetched.items()]
        return [
            (place, records_of(batches, OWN_BATCH_BYTES, partial(self._on_unreadable, place)))
            for place, batches in places
        ]

    async def has_caught_up(self) -> bool:
        """Whether everything up to the ends at the start has been fetched."""
        for partition, end in list(self._ends.items()):
            if await self._consumer.position(partition) < end:
                return False
            del self._ends[partition]
        return True


@asynccontextmanager
async def read_topics(
    settings: Settings, *topics: str, on_unreadable: OnUnreadable = log_unreadable
) -> AsyncIterator[TopicReader]:
    """Read topics of the tracker for the length of the block. Raises KafkaError."""
    async with reader(aiokafka_options(settings), *topics) as consumer:
        yield TopicReader(consumer, await consumer.end_offsets(consumer.assignment()), on_unreadable)


@asynccontextmanager
async def reader(connection: Mapping[str, Any], *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group that begins at the beginning, started and stopped. Raises KafkaError."""
    consumer = new_async_consumer(connection, *topics)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


class Bounds(NamedTuple):
    """Offsets of a partition: the first record that Kafka has, and what follows the last."""

    first: int
    end: int


class Partitions:
    """Reads partitions of one topic, each from the offset of its last `seek`."""

    def __init__(self, consumer: Any, places: Sequence[TopicPartition], room: int) -> None:
        """`room`: bytes that a record batch may have without compression."""
        self._consumer = consumer
        self._room = room
        self._places = {place.partition: place for place in places}

    async def bounds(self) -> dict[int, Bounds]:
        """By partition, the offsets that Kafka has now. Raises KafkaError."""
        places = list(self._places.values())
        first, ends = await self._consumer.beginning_offsets(places), await self._consumer.end_offsets(places)
        return {number: Bounds(first[place], ends[place]) for number, place in self._places.items()}

    async def offset_at(self, partition: int, time_ms: int) -> int | None:
        """The first offset with a record of that time or later; None where there is none. Raises KafkaError."""
        place = self._places[partition]
        found = (await self._consumer.offsets_for_times({place: time_ms})).get(place)
        return None if found is None else found.offset

    def seek(self, partition: int, offset: int) -> None:
        """Read on from there."""
        self._consumer.seek(self._places[partition], offset)

    async def position(self, partition: int) -> int:
        """The offset of the next record."""
        reached: int = await self._consumer.position(self._places[partition])
        return reached

    async def fetch(self) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        """The next records by partition, a piece of a batch at a time; none after a while without any."""
        fetched = await self._consumer.getmany(timeout_ms=READ_WAIT_MS)
        for place, batches in fetched.items():
            for packed in batches:
                try:
                    for piece in packed.pieces(self._room):
                        if isinstance(piece, UnreadableBatch):
                            log_unreadable(Partition(*place), piece)
                        else:
                            yield place.partition, piece
                except CorruptBatchError as error:
                    raise CorruptRecordException(str(error)) from error


OpenPartitions = Callable[[str, Sequence[int]], AbstractAsyncContextManager[Partitions]]
"""`partitions` of some settings."""


@asynccontextmanager
async def partitions(settings: Settings, topic: str, numbers: Sequence[int]) -> AsyncIterator[Partitions]:
    """Read some partitions of a topic for the length of the block. Raises KafkaError."""
    consumer = new_async_consumer(
        aiokafka_options(settings), isolation_level="read_committed", fetch_max_wait_ms=READ_WAIT_MS
    )
    try:
        await consumer.start()
        places = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(places)
        yield Partitions(consumer, places, settings.max_unpacked_bytes)
    finally:
        await consumer.stop()
