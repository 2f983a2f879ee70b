"""Removing records from a topic that is not compacted: all others before the last of them move to the end."""

from collections.abc import Callable
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, UnsupportedVersionError

from stream_app.kafka.operator_clients import NOTHING, administration, consumer, producer
from stream_app.kafka.topic_scan import Span, read
from stream_app.settings import Settings

_ACK_S = 120
_IN_FLIGHT = 10_000


def deletes_records(settings: Settings, topic: str) -> bool:
    """Whether the broker knows how to delete records up to an offset: asked to delete none. Raises OperatingError."""
    with consumer(settings) as client, administration(settings) as admin:
        place = TopicPartition(topic, 0)
        (first,) = client.beginning_offsets([place]).values()
        try:
            admin.delete_records({place: first})
        except (KafkaConnectionError, UnsupportedVersionError):  # Tansu hangs up
            return False
    return True


def remove(settings: Settings, place: TopicPartition, last: int, is_theirs: Callable[[Any], bool]) -> int:
    """Remove the records of `place` up to offset `last`, after others among them went to its end.

    The copies keep time, key, value and headers. They are in Kafka before anything is deleted: a crash in between
    leaves repeats, but loses nothing. Returns the number of copies. Raises OperatingError.
    """
    copies = 0
    with consumer(settings) as client, producer(settings) as sender:
        (first,) = client.beginning_offsets([place]).values()
        sent = []
        for record in read(client, {place: Span(first, last + 1)}):
            if is_theirs(record):
                continue
            sent.append(_send(sender, record))
            copies += 1
            if len(sent) > _IN_FLIGHT:
                sent = _taken(sent)
        sender.flush()
        _taken(sent)
    with administration(settings) as admin:
        admin.delete_records({place: last + 1})
    return copies


def _send(sender: Any, record: Any) -> Any:
    return sender.send(
        record.topic,
        partition=record.partition,
        key=record.key,
        value=NOTHING if record.key is None and record.value is None else record.value,
        headers=list(record.headers),
        timestamp_ms=record.timestamp,
    )


def _taken(sent: list[Any]) -> list[Any]:
    """Return, with nothing left, when Kafka has all of them. Raises KafkaError."""
    for record in sent:
        record.get(_ACK_S)
    return []
