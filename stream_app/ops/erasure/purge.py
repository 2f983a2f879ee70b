"""Purging a topic that is not compacted: deletes a person's records, and copies the others to the end."""

from collections.abc import Callable
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, UnsupportedVersionError

from stream_app.kafka.clients import NO_VALUE, open_admin, open_consumer, open_producer
from stream_app.kafka.topic_scan import Span, read
from stream_app.settings import Settings

_ACK_S = 120
_IN_FLIGHT = 10_000


def deletes_records(settings: Settings, topic: str) -> bool:
    """Whether the broker can delete records up to an offset: tried by deleting none. Raises KafkaOperationError."""
    with open_consumer(settings) as client, open_admin(settings) as admin:
        place = TopicPartition(topic, 0)
        (first,) = client.beginning_offsets([place]).values()
        try:
            admin.delete_records({place: first})
        except (KafkaConnectionError, UnsupportedVersionError):  # Tansu closes the connection
            return False
    return True


def remove(settings: Settings, place: TopicPartition, last: int, is_theirs: Callable[[Any], bool]) -> int:
    """Copy the records of others among those up to offset `last` to the end, then delete all up to `last`.

    The copies keep time, key, value and headers. Kafka has acknowledged them before anything is deleted: a crash in
    between leaves repeats, but loses nothing. Returns the number of copies. Raises KafkaOperationError.
    """
    copies = 0
    with open_consumer(settings) as client, open_producer(settings) as sender:
        (first,) = client.beginning_offsets([place]).values()
        sent = []
        for record in read(client, {place: Span(first, last + 1)}):
            if is_theirs(record):
                continue
            sent.append(_send(sender, record))
            copies += 1
            if len(sent) > _IN_FLIGHT:
                sent = _acknowledged(sent)
        sender.flush()
        _acknowledged(sent)
    with open_admin(settings) as admin:
        admin.delete_records({place: last + 1})
    return copies


def _send(sender: Any, record: Any) -> Any:
    return sender.send(
        record.topic,
        partition=record.partition,
        key=record.key,
        value=NO_VALUE if record.key is None and record.value is None else record.value,
        headers=list(record.headers),
        timestamp_ms=record.timestamp,
    )


def _acknowledged(sent: list[Any]) -> list[Any]:
    """Return, with an empty list, when Kafka has all of them. Raises KafkaError."""
    for record in sent:
        record.get(_ACK_S)
    return []
