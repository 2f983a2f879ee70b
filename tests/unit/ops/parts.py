"""What the tests of `ops` share: topics for each test, commands, and dead letters written as by workers."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from click.testing import CliRunner, Result
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream_app.cli import main
from stream_app.core.events.dead_letter import DeadLetter, Origin
from stream_app.kafka import topics
from stream_app.settings import NAMES, Settings
from stream_app.settings.secret import SecretUrl
from stream_app.settings.text import as_environment

PARTITIONS = 2
TIMEOUT_S = 20.0


def settings_of(brokers: str, name: str, **given: Any) -> Settings:
    """A tracker's settings with topics and a group of its own, no board, and no worker's port."""
    own: dict[str, Any] = {setting: f"{name}.{setting}" for setting in NAMES if setting.endswith("_topic")}
    own |= {"app_id": name, "partitions": PARTITIONS, "redis_url": "", "redis_prefix": name, "http_port": 0}
    values = {**own, **given}
    return Settings(brokers=brokers, **{**values, "redis_url": SecretUrl(values["redis_url"])})


def made(settings: Settings) -> Settings:
    """The same, with its topics."""
    assert [found.problem for found in topics.create(settings) if found.problem] == []
    return settings


def run(settings: Settings, *arguments: object, **keywords: Any) -> Result:
    """A command with these settings."""
    return CliRunner().invoke(main, [str(word) for word in arguments], env=as_environment(settings), **keywords)


def dead_letter(topic: str, offset: int, **given: Any) -> DeadLetter:
    """The dead letter of the record at that offset; `partition` is one of PARTITIONS."""
    origin = Origin(topic, given.pop("partition", 0), offset)
    values = {"key": b"ann", "value": b"{", "reason": "not-json", "message": "not a JSON object in UTF-8"}
    return DeadLetter(origin, **{**values, **given})


def put(settings: Settings, dead_letters: Iterable[DeadLetter], topic: str = "") -> None:
    """Write dead letters as a worker does."""
    sent = [(each.origin.partition, each.key, each.value, each.headers()) for each in dead_letters]
    produce(settings, topic or settings.dead_letters_topic, sent)


def produce(
    settings: Settings, topic: str, records: Sequence[tuple[int, bytes | None, bytes | None, list[Any]]]
) -> None:
    """Produce (partition, key, value, headers)."""
    producer = KafkaProducer(bootstrap_servers=settings.brokers)
    try:
        for partition, key, value, headers in records:
            producer.send(topic, value, key, headers=headers, partition=partition).get(TIMEOUT_S)
    finally:
        producer.close(TIMEOUT_S)


def records(settings: Settings, topic: str, count: int) -> list[Any]:
    """The records of a topic by partition and offset, once there are `count`."""
    consumer = KafkaConsumer(bootstrap_servers=settings.brokers, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    found: list[Any] = []
    try:
        consumer.assign([TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))])
        deadline = time.monotonic() + TIMEOUT_S
        while len(found) < count and time.monotonic() < deadline:
            found += [record for batch in consumer.poll(timeout_ms=200).values() for record in batch]
    finally:
        consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))
