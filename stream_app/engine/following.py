"""Reading whole topics, from the beginning, without a group: what there is, and what comes."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer

from stream_app.connections.kafka import aiokafka_options
from stream_app.settings import Settings


class Following:
    """Topics that are being read."""

    def __init__(self, consumer: AIOKafkaConsumer, ends: dict[object, int]) -> None:
        self._consumer = consumer
        self._ends = ends

    async def fetch(self) -> list[tuple[str, Iterator[Any]]]:
        """The next records by topic; none after some time without any."""
        fetched = await self._consumer.getmany(timeout_ms=200)
        return [
            (place.topic, chain.from_iterable(packed.records() for packed in batches))
            for place, batches in fetched.items()
        ]

    async def has_caught_up(self) -> bool:
        """Whether everything that was there at the start has been fetched."""
        for partition, end in list(self._ends.items()):
            if await self._consumer.position(partition) < end:
                return False
            del self._ends[partition]
        return True


@asynccontextmanager
async def following(settings: Settings, *topics: str) -> AsyncIterator[Following]:
    """Read the topics for the length of the block. Raises KafkaError."""
    async with reader(aiokafka_options(settings), *topics) as consumer:
        yield Following(consumer, await consumer.end_offsets(consumer.assignment()))


@asynccontextmanager
async def reader(client: Mapping[str, Any], *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group that begins at the beginning; `client`: how Kafka is reached. Raises KafkaError."""
    consumer = AIOKafkaConsumer(
        *topics, **client, auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=100
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
