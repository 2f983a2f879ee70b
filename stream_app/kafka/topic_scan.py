"""Scanning topics: from their start, or from near their end, to the end that they have now."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any, NamedTuple

from kafka import TopicPartition

from stream_app.core.changelog.columns import FormatError
from stream_app.kafka.clients import KafkaOperationError
from stream_app.until import until

logger = logging.getLogger(__name__)

OnProgress = Callable[[int, int], None]
"""Called with how many offsets have been read, and how many there are."""

_POLL_MS = 500
_HIGHWATER_WITHIN_S = 0.5
_HIGHWATER_POLL_MS = 20
_PATIENCE_S = 20.0


class Span(NamedTuple):
    """The offsets of a partition that hold records now; fewer where compaction or retention has removed some."""

    start: int
    end: int


Spans = Mapping[TopicPartition, Span]


def partitions_of(consumer: Any, topics: Iterable[str]) -> list[TopicPartition]:
    """The partitions of the topics that exist."""
    return [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in sorted(consumer.partitions_for_topic(topic) or ())
    ]


def spans(consumer: Any, partitions: list[TopicPartition]) -> dict[TopicPartition, Span]:
    """Where the partitions start and end now. Raises KafkaError."""
    if not partitions:
        return {}
    starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    # The end that Tansu answers may be short by a batch: the high watermark that comes with a fetch is right.
    consumer.unsubscribe()  # forgets the high watermarks of earlier fetches
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, ends[partition])

    def has_highwaters() -> bool:
        consumer.poll(timeout_ms=_HIGHWATER_POLL_MS)
        return all(consumer.highwater(partition) is not None for partition in partitions)

    until(has_highwaters, _HIGHWATER_WITHIN_S, every_s=0)
    return {
        partition: Span(starts[partition], max(ends[partition], consumer.highwater(partition) or 0))
        for partition in partitions
    }


def newest(wanted: Spans, count: int) -> dict[TopicPartition, Span]:
    """The last `count` offsets of each span."""
    return {partition: Span(max(span.start, span.end - count), span.end) for partition, span in wanted.items()}


def read(consumer: Any, wanted: Spans, on_progress: OnProgress | None = None) -> Iterator[Any]:
    """Every record in the spans, each partition in order. Raises KafkaOperationError when the broker stops sending."""
    left = {partition: span for partition, span in wanted.items() if span.start < span.end}
    total = sum(span.end - span.start for span in left.values())
    consumer.assign(list(left))
    for partition, span in left.items():
        consumer.seek(partition, span.start)
    positions = {partition: span.start for partition, span in left.items()}
    progress_s = monotonic()
    while left:
        fetched = consumer.poll(timeout_ms=_POLL_MS)
        for partition, records in fetched.items():
            yield from (record for record in records if record.offset < wanted[partition].end)
        now = {partition: min(consumer.position(partition), span.end) for partition, span in left.items()}
        if now != {partition: positions[partition] for partition in left}:
            progress_s = monotonic()
        elif monotonic() - progress_s > _PATIENCE_S:
            raise KafkaOperationError(
                f"Kafka has stopped sending {next(iter(left)).topic}: nothing for {_PATIENCE_S:g} s; is it well?"
            )
        positions |= now
        left = {partition: span for partition, span in left.items() if positions[partition] < span.end}
        if on_progress is not None:
            on_progress(sum(positions[partition] - wanted[partition].start for partition in positions), total)


class LeftOut:
    """Counts the records of a topic that cannot be read, and logs the first: others may write there."""

    def __init__(self) -> None:
        self.records = 0

    @contextmanager
    def unless_readable(self, record: Any) -> Iterator[None]:
        """Leave a record out if reading it in the block raises FormatError."""
        try:
            yield
        except FormatError as error:
            self.records += 1
            if self.records == 1:
                place = (record.topic, record.partition, record.offset)
                logger.warning("%s-%d: left out the record at offset %d, and others like it: %s", *place, error)


class TopicTail:
    """Reads what has come to a topic since the last call; the first time, all that it holds."""

    def __init__(self, consumer: Any, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self._read: dict[TopicPartition, int] = {}

    def unread(self) -> Iterator[Any]:
        """The records up to the present ends that were not read yet. Raises KafkaOperationError."""
        now = spans(self._consumer, partitions_of(self._consumer, [self._topic]))
        spans_left = {place: Span(max(start, self._read.get(place, 0)), end) for place, (start, end) in now.items()}
        yield from read(self._consumer, spans_left)
        self._read = {place: span.end for place, span in now.items()}
