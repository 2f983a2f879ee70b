"""The active instance at work: first it writes what is to be sent, then has it sent, then writes that it was."""

import logging
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Protocol

import msgspec

from stream_app.alerts.flag_consumer import Read
from stream_app.alerts.metrics import DELIVERED, HELD, UNDELIVERED, AlertMetrics
from stream_app.alerts.routing import Passed, decide, due_digests
from stream_app.alerts.sinks.message import AlertMessage, DeliveryResult, Sender, message_of
from stream_app.alerts.sinks.retry import RetrySchedule
from stream_app.alerts.sinks.sink_workers import Done, SinkWorker
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import DIGEST, FLAG, POSITIONS, WAITS, Digest, FlagEntry, Positions, Record
from stream_app.core.messages import Undelivered

logger = logging.getLogger(__name__)

_MOST_IN_RECORD = 1000
"""Flags of a digest that no sink took."""


class Writer(Protocol):
    """The journal."""

    def write(self, records: dict[str, Record | None]) -> None:
        """Set keys of the state, or delete them (None)."""
        ...

    def give_up(self, message: Undelivered) -> None:
        """Keep a message that no sink took."""
        ...


class OutgoingMessage:
    """The lines to the sinks: they outlive the connection to Kafka, so that what was sent meanwhile is known."""

    def __init__(self, senders: dict[str, Sender], may_send: Callable[[], bool]) -> None:
        self.done: SimpleQueue[Done] = SimpleQueue()
        self.lines = {name: SinkWorker(name, sender, may_send, self.done) for name, sender in senders.items()}
        self.schedules = {name: RetrySchedule() for name in senders}
        self.busy: dict[str, str] = {}
        """By sink: the key of the message that is being sent."""

    def finished(self, timeout_s: float) -> Done | None:
        """What has come of a message; None where nothing has within the time."""
        try:
            done = self.done.get(timeout=timeout_s) if timeout_s else self.done.get_nowait()
        except Empty:
            return None
        self.busy.pop(done.sink, None)
        return done

    def close(self) -> None:
        """Send nothing more."""
        for line in self.lines.values():
            line.close()


class Dispatcher:
    """Decides, writes and hands out, for as long as this instance is active. Every method may raise KafkaError."""

    def __init__(
        self, state: NotificationState, journal: Writer, outgoing: OutgoingMessage, metrics: AlertMetrics
    ) -> None:
        self.state = state
        self._journal = journal
        self._outgoing = outgoing
        self._metrics = metrics

    def read(self, reads: Iterable[Read], now_ms: int) -> None:
        """Decide about flags, and write it, with the positions behind them."""
        records: dict[str, Record | None] = {}
        positions = dict(self.state.positions or {})
        for read in reads:
            positions[read.partition] = read.next
            if read.flag is None:
                continue
            made = decide(read.flag, self.state, now_ms)
            self._count(made)
            if isinstance(made, FlagEntry):
                records[FLAG + read.flag.flag_id] = made
                self.state.take(FLAG + read.flag.flag_id, made)
        if records or positions != self.state.positions:
            self._write({**records, POSITIONS: Positions(offsets=positions)})

    def make_digests(self, now_ms: int) -> None:
        """Write the digests that are due."""
        if made := due_digests(self.state, now_ms):
            self._write(dict(made))

    def hand_out(self, now_ms: int) -> None:
        """Give every sink that has nothing to do its next message."""
        for sink, line in self._outgoing.lines.items():
            while sink not in self._outgoing.busy:
                key = self._outgoing.schedules[sink].next(self.state.pending(sink), monotonic())
                if key is None:
                    break
                if message := self._message(key, sink):
                    self._outgoing.busy[sink] = key
                    line.give(key, message)
                else:  # everybody in it was erased
                    self._mark(key, sink)
        for sink in self.state.sinks_with_pending():
            if sink not in self._outgoing.lines:
                for key in self.state.pending(sink):
                    self._give_up(key, sink, "the alerts file has no such sink any more", now_ms)

    def settle(self, done: Done, now_ms: int) -> None:
        """Write what has come of a message."""
        schedule, record = self._outgoing.schedules[done.sink], self.state.record(done.key)
        if record is None or done.sink not in record.pending:
            schedule.done(done.key)
            return
        decided_ms = _decided_ms(record)
        if done.outcome.result is DeliveryResult.DELIVERED:
            schedule.done(done.key)
            self._mark(done.key, done.sink)
            self._metrics.deliveries.labels(done.sink, DELIVERED).inc()
            if isinstance(record, FlagEntry):
                self._metrics.seconds.labels(done.sink).observe(max(0, now_ms - record.flag.detected_at) / 1000)
            return
        limit_ms = self.state.file.sinks[done.sink].give_up_ms
        if done.outcome.result is DeliveryResult.RETRY and now_ms - decided_ms < limit_ms:
            self._retry(done, schedule)
            return
        self._give_up(done.key, done.sink, done.outcome.reason, now_ms)

    def forget(self, key: str) -> None:
        """Somebody else has deleted a key, because a person is erased: it must not come back by what is under way."""
        if self.state.record(key) is not None:
            self._write({key: None})

    def insist(self, key: str) -> None:
        """Somebody else has written a key of which this instance knows more."""
        if key == POSITIONS and self.state.positions is not None:
            self._write({key: Positions(offsets=self.state.positions)})
        elif (known := self.state.record(key)) is not None:
            self._write({key: known})

    def expire(self, now_ms: int) -> None:
        """Delete what need not be remembered any more."""
        if keys := self.state.expired(now_ms):
            self._write(dict.fromkeys(keys))

    def measure(self, now_ms: int) -> None:
        """Show what waits."""
        for sink in self._outgoing.lines:
            keys = self.state.pending(sink)
            decided = [_decided_ms(record) for key in keys if (record := self.state.record(key))]
            self._metrics.waiting.labels(sink).set(len(keys))
            self._metrics.oldest.labels(sink).set(max(0, now_ms - min(decided, default=now_ms)) / 1000)

    def _retry(self, done: Done, schedule: RetrySchedule) -> None:
        schedule.failed(done.key, monotonic(), done.outcome.wait_s)
        self._metrics.retries.labels(done.sink).inc()
        logger.warning(
            "sink %s took no message (attempt %d), tried again: %s",
            done.sink,
            schedule.attempts(done.key),
            done.outcome.reason,
            extra={"kind": done.sink},
        )

    def _write(self, records: dict[str, Record | None]) -> None:
        """Returns when Kafka has them, and the state too."""
        self._journal.write(records)
        for key, record in records.items():
            self.state.take(key, record)

    def _mark(self, key: str, sink: str) -> None:
        """The sink has got it, or never will."""
        record = self.state.record(key)
        if record is not None:
            left = tuple(other for other in record.pending if other != sink)
            self._write({key: msgspec.structs.replace(record, pending=left)})

    def _give_up(self, key: str, sink: str, reason: str, now_ms: int) -> None:
        """First the record of it, then the mark: a crash in between leaves two records, not none."""
        record, message = self.state.record(key), self._message(key, sink)
        schedule = self._outgoing.schedules.get(sink) or RetrySchedule()
        if record is not None and message is not None:
            undelivered = Undelivered(
                sink=sink,
                rule=message.rule,
                message_id=message.id,
                reason=reason,
                attempts=schedule.attempts(key) + (sink in self._outgoing.lines),
                decided_at=_decided_ms(record),
                given_up_at=now_ms,
                flags=list(message.flags[:_MOST_IN_RECORD]),
                title=message.title,
                text=message.body,
            )
            self._journal.give_up(undelivered)
            if sink in self._outgoing.lines:
                self._metrics.deliveries.labels(sink, UNDELIVERED).inc()
            logger.error("sink %s has not got a message: %s", sink, reason, extra={"kind": sink})
        schedule.done(key)
        self._mark(key, sink)

    def _message(self, key: str, sink: str) -> AlertMessage | None:
        """None where nothing is left to be told."""
        record = self.state.record(key)
        if isinstance(record, FlagEntry):
            rule = next(verdict.rule for verdict in record.verdicts if sink in verdict.sinks)
            return message_of(key, rule, [record.flag])
        flags = [entry.flag for entry in self.state.content(record, sink)] if isinstance(record, Digest) else []
        if not isinstance(record, Digest) or not flags:
            return None
        # Numbers begin anew with a new state topic: the time keeps apart the ids that receivers know.
        return message_of(f"digest-{record.made_ms}-{key.removeprefix(DIGEST)}", record.rule, flags)

    def _count(self, made: FlagEntry | Passed) -> None:
        if isinstance(made, Passed):
            if made.why in HELD:
                self._metrics.held.labels(made.why).inc()
            return
        for verdict in made.verdicts:
            if verdict.what in (*WAITS, "cooldown"):
                self._metrics.held.labels(verdict.what).inc()


def _decided_ms(record: FlagEntry | Digest) -> int:
    return record.decided_ms if isinstance(record, FlagEntry) else record.made_ms
