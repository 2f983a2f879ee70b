"""Who is active: the instances are a consumer group on the state topic, and whoever has its one partition delivers."""

import threading
from collections.abc import Iterable
from time import monotonic
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyPartitionAssignor

from stream_app.connections.kafka import kafka_python_options
from stream_app.settings import Settings

TIMEOUT_MS = 10_000
_FETCH_WAIT_MS = 100


def group_of(settings: Settings) -> str:
    """The consumer group of the instances."""
    return f"{settings.app_id}-alerts"


class Seat:
    """Membership in the group, and what comes on the state topic while the seat is ours.

    Cooperative and sticky: an instance that comes to stand by takes nothing from the active one.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError."""
        self._place = TopicPartition(settings.alerts_topic, 0)
        self._session_s = settings.session_timeout_s
        self._certain_s = -float("inf")
        self._changed = threading.Event()
        self.consumer = KafkaConsumer(
            **kafka_python_options(settings),
            group_id=group_of(settings),
            partition_assignment_strategy=[CooperativeStickyPartitionAssignor],
            session_timeout_ms=round(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=round(settings.session_timeout_s * 1000 / 4),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            bootstrap_timeout_ms=TIMEOUT_MS,
            metrics_enabled=False,
        )
        self.consumer.subscribe([settings.alerts_topic], listener=_Listener(self._changed))

    def poll(self, timeout_ms: int) -> list[Any]:
        """The next records of the state topic, none while the seat is another's. Raises KafkaError."""
        records = self.consumer.poll(timeout_ms=timeout_ms).get(self._place, [])
        # By the time at which the answered heartbeat was sent: its answer may have waited while we were frozen.
        beat = self.consumer._coordinator.heartbeat  # noqa: SLF001 - kafka-python tells it nowhere else
        if beat.last_receive >= beat.last_send:
            self._certain_s = beat.last_send
        return list(records)

    @property
    def is_ours(self) -> bool:
        """Whether the partition is assigned to us, and has been since `taken`."""
        return not self._changed.is_set() and self._place in self.consumer.assignment()

    @property
    def is_offered(self) -> bool:
        """Whether the partition is assigned to us."""
        return self._place in self.consumer.assignment()

    def is_certain(self) -> bool:
        """Whether no other can have the seat: the group has heard of us within a session. For any thread."""
        return not self._changed.is_set() and monotonic() - self._certain_s < self._session_s

    def taken(self) -> None:
        """Begin to read the state topic from its first record."""
        self._changed.clear()
        self.consumer.seek_to_beginning(self._place)

    def close(self) -> None:
        """Leave the group: another takes over at once."""
        self._changed.set()
        self.consumer.close(timeout_ms=TIMEOUT_MS)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Notes that the seat may have been another's in between."""

    def __init__(self, changed: threading.Event) -> None:
        self._changed = changed

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """It was taken from us."""
        if revoked:
            self._changed.set()

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """It was given to us: whatever we knew is from before."""
        if assigned:
            self._changed.set()

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """The group has given us up."""
        if lost:
            self._changed.set()
