"""Reads the flags topic: all partitions, without a consumer group, from offsets that the caller keeps."""

from collections.abc import Iterator, Mapping
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from kafka import TopicPartition

from stream_app.alerts.leadership import CLOSE_MS, TIMEOUT_MS
from stream_app.core.messages import Flag, flag_in
from stream_app.kafka.clients import new_consumer
from stream_app.kafka.error_hints import or_unseen
from stream_app.settings import Settings

_END_POLL_MS = 20
_MAX_POLL_RECORDS = 500


class NoFlagsError(RuntimeError):
    """The flags topic does not exist; the message says what to do."""


class ConsumedFlag(NamedTuple):
    """A record of the flags topic."""

    partition: int
    next_offset: int
    flag: Flag | None
    """None if this release cannot decode it, or it may not be shown."""


class FlagConsumer:
    """Reads flags from given offsets on."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError, and NoFlagsError."""
        self._topic = settings.flags_topic
        self._shows = partial(settings.disclosure.shows, settings_version=settings.version)
        # From the earliest record on if retention, or an erasure, has deleted the next record.
        self._consumer = new_consumer(settings, max_poll_records=_MAX_POLL_RECORDS)
        partitions = sorted(self._consumer.partitions_for_topic(self._topic) or ())
        if not partitions:
            self._consumer.close()
            advice = f"create it with `stream-app topics create`{or_unseen(settings)}"
            raise NoFlagsError(f"there is no topic {self._topic}: {advice}")
        self._partitions = [TopicPartition(self._topic, partition) for partition in partitions]
        self._consumer.assign(self._partitions)

    def beginning_offsets(self) -> dict[int, int]:
        """The first offset of every partition. Raises KafkaError."""
        return {at.partition: offset for at, offset in self._consumer.beginning_offsets(self._partitions).items()}

    def end_offsets(self) -> dict[int, int]:
        """The offset after the last record of every partition. Raises KafkaError."""
        offsets = self._consumer.end_offsets(self._partitions)
        # Tansu may answer with an offset one batch too low; the high watermark of a fetch is right.
        for at, offset in offsets.items():
            self._consumer.seek(at, offset)
        deadline_s = monotonic() + TIMEOUT_MS / 1000
        while any(self._consumer.highwater(at) is None for at in self._partitions) and monotonic() < deadline_s:
            self._consumer.poll(timeout_ms=_END_POLL_MS)
        return {at.partition: max(offset, self._consumer.highwater(at) or 0) for at, offset in offsets.items()}

    def seek(self, offsets: Mapping[int, int]) -> None:
        """Continue at these offsets; a partition without one is read from its beginning."""
        for at in self._partitions:
            if at.partition in offsets:
                self._consumer.seek(at, offsets[at.partition])
            else:
                self._consumer.seek_to_beginning(at)

    def poll(self, timeout_ms: int) -> Iterator[ConsumedFlag]:
        """The next records. Raises KafkaError."""
        for at, records in self._consumer.poll(timeout_ms=timeout_ms).items():
            yield from (ConsumedFlag(at.partition, record.offset + 1, self._flag_in(record)) for record in records)

    def _flag_in(self, record: Any) -> Flag | None:
        flag = flag_in(record.value)
        return flag if flag is not None and self._shows(flag) else None

    def close(self) -> None:
        """Close the connection, also if the broker does not answer."""
        self._consumer.close(timeout_ms=CLOSE_MS)
