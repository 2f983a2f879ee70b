"""Scanning a topic from its start to its present end: every record once, and none that arrives later."""

import socket
import time
from uuid import uuid4

import pytest
from kafka import KafkaProducer

from stream_app.kafka import topic_scan
from stream_app.kafka.clients import KafkaOperationError, open_admin, open_consumer
from stream_app.kafka.topic_scan import Span, newest, partitions_of, read, spans
from stream_app.settings import Settings
from tests.servers.brokers import BOTH_BROKERS
from tests.unit.ops.parts import TIMEOUT_S


def topic_with(settings: Settings, batches: list[list[int]]) -> str:
    """A topic of three partitions; each batch, of partition numbers, is produced at once."""
    topic = f"reading-{uuid4().hex}"
    with open_admin(settings) as admin:
        admin.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}})
        admin.wait_for_topics([topic])
    producer = KafkaProducer(bootstrap_servers=settings.brokers, linger_ms=50)
    number = 0
    for batch in batches:
        for partition in batch:
            producer.send(topic, b"%d" % number, partition=partition)
            number += 1
        producer.flush(TIMEOUT_S)
    producer.close(TIMEOUT_S)
    return topic


@BOTH_BROKERS
def test_everything_is_read_once_in_the_order_of_each_partition_and_again(brokers: str) -> None:
    settings = Settings(brokers=brokers)
    topic = topic_with(settings, [[0] * 700 + [1] * 10, [0] * 5])
    progress: list[tuple[int, int]] = []
    with open_consumer(settings) as reader:
        wanted = spans(reader, partitions_of(reader, [topic, "there-is-no-such-topic"]))
        assert [tuple(span) for span in wanted.values()] == [(0, 705), (0, 10), (0, 0)]
        for _ in range(2):
            found = list(read(reader, wanted, lambda done, total: progress.append((done, total))))
            assert sorted(int(record.value) for record in found) == list(range(715))
            assert [record.offset for record in found if record.partition == 0] == list(range(705))
        last = {(record.partition, record.offset) for record in read(reader, newest(wanted, 3))}
        assert last == {(0, 702), (0, 703), (0, 704), (1, 7), (1, 8), (1, 9)}
    assert progress[-1] == (715, 715)


@BOTH_BROKERS
def test_records_that_arrive_after_the_end_was_read_are_not_read(brokers: str) -> None:
    settings = Settings(brokers=brokers)
    topic = topic_with(settings, [[0, 0, 1]])
    with open_consumer(settings) as reader:
        wanted = spans(reader, partitions_of(reader, [topic]))
        producer = KafkaProducer(bootstrap_servers=brokers)
        for partition in (0, 1, 2):
            producer.send(topic, b"later", partition=partition).get(TIMEOUT_S)
        producer.close(TIMEOUT_S)
        assert sorted(int(record.value) for record in read(reader, wanted)) == [0, 1, 2]


def test_a_broker_that_stops_sending_is_reported(brokers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_scan, "_PATIENCE_S", 0.5)
    settings = Settings(brokers=brokers)
    topic = topic_with(settings, [[0]])
    with open_consumer(settings) as reader:
        beyond = {partitions_of(reader, [topic])[0]: Span(0, 2)}
        with pytest.raises(KafkaOperationError, match=f"Kafka has stopped sending {topic}"):
            list(read(reader, beyond))


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        started = time.monotonic()
        with (
            pytest.raises(KafkaOperationError, match=f"Kafka at {address} .*STREAM_APP_BROKERS"),
            open_consumer(Settings(brokers=address)),
        ):
            pass
        assert time.monotonic() - started < 10
