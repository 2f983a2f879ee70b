"""Looking at duplicates: how many were counted, and the newest of them, read back from the input topics."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kafka import TopicPartition

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.events import duplicate_sample
from stream_app.core.events.decode import decode
from stream_app.core.events.duplicate_sample import MOST_KEPT, Duplicate
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state.watermark import Source
from stream_app.kafka.topic_scan import LeftOut, OnProgress, Span, Spans, partitions_of, read, spans
from stream_app.settings import Settings

MOST_BEFORE = 5_000
"""Records before a duplicate among which the first of its kind is looked for."""


class Sampled(NamedTuple):
    """The duplicates of all partitions, counted, and a sample of them."""

    counted: Mapping[str, int]
    """Duplicates counted so far, by input topic."""
    newest: list[tuple[int, Duplicate]]
    """(partition, duplicate), the newest first."""


class SeenAgain(NamedTuple):
    """A duplicate as it is in Kafka."""

    partition: int
    duplicate: Duplicate
    event: Event | None
    """None if Kafka has deleted the record, or it cannot be read."""
    first_offset: int
    """Where the first of its kind is; −1 if it is not among the records before."""
    first_arrived_ms: int
    """When that one came to Kafka, epoch ms; 0 if it is not known."""


def sampled(consumer: Any, settings: Settings, on_progress: OnProgress | None = None) -> Sampled:
    """Read what the owners of the partitions have published. Raises KafkaOperationError."""
    statuses: dict[int, Status] = {}
    found: dict[int, list[Duplicate]] = {}
    left_out = LeftOut()
    for record in read(consumer, spans(consumer, partitions_of(consumer, [settings.curves_topic])), on_progress):
        with left_out.unless_readable(record):
            status.read_into(statuses, record.key, record.value)
            if (record.key or b"").startswith(duplicate_sample.KEY) and record.value:
                sample = duplicate_sample.decode(record.value)
                found[sample.partition] = sample.newest[-MOST_KEPT:]
    exist = {place.partition for place in partitions_of(consumer, settings.input_topics)}
    counted: Counter[str] = Counter(dict.fromkeys(settings.input_topics, 0))
    for known in (statuses[partition] for partition in exist & statuses.keys()):
        counted.update({topic: known.sources.get(topic, Source()).duplicate for topic in settings.input_topics})
    newest = [(partition, duplicate) for partition in exist & found.keys() for duplicate in found[partition]]
    return Sampled(counted, sorted(newest, key=lambda one: one[1], reverse=True))


def looked_up(consumer: Any, settings: Settings, found: Iterable[tuple[int, Duplicate]]) -> list[SeenAgain]:
    """Read the duplicates back from the input topics, each with the first of its kind. Raises KafkaOperationError."""
    there = spans(consumer, partitions_of(consumer, settings.input_topics))
    return [_looked_up(consumer, settings, there, partition, duplicate) for partition, duplicate in found]


def _looked_up(consumer: Any, settings: Settings, there: Spans, partition: int, duplicate: Duplicate) -> SeenAgain:
    place = TopicPartition(duplicate.topic, partition)
    gone = SeenAgain(partition, duplicate, None, duplicate.first_offset, 0)
    span = there.get(place)
    if span is None or not span.start <= duplicate.offset < span.end:
        return gone
    start = max(span.start, duplicate.offset - MOST_BEFORE, duplicate.first_offset)
    records = list(read(consumer, {place: Span(start, duplicate.offset + 1)}))
    if not records or records[-1].offset != duplicate.offset:
        return gone
    event = _event_of(records[-1], settings)
    if event is None:
        return gone
    for record in records[:-1]:
        before = _event_of(record, settings) if record.key == records[-1].key else None
        if before is not None and str(before.event_id) == str(event.event_id):
            return SeenAgain(partition, duplicate, event, record.offset, record.timestamp)
    return SeenAgain(partition, duplicate, event, duplicate.first_offset, 0)


def _event_of(record: Any, settings: Settings) -> Event | None:
    kind: type[Event] = Post if record.topic == settings.posts_topic else Share
    events = decode([record.value], kind, settings.max_event_bytes).events
    return events[0] if events else None
