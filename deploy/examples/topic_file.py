"""Saves a topic to a file, and restores it: python topic_file.py save|restore TOPIC FILE [BROKERS]."""

import base64
import json
import sys
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition


def save(topic: str, path: Path, brokers: str) -> None:
    """Write each record as a line of JSON: partition, time, key, value and headers, bytes in Base64."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, isolation_level="read_committed", enable_auto_commit=False)
    places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    with path.open("w", encoding="utf-8") as file:
        for place in places:
            consumer.assign([place])
            consumer.seek_to_beginning()
            end = consumer.end_offsets([place])[place]
            # Some brokers answer an end that is short by a batch: read on until nothing comes.
            while (records := consumer.poll(timeout_ms=500).get(place, [])) or consumer.position(place) < end:
                for record in records:
                    headers = [[name, text(value)] for name, value in record.headers]
                    line = [place.partition, record.timestamp, text(record.key), text(record.value), headers]
                    file.write(json.dumps(line) + "\n")
    consumer.close()


def restore(topic: str, path: Path, brokers: str) -> None:
    """Produce the records of a file to a topic that exists and is empty, each to the partition it was in."""
    producer = KafkaProducer(bootstrap_servers=brokers, acks="all", max_in_flight_requests_per_connection=1)
    with path.open(encoding="utf-8") as file:
        for line in file:
            partition, time_ms, key, value, headers = json.loads(line)
            producer.send(
                topic,
                data(value),
                data(key),
                headers=[(name, data(content)) for name, content in headers],
                partition=partition,
                timestamp_ms=time_ms,
            )
    producer.close()


def text(value: bytes | None) -> str | None:
    """Bytes as text."""
    return None if value is None else base64.b64encode(value).decode()


def data(value: str | None) -> bytes | None:
    """Text as bytes."""
    return None if value is None else base64.b64decode(value)


if __name__ == "__main__":
    action, name, file_name, *others = sys.argv[1:]
    {"save": save, "restore": restore}[action](name, Path(file_name), *(others or ["127.0.0.1:9092"]))
