"""Every codec of Kafka is read by every reader, whatever the topic or its producer compresses with."""

import asyncio
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from kafka.admin import NewTopic

from stream_app.kafka.clients import open_admin, open_consumer
from stream_app.kafka.topic_reader import read_topics
from stream_app.kafka.topic_scan import partitions_of, read, spans
from stream_app.settings import Settings
from tests.servers.brokers import BOTH_BROKERS
from tests.servers.raw_batches import bomb, compressed, produce_raw
from tests.unit.engine.packing import numbered, record_batch

CODECS = ["gzip", "snappy", "lz4", "zstd"]
ROOM = 1_000_000


def topic_of(settings: Settings, **config: str) -> str:
    """A new topic of one partition."""
    topic = f"codecs-{uuid4().hex}"
    with open_admin(settings) as admin:
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1, topic_configs=config)])
        admin.wait_for_topics([topic])
    return topic


async def produce(brokers: str, topic: str, codec: str | None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=brokers, compression_type=codec, linger_ms=20) as producer:
        await asyncio.gather(*[await producer.send(topic, b"%d" % number, b"k") for number in range(100)])


def scanned(settings: Settings, topic: str) -> list[bytes]:
    """What the commands read."""
    with open_consumer(settings) as consumer:
        return [record.value for record in read(consumer, spans(consumer, partitions_of(consumer, [topic])))]


async def followed(settings: Settings, topic: str) -> list[bytes | None]:
    """What workers read."""
    found = []
    async with read_topics(settings, topic) as reader:
        while not await reader.has_caught_up():
            for _, records in await reader.fetch():
                found += [record.value for record in records]
    return found


@BOTH_BROKERS
@pytest.mark.parametrize("codec", CODECS)
async def test_a_topic_that_compresses_is_read(brokers: str, codec: str) -> None:
    settings = Settings(brokers=brokers)
    topic = topic_of(settings, **{"compression.type": codec})
    await produce(brokers, topic, None)
    expected = [b"%d" % number for number in range(100)]
    assert scanned(settings, topic) == expected
    assert await followed(settings, topic) == expected


@BOTH_BROKERS
@pytest.mark.parametrize("codec", [*CODECS, "snappy-raw"])
async def test_what_a_producer_compresses_is_read_within_bounds(brokers: str, codec: str) -> None:
    settings = Settings(brokers=brokers, max_unpacked_bytes=ROOM)
    topic = topic_of(settings, **{"max.message.bytes": "20000000"})
    good = compressed(record_batch(numbered(range(3))), codec)
    for batch in (good, bomb(numbered(range(2)), codec, 20 * ROOM), good):
        assert produce_raw(brokers, topic, 0, batch) == 0
    assert scanned(settings, topic) == [b"v0", b"v1", b"v2"] * 2
