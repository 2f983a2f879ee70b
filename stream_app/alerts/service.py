"""The process that delivers: it stands by until it leads, reads the state, and delivers."""

import logging
import time
from collections.abc import Mapping
from contextlib import closing
from threading import Event
from time import monotonic
from typing import Any
from uuid import uuid4

from kafka.errors import KafkaError, KafkaTimeoutError

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.dispatch import Dispatcher
from stream_app.alerts.flag_consumer import FlagConsumer
from stream_app.alerts.leadership import Leadership
from stream_app.alerts.metrics import AlertMetrics
from stream_app.alerts.sinks.message import Sender
from stream_app.alerts.sinks.sink_workers import SinkWorkers
from stream_app.alerts.state import state_records
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import LEADER_KEY, OFFSETS_KEY, LeaderRecord, OffsetsRecord, StateError
from stream_app.alerts.state.writer import StateWriter
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_POLL_MS = 100
_FOLLOW_MS = 50
"""Not 0: kafka-python rejoins the group only within a poll."""
_OUTCOME_WAIT_S = 0.05
_LOAD_TIMEOUT_S = 120.0
_DRAIN_TIMEOUT_S = 15.0
"""For the messages that are being sent when the term ends: longer than a sink may take."""
_RECONNECT_S = 2.0
_EXPIRE_INTERVAL_S = 60.0
_MAX_ROUND_S = 60.0
"""A round of the loop that takes longer is stuck."""


class AlertService:
    """One instance."""

    def __init__(
        self,
        settings: Settings,
        file: AlertsFile,
        senders: Mapping[str, Sender],
        metrics: AlertMetrics,
        *,
        from_beginning: bool = False,
    ) -> None:
        self._settings = settings
        self._file = file
        self._metrics = metrics
        self._from_beginning = from_beginning
        self._leadership: Leadership | None = None
        self._workers = SinkWorkers(senders, self._may_send)
        self._round_s = monotonic()
        self._is_member = False

    def run(self, stop: Event) -> None:
        """Run until `stop`; reconnect when Kafka is away. Raises NoFlagsError."""
        try:
            while not stop.is_set():
                try:
                    self._stand_by(stop)
                except KafkaError as error:
                    self._is_member = False
                    self._metrics.active.set(0)
                    logger.warning("Kafka: %r; reconnecting in %g s", error, _RECONNECT_S)
                    self._round_s = monotonic()
                    stop.wait(_RECONNECT_S)
        finally:
            self._metrics.active.set(0)
            self._workers.close()

    def is_live(self) -> bool:
        """Whether the loop makes progress."""
        return monotonic() - self._round_s < _MAX_ROUND_S

    def is_ready(self) -> bool:
        """Whether this instance delivers, or stands by."""
        return self._is_member and self.is_live()

    def _stand_by(self, stop: Event) -> None:
        """Join the group, and deliver whenever this instance is to lead. Raises KafkaError."""
        with closing(StateWriter(self._settings)) as writer, closing(Leadership(self._settings)) as leadership:
            self._leadership = leadership
            while not stop.is_set():
                self._round_s = monotonic()
                leadership.poll(_POLL_MS)
                self._is_member = leadership.is_member()
                if leadership.can_lead():
                    self._lead(leadership, writer, stop)

    def _lead(self, leadership: Leadership, writer: StateWriter, stop: Event) -> None:
        """One term: until another instance may lead, or `stop`. Raises KafkaError."""
        state = self._take_over(leadership, writer)
        if state is None:
            leadership.end_term()
            return
        dispatcher = Dispatcher(state, writer, self._workers, self._metrics)
        with closing(FlagConsumer(self._settings)) as consumer:
            if state.offsets is None:
                offsets = consumer.beginning_offsets() if self._from_beginning else consumer.end_offsets()
                writer.write({OFFSETS_KEY: OffsetsRecord(offsets=offsets)})
                state.offsets = offsets
            consumer.seek(state.offsets)
            logger.info("active: %d flags in the state", len(state.flags))
            self._metrics.active.set(1)
            expired_s = monotonic()
            while not stop.is_set() and _follow(leadership, writer, dispatcher):
                self._round_s = monotonic()
                now_ms = _now_ms()
                dispatcher.route(list(consumer.poll(_POLL_MS)), now_ms)
                dispatcher.make_digests(now_ms)
                _settle(self._workers, dispatcher)
                dispatcher.dispatch(now_ms)
                dispatcher.measure(now_ms)
                if monotonic() - expired_s > _EXPIRE_INTERVAL_S:
                    dispatcher.expire(now_ms)
                    expired_s = monotonic()
            if not stop.is_set():
                logger.warning("not active any more: another instance is to lead, or Kafka does not answer")
            self._metrics.active.set(0)
            drain(leadership, self._workers, dispatcher)

    def _take_over(self, leadership: Leadership, writer: StateWriter) -> NotificationState | None:
        """The state as the last leader left it; None if another is to lead meanwhile. Raises KafkaError."""
        leadership.begin_term()
        state = NotificationState(self._file)
        own = LeaderRecord(name=uuid4().hex, since_ms=_now_ms())
        writer.claim(own)
        deadline_s = monotonic() + _LOAD_TIMEOUT_S
        while leadership.leads():
            for message in leadership.poll(_POLL_MS):
                self._round_s = monotonic()
                key = (message.key or b"").decode(errors="replace")
                try:
                    record = None if message.value is None else state_records.decode(key, message.value)
                except StateError as error:
                    self._leave_out(message, error)
                    continue
                if record == own:  # everything that was written before is read
                    return state
                state.apply(key, record)
            if monotonic() > deadline_s:
                raise KafkaTimeoutError(f"the state was not read within {_LOAD_TIMEOUT_S:g} s")
        return None

    def _leave_out(self, message: Any, error: StateError) -> None:
        """Count and log a record of the state that cannot be read: what it said may be sent again, or not at all."""
        self._metrics.unreadable.inc()
        logger.error(
            "%s-%d: left out the record at offset %d: %s",
            *(message.topic, message.partition, message.offset, error),
            extra={"kind": (message.topic, str(error))},
        )

    def _may_send(self) -> bool:
        return self._leadership is not None and self._leadership.leads()


def drain(leadership: Leadership, workers: SinkWorkers, dispatcher: Dispatcher) -> None:
    """Wait for the messages that are being sent, and write their outcomes, unless another instance may have led.

    While the group does not confirm the membership, nothing is written, but the term goes on: without the outcome of a
    message that a sink has accepted, the next leader would send it again.
    """
    deadline_s = monotonic() + _DRAIN_TIMEOUT_S
    while workers.sending and monotonic() < deadline_s and not leadership.is_lost():
        leadership.poll(_FOLLOW_MS)
        if leadership.is_member():
            _settle(workers, dispatcher)
    leadership.end_term()


def _settle(workers: SinkWorkers, dispatcher: Dispatcher) -> None:
    timeout_s = _OUTCOME_WAIT_S
    while attempt := workers.finished(timeout_s):
        dispatcher.settle(attempt, _now_ms())
        timeout_s = 0.0


def _follow(leadership: Leadership, writer: StateWriter, dispatcher: Dispatcher) -> bool:
    """Read what others write: deletions of erased people, or another leader's claim. Raises KafkaError."""
    for record in leadership.poll(_FOLLOW_MS):
        if writer.wrote(record):
            continue
        key = (record.key or b"").decode(errors="replace")
        if key == LEADER_KEY:
            logger.warning("another instance has written that it leads: waiting for the group to confirm who does")
            leadership.doubt()
            return False
        if record.value is None:
            dispatcher.delete(key)
        else:  # by an instance that was frozen, and does not know yet that it has lost the leadership
            dispatcher.restore(key)
    return leadership.leads()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
