"""The process that delivers: stands by until it is the active instance, takes up the state, and works."""

import logging
import time
from contextlib import closing
from threading import Event
from time import monotonic
from uuid import uuid4

from kafka.errors import KafkaError, KafkaTimeoutError

from stream_app.alerts.config import AlertsFile
from stream_app.alerts.dispatch import Dispatcher, OutgoingMessage
from stream_app.alerts.flag_consumer import FlagConsumer
from stream_app.alerts.leadership import Leadership
from stream_app.alerts.metrics import AlertMetrics
from stream_app.alerts.sinks.message import Sender
from stream_app.alerts.state import state_records
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import OWNER, POSITIONS, Owner, Positions
from stream_app.alerts.state.writer import StateWriter
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_POLL_MS = 100
_FOLLOW_MS = 50
"""Not 0: a member that has to join anew comes to it only while it polls."""
_RESULT_S = 0.05
_LOAD_S = 120.0
_LAST_S = 15.0
"""For the messages that are being sent when it ends, or another is to be active."""
_AGAIN_S = 2.0
_EXPIRE_S = 60.0
_TURN_S = 60.0
"""A turn that takes longer is stuck."""


class AlertService:
    """One instance."""

    def __init__(
        self,
        settings: Settings,
        file: AlertsFile,
        senders: dict[str, Sender],
        metrics: AlertMetrics,
        *,
        from_beginning: bool = False,
    ) -> None:
        self._settings = settings
        self._file = file
        self._metrics = metrics
        self._from_beginning = from_beginning
        self._seat: Leadership | None = None
        self._outgoing = OutgoingMessage(senders, self._may_send)
        self._turned_s = monotonic()
        self._joined = False

    def run(self, stop: Event) -> None:
        """Work until `stop`. Kafka may go and come back. Raises StateError and NoFlagsError."""
        try:
            while not stop.is_set():
                try:
                    self._work(stop)
                except KafkaError as error:
                    self._joined = False
                    self._metrics.active.set(0)
                    logger.warning("Kafka: %r; again in %g s", error, _AGAIN_S)
                    self._turned_s = monotonic()
                    stop.wait(_AGAIN_S)
        finally:
            self._metrics.active.set(0)
            self._outgoing.close()

    def is_live(self) -> bool:
        """Whether it gets round."""
        return monotonic() - self._turned_s < _TURN_S

    def is_ready(self) -> bool:
        """Whether it delivers, or stands by."""
        return self._joined and self.is_live()

    def _work(self, stop: Event) -> None:
        """Until `stop`. Raises KafkaError."""
        with closing(StateWriter(self._settings)) as journal, closing(Leadership(self._settings)) as seat:
            self._seat = seat
            while not stop.is_set():
                self._turned_s = monotonic()
                seat.poll(_POLL_MS)
                self._joined = seat.is_member()
                if seat.is_offered():
                    self._deliver(seat, journal, stop)

    def _deliver(self, seat: Leadership, journal: StateWriter, stop: Event) -> None:
        """From taking over until the seat is lost, or `stop`. Raises KafkaError."""
        state = self._take_over(seat, journal)
        if state is None:
            return
        desk = Dispatcher(state, journal, self._outgoing, self._metrics)
        with closing(FlagConsumer(self._settings)) as feed:
            if state.positions is None:
                positions = feed.starts() if self._from_beginning else feed.ends()
                journal.write({POSITIONS: Positions(offsets=positions)})
                state.positions = positions
            feed.go_to(state.positions)
            logger.info("active: %d flags remembered", len(state.entries))
            self._metrics.active.set(1)
            expired_s = monotonic()
            while not stop.is_set() and _follow(seat, journal, desk):
                self._turned_s = monotonic()
                now_ms = _now_ms()
                desk.read(list(feed.poll(_POLL_MS)), now_ms)
                desk.make_digests(now_ms)
                self._settle(desk, _RESULT_S)
                desk.hand_out(now_ms)
                desk.measure(now_ms)
                if monotonic() - expired_s > _EXPIRE_S:
                    desk.expire(now_ms)
                    expired_s = monotonic()
            if not stop.is_set():
                logger.warning("not active any more: the group gives the seat to another, or Kafka does not answer")
            self._metrics.active.set(0)
            self._settle_last(seat, desk)

    def _take_over(self, seat: Leadership, journal: StateWriter) -> NotificationState | None:
        """The state as it was left; None where the seat is lost meanwhile. Raises KafkaError and StateError."""
        seat.take()
        state = NotificationState(self._file)
        mine = Owner(name=uuid4().hex, since_ms=_now_ms())
        journal.begin(mine)
        deadline_s = monotonic() + _LOAD_S
        while seat.is_ours():
            for record in seat.poll(_POLL_MS):
                self._turned_s = monotonic()
                key = record.key.decode(errors="replace")
                known = None if record.value is None else state_records.decode(key, record.value)
                if known == mine:  # all that others wrote before is read
                    return state
                state.take(key, known)
            if monotonic() > deadline_s:
                raise KafkaTimeoutError(f"the state was not read within {_LOAD_S:g} s")
        return None

    def _settle(self, desk: Dispatcher, timeout_s: float) -> None:
        while done := self._outgoing.finished(timeout_s):
            desk.settle(done, _now_ms())
            timeout_s = 0.0

    def _settle_last(self, seat: Leadership, desk: Dispatcher) -> None:
        """Write what comes of the messages that are being sent, for as long as nobody else can be active."""
        deadline_s = monotonic() + _LAST_S
        while self._outgoing.busy and monotonic() < deadline_s and seat.is_member():
            seat.poll(_FOLLOW_MS)
            self._settle(desk, _RESULT_S)
        seat.settled()

    def _may_send(self) -> bool:
        return self._seat is not None and self._seat.is_ours()


def _follow(seat: Leadership, journal: StateWriter, desk: Dispatcher) -> bool:
    """See what others write: deletions of erased people, and whether another is active now. Raises KafkaError."""
    for record in seat.poll(_FOLLOW_MS):
        if journal.wrote(record):
            continue
        key = record.key.decode(errors="replace")
        if key == OWNER:
            logger.warning("another instance says that it is active: asking the group")
            seat.doubt()
            return False
        if record.value is None:
            desk.forget(key)
        else:  # by one that was frozen, and does not know yet that it is not active any more
            desk.insist(key)
    return seat.is_ours()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
