"""The flags as they come, from all partitions, with positions of our own."""

from collections.abc import Iterator, Mapping
from time import monotonic
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition

from stream_app.alerts.leadership import CLOSE_MS, TIMEOUT_MS
from stream_app.core.messages import Flag, flag_in
from stream_app.kafka.clients import kafka_python_options
from stream_app.kafka.error_hints import or_unseen
from stream_app.settings import Settings

_FETCH_WAIT_MS = 100
_LOOK_MS = 20
_MOST_AT_ONCE = 500


class NoFlagsError(RuntimeError):
    """There is no topic of flags; the message says what to do."""


class Read(NamedTuple):
    """A record of the flags topic."""

    partition: int
    next: int
    """The offset behind it."""
    flag: Flag | None
    """None where it is no flag of this release."""


class FlagConsumer:
    """Reads flags from given positions on."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError, and NoFlagsError."""
        self._topic = settings.flags_topic
        self._consumer = KafkaConsumer(
            **kafka_python_options(settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # where retention, or an erasure, has deleted what comes next
            allow_auto_create_topics=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_poll_records=_MOST_AT_ONCE,
            bootstrap_timeout_ms=TIMEOUT_MS,
            metrics_enabled=False,
        )
        partitions = sorted(self._consumer.partitions_for_topic(self._topic) or ())
        if not partitions:
            self._consumer.close()
            advice = f"create it with `stream-app topics create`{or_unseen(settings)}"
            raise NoFlagsError(f"there is no topic {self._topic}: {advice}")
        self._places = [TopicPartition(self._topic, partition) for partition in partitions]
        self._consumer.assign(self._places)

    def starts(self) -> dict[int, int]:
        """Where the partitions begin. Raises KafkaError."""
        return {place.partition: offset for place, offset in self._consumer.beginning_offsets(self._places).items()}

    def ends(self) -> dict[int, int]:
        """Where they end now. Raises KafkaError."""
        told = self._consumer.end_offsets(self._places)
        # What a broker tells may be short of the end by a batch (Tansu): what it sends tells more.
        for place, offset in told.items():
            self._consumer.seek(place, offset)
        deadline_s = monotonic() + TIMEOUT_MS / 1000
        while any(self._consumer.highwater(place) is None for place in self._places) and monotonic() < deadline_s:
            self._consumer.poll(timeout_ms=_LOOK_MS)
        return {place.partition: max(offset, self._consumer.highwater(place) or 0) for place, offset in told.items()}

    def go_to(self, positions: Mapping[int, int]) -> None:
        """Read on from there; a partition that is not named from its beginning."""
        for place in self._places:
            if place.partition in positions:
                self._consumer.seek(place, positions[place.partition])
            else:
                self._consumer.seek_to_beginning(place)

    def poll(self, timeout_ms: int) -> Iterator[Read]:
        """What has come. Raises KafkaError."""
        for place, records in self._consumer.poll(timeout_ms=timeout_ms).items():
            yield from (Read(place.partition, record.offset + 1, flag_in(record.value)) for record in records)

    def position(self, partition: int) -> int:
        """The offset of what is read next."""
        return int(self._consumer.position(TopicPartition(self._topic, partition)))

    def close(self) -> None:
        """Leave the broker, also one that does not answer."""
        self._consumer.close(timeout_ms=CLOSE_MS)
