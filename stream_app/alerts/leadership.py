"""Who is active: the instances are a consumer group on the state topic, and whoever has its one partition delivers."""

import math
import threading
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

from kafka import AsyncConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from stream_app.kafka.clients import kafka_python_options
from stream_app.settings import Settings

TIMEOUT_MS = 10_000
CLOSE_MS = 3000
_FETCH_WAIT_MS = 100
_LOOK_S = 0.05


class Leadership:
    """Membership in the group, and what comes on the state topic while the seat is ours.

    Cooperative and sticky: an instance that comes to stand by takes nothing from the active one.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError."""
        self._place = TopicPartition(settings.alerts_topic, 0)
        self._session_s = settings.session_timeout_s
        self._certain_s = self._doubted_s = -math.inf
        self._is_held = False
        self._changed = threading.Event()
        self._settled = threading.Event()
        self._settled.set()
        self.consumer = KafkaConsumer(
            **kafka_python_options(settings),
            group_id=settings.alerts_group,
            partition_assignment_strategy=[CooperativeStickyAssignor],
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
        self.consumer.subscribe([settings.alerts_topic], listener=_Listener(self))

    def poll(self, timeout_ms: int) -> list[Any]:
        """The next records of the state topic, none while the seat is another's. Raises KafkaError."""
        records = self.consumer.poll(timeout_ms=timeout_ms).get(self._place, [])
        self._is_held = self._place in self.consumer.assignment()
        # By the time at which the answered heartbeat was sent: its answer may have waited while we were frozen.
        beat = self.consumer._coordinator.heartbeat  # noqa: SLF001 - kafka-python tells it nowhere else
        sent_s, answered_s = beat.last_send, beat.last_receive
        if answered_s >= sent_s > self._doubted_s:
            self._certain_s = sent_s
        return list(records)

    def is_member(self) -> bool:
        """Whether the group has heard of us within a session, and since there was a doubt. For any thread."""
        return monotonic() - self._certain_s < self._session_s

    def is_offered(self) -> bool:
        """Whether the seat is ours to be taken."""
        return self.is_member() and self._is_held

    def take(self) -> None:
        """Begin to read the state topic from its first record."""
        self._settled.clear()
        self._changed.clear()
        with suppress(AssertionError):  # it was taken from us in this moment: the next poll tells
            self.consumer.seek_to_beginning(self._place)

    def is_ours(self) -> bool:
        """Whether nobody else can have the seat since it was taken. For any thread."""
        return self.is_member() and self._is_held and not self._changed.is_set()

    def settled(self) -> None:
        """What this instance has done is written: another may have the seat."""
        self._settled.set()

    async def give_back(self) -> None:
        """The group wants the seat: have the work end, and wait until what comes of it is written.

        Runs in kafka-python's loop. Nobody else is given the seat before this returns, unless that takes a session.
        """
        self._changed.set()
        deadline_s = monotonic() + self._session_s
        while not self._settled.is_set() and monotonic() < deadline_s:
            await self.consumer._net.sleep(_LOOK_S)  # noqa: SLF001 - its loop knows no other way to wait

    def lose(self) -> None:
        """The seat may have been another's."""
        self._changed.set()

    def doubt(self) -> None:
        """Somebody else writes as if the seat were theirs: nothing counts but what the group says from now on."""
        self._doubted_s, self._certain_s = monotonic(), -math.inf

    def close(self) -> None:
        """Leave the group: another takes over at once."""
        self._changed.set()
        self._settled.set()
        self.consumer.close(timeout_ms=CLOSE_MS)


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Tells the seat what the group does with it."""

    def __init__(self, seat: Leadership) -> None:
        self._seat = seat

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """It is to be another's."""
        if revoked:
            await self._seat.give_back()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """It was given to us: whatever we knew is from before."""
        if assigned:
            self._seat.lose()

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """The group has given us up."""
        if lost:
            self._seat.lose()
