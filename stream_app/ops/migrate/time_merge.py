"""Reads many partitions in the order of Kafka's time, as one sequence, with bounded memory."""

from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import Any

from kafka import TopicPartition

from stream_app.kafka.clients import KafkaOperationError
from stream_app.kafka.topic_scan import Spans

_MOST_AT_ONCE = 50_000
"""Records that one poll may return; a partition is fetched again when it has none left."""
_POLL_MS = 500
_PATIENCE_S = 60.0

Waiting = dict[TopicPartition, deque[Any]]


def merged(consumer: Any, wanted: Spans) -> Iterator[Any]:
    """The records in the spans: each partition in its order, and of several the one with the oldest next record.

    Copied one partition after the other, the records of a new partition would go back in time with each old one, and
    all of them but the first would be late. Raises KafkaOperationError when the broker stops sending.
    """
    ends = {place: span.end for place, span in wanted.items() if span.start < span.end}
    positions = {place: wanted[place].start for place in ends}
    waiting: Waiting = {place: deque() for place in ends}
    progress_s = monotonic()
    while True:
        empty = [place for place, records in waiting.items() if not records]
        for place in empty:
            if positions[place] >= ends[place]:
                del waiting[place]
        if not waiting:
            return
        needed = [place for place in empty if place in waiting]
        if not needed:
            yield from _oldest_first(waiting)
            continue
        before = dict(positions)
        _fetch(consumer, needed, waiting, positions, ends)
        if positions != before:
            progress_s = monotonic()
        elif monotonic() - progress_s > _PATIENCE_S:
            raise KafkaOperationError(
                f"Kafka has stopped sending {needed[0].topic}: nothing for {_PATIENCE_S:g} s; is it well?"
            )


def _fetch(
    consumer: Any,
    needed: list[TopicPartition],
    waiting: Waiting,
    positions: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
) -> None:
    """Fetch the partitions that have no record left; the others wait, so that memory stays bounded."""
    consumer.assign(needed)
    for place in needed:
        consumer.seek(place, positions[place])
    for place, records in consumer.poll(timeout_ms=_POLL_MS, max_records=_MOST_AT_ONCE).items():
        waiting[place].extend(record for record in records if record.offset < ends[place])
    for place in needed:
        positions[place] = consumer.position(place)


def _oldest_first(waiting: Waiting) -> Iterator[Any]:
    """Take records until a partition has none left: then it is not known which is the oldest."""
    while True:
        records = min(waiting.values(), key=lambda records: records[0].timestamp)
        yield records.popleft()
        if not records:
            return
