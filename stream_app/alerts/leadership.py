"""Which instance delivers: they are a consumer group on the state topic, and the one with its only partition leads."""

import math
import threading
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic
from typing import Any

from kafka import AsyncConsumerRebalanceListener, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from stream_app.kafka.clients import new_consumer
from stream_app.settings import Settings

TIMEOUT_MS = 10_000
CLOSE_MS = 3000
_POLL_S = 0.05


class Leadership:
    """Membership in the group, and the records of the state topic while this instance has its partition.

    A term begins when the instance takes over (`begin_term`), and ends when the outcomes of everything that it sent are
    written (`end_term`). The assignor is cooperative and sticky: an instance that joins takes nothing from the leader.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError."""
        self._partition = TopicPartition(settings.alerts_topic, 0)
        self._session_s = settings.session_timeout_s
        self._confirmed_s = self._doubted_s = -math.inf
        self._is_assigned = False
        self._interrupted = threading.Event()
        self._lost = threading.Event()
        self._term_ended = threading.Event()
        self._term_ended.set()
        self.consumer = new_consumer(
            settings,
            group_id=settings.alerts_group,
            partition_assignment_strategy=[CooperativeStickyAssignor],
            session_timeout_ms=round(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=round(settings.session_timeout_s * 1000 / 4),
        )
        self.consumer.subscribe([settings.alerts_topic], listener=_RebalanceListener(self))

    def poll(self, timeout_ms: int) -> list[Any]:
        """The next records of the state topic; none while the partition is another instance's. Raises KafkaError."""
        records = self.consumer.poll(timeout_ms=timeout_ms).get(self._partition, [])
        self._is_assigned = self._partition in self.consumer.assignment()
        coordinator = self.consumer._coordinator  # noqa: SLF001 - kafka-python shows these nowhere else
        self._confirm(coordinator.heartbeat.last_send, coordinator.heartbeat.last_receive)
        if coordinator.rejoining and not coordinator.rejoin_needed:
            # What a poll has begun goes on after its timeout, beside what the next one begins: the first to finish says
            # that nothing is needed, and nobody takes the answer to the other (kafka-python 3.0.12).
            coordinator.request_rejoin()
        return list(records)

    def is_member(self) -> bool:
        """Whether the group has confirmed the membership within a session, and since a doubt. For any thread."""
        return monotonic() - self._confirmed_s < self._session_s

    def can_lead(self) -> bool:
        """Whether the group has assigned the partition to this instance."""
        return self.is_member() and self._is_assigned

    def begin_term(self) -> None:
        """Start to read the state topic from its first record."""
        self._term_ended.clear()
        self._interrupted.clear()
        self._lost.clear()
        with suppress(AssertionError):  # revoked just now: the next poll shows it
            self.consumer.seek_to_beginning(self._partition)

    def leads(self) -> bool:
        """Whether the term goes on, and no other instance can have led since it began. For any thread."""
        return self.is_member() and self._is_assigned and not self._interrupted.is_set()

    def is_lost(self) -> bool:
        """Whether another instance may have led since the term began."""
        return self._lost.is_set()

    def end_term(self) -> None:
        """All outcomes of this instance are written: another may lead."""
        self._term_ended.set()

    async def revoke(self) -> None:
        """Interrupt the term, and wait until it has ended; after a session the leadership is lost.

        Runs in kafka-python's event loop. The group assigns the partition to no other instance before this returns.
        """
        self._interrupted.set()
        deadline_s = monotonic() + self._session_s
        while not self._term_ended.is_set() and monotonic() < deadline_s:
            await self.consumer._net.sleep(_POLL_S)  # noqa: SLF001 - its event loop has no other way to wait
        if not self._term_ended.is_set():
            self.lose()

    def lose(self) -> None:
        """Another instance may have led."""
        self._lost.set()
        self._interrupted.set()

    def doubt(self) -> None:
        """Another instance writes as the leader: only heartbeats from now on confirm the membership."""
        self._doubted_s, self._confirmed_s = monotonic(), -math.inf

    def close(self) -> None:
        """Leave the group: another instance takes over at once."""
        self._interrupted.set()
        self._term_ended.set()
        self.consumer.close(timeout_ms=CLOSE_MS)

    def _confirm(self, sent_s: float, answered_s: float) -> None:
        """An answer confirms the membership as of the time its heartbeat was sent: it may arrive after a freeze."""
        if answered_s >= sent_s > self._doubted_s:
            self._confirmed_s = sent_s


class _RebalanceListener(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Passes on what the group does with the partition."""

    def __init__(self, leadership: Leadership) -> None:
        self._leadership = leadership

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Another instance is to have the partition."""
        if revoked:
            await self._leadership.revoke()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """The partition is new here: the state read before may be out of date."""
        if assigned:
            self._leadership.lose()

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """The group has removed this instance."""
        if lost:
            self._leadership.lose()
