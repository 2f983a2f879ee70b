"""Past flags, read from Kafka."""

from functools import partial
from typing import Any

from kafka import TopicPartition

from stream_app.core.messages import Flag, flag_in
from stream_app.kafka.clients import KafkaOperationError, open_consumer
from stream_app.kafka.error_hints import or_unseen
from stream_app.kafka.topic_scan import OnProgress, Span, partitions_of, read, spans
from stream_app.settings import Settings

_SKEW_MS = 300_000
"""How far the clocks of workers and brokers may differ."""


def flags_since(settings: Settings, since_ms: int, on_progress: OnProgress | None = None) -> list[Flag]:
    """The flags raised at `since_ms` (epoch ms, wall clock) or later. Raises KafkaOperationError."""
    with open_consumer(settings) as reader:
        places = flag_partitions(settings, reader)
        found = reader.offsets_for_times(dict.fromkeys(places, max(0, since_ms - _SKEW_MS)))
        wanted = {place: _from(found.get(place), span) for place, span in spans(reader, places).items()}
        flags = [flag for record in read(reader, wanted, on_progress) if (flag := flag_in(record.value)) is not None]
    shows = partial(settings.disclosure.shows, settings_version=settings.version)
    return [flag for flag in flags if flag.detected_at >= since_ms and shows(flag)]


def flag_partitions(settings: Settings, reader: Any) -> list[TopicPartition]:
    """The partitions of the flags topic. Raises KafkaOperationError where Kafka has none."""
    places = partitions_of(reader, [settings.flags_topic])
    if not places:
        raise KafkaOperationError(
            f"Kafka at {settings.brokers} has no topic {settings.flags_topic}: create it with "
            f"`stream-app topics create`, or name another with --flags-topic{or_unseen(settings)}"
        )
    return places


def _from(found: Any, span: Span) -> Span:
    """The span from the offset that was found; all of it where the broker found none."""
    if found is None or found.offset is None or found.offset < 0:
        return span
    return span._replace(start=min(max(span.start, found.offset), span.end))
