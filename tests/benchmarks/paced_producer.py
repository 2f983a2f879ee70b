"""Produces events at a rate, in the small record batches that many producers make together."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from aiokafka import AIOKafkaProducer

from stream_app.kafka.async_clients import aiokafka_options
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.bulk_producer import partition_of

_TURNS_A_S = 20


def produce_at_rate(events: Iterable[RecordedEvent], rate: float, seconds: float, settings: Settings) -> int:
    """Write events for some seconds, `rate` of them in each; returns how many. Raises KafkaError."""
    return asyncio.run(_produce(iter(events), rate, seconds, settings))


async def _produce(events: Iterator[RecordedEvent], rate: float, seconds: float, settings: Settings) -> int:
    producer = AIOKafkaProducer(**aiokafka_options(settings), acks="all", linger_ms=0)
    await producer.start()
    began_s, sent = time.monotonic(), 0
    try:
        for turn in range(1, round(seconds * _TURNS_A_S) + 1):
            due = round(rate * turn / _TURNS_A_S) - sent
            await _send(producer, list(islice(events, due)), settings)
            sent += due
            await asyncio.sleep(max(0.0, began_s + turn / _TURNS_A_S - time.monotonic()))
    finally:
        await producer.stop()
    return sent


async def _send(producer: AIOKafkaProducer, events: list[RecordedEvent], settings: Settings) -> None:
    """One batch for each partition that has any."""
    now_ms = round(time.time() * 1000)
    by_place: dict[tuple[str, int], list[RecordedEvent]] = defaultdict(list)
    for event in events:
        by_place[settings.input_topics[event.share], partition_of(event.key, settings.partitions)].append(event)
    for (topic, partition), chosen in by_place.items():
        batch = producer.create_batch()
        for event in chosen:
            batch.append(key=event.key, value=event.value, timestamp=now_ms)
        batch.close()
        await producer.send_batch(batch, topic, partition=partition)
