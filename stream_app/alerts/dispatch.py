"""The work of the leader: write what is to be sent, have it sent, then write the outcome."""

import logging
from collections.abc import Iterable
from time import monotonic
from typing import Protocol

import msgspec

from stream_app.alerts.flag_consumer import ConsumedFlag
from stream_app.alerts.metrics import DELIVERED, HELD, UNDELIVERED, AlertMetrics
from stream_app.alerts.routing import Dropped, decide, due_digests
from stream_app.alerts.sinks.message import AlertMessage, DeliveryResult, message_of
from stream_app.alerts.sinks.retry import RetrySchedule
from stream_app.alerts.sinks.sink_workers import DeliveryAttempt, SinkWorkers
from stream_app.alerts.state.notifications import NotificationState
from stream_app.alerts.state.state_records import (
    DIGEST_PREFIX,
    FLAG_PREFIX,
    HELD_FOR_DIGEST,
    OFFSETS_KEY,
    DigestRecord,
    FlagRecord,
    OffsetsRecord,
    StateRecord,
)
from stream_app.core.messages import Undelivered

logger = logging.getLogger(__name__)

_MAX_UNDELIVERED_FLAGS = 1000
"""The flags of a digest that are kept on the undelivered topic."""


class RecordWriter(Protocol):
    """Writes to Kafka; StateWriter, or a test's."""

    def write(self, records: dict[str, StateRecord | None]) -> None:
        """Set keys of the state topic, or delete them (None)."""
        ...

    def write_undelivered(self, message: Undelivered) -> None:
        """Keep a message that could not be delivered."""
        ...


class Dispatcher:
    """Decides, writes and dispatches, for as long as this instance leads. Every method may raise KafkaError."""

    def __init__(
        self, state: NotificationState, writer: RecordWriter, workers: SinkWorkers, metrics: AlertMetrics
    ) -> None:
        self.state = state
        self._writer = writer
        self._workers = workers
        self._metrics = metrics

    def route(self, consumed: Iterable[ConsumedFlag], now_ms: int) -> None:
        """Decide about flags, and write the decisions together with the offsets."""
        records: dict[str, StateRecord | None] = {}
        offsets = dict(self.state.offsets or {})
        for partition, next_offset, flag in consumed:
            offsets[partition] = next_offset
            if flag is None:
                continue
            decided = decide(flag, self.state, now_ms)
            self._count_held(decided)
            if isinstance(decided, FlagRecord):
                key = FLAG_PREFIX + flag.flag_id
                records[key] = decided
                self.state.apply(key, decided)
        if records or offsets != self.state.offsets:
            self._write({**records, OFFSETS_KEY: OffsetsRecord(offsets=offsets)})

    def make_digests(self, now_ms: int) -> None:
        """Write the digests that are due."""
        if digests := due_digests(self.state, now_ms):
            self._write(dict(digests))

    def dispatch(self, now_ms: int) -> None:
        """Give every idle sink its next message."""
        for sink, schedule in self._workers.schedules.items():
            while sink not in self._workers.sending:
                key = schedule.next(self.state.pending(sink), monotonic())
                if key is None:
                    break
                if message := self._message(key, sink):
                    self._workers.submit(sink, key, message)
                else:  # everybody in it was erased
                    self._remove_pending(key, sink)
        for sink in self.state.sinks_with_pending():
            if sink not in self._workers.schedules:
                for key in self.state.pending(sink):
                    self._give_up(key, sink, "the alerts file has no such sink any more", now_ms)

    def settle(self, attempt: DeliveryAttempt, now_ms: int) -> None:
        """Write the outcome of an attempt."""
        record = self.state.record(attempt.key)
        if record is None or attempt.sink not in record.pending:
            self._workers.schedules[attempt.sink].done(attempt.key)
        elif attempt.outcome.result is DeliveryResult.DELIVERED:
            self._delivered(attempt, record, now_ms)
        elif attempt.outcome.result is DeliveryResult.RETRY and not self._is_expired(attempt.sink, record, now_ms):
            self._retry(attempt)
        else:
            self._give_up(attempt.key, attempt.sink, attempt.outcome.reason, now_ms)
        self._workers.written(attempt)

    def delete(self, key: str) -> None:
        """An erasure has deleted the key: delete it again, in case a write in progress has restored it."""
        if self.state.record(key) is not None:
            self._write({key: None})

    def restore(self, key: str) -> None:
        """An instance that does not lead has written the key: write the leader's value over it."""
        if key == OFFSETS_KEY and self.state.offsets is not None:
            self._write({key: OffsetsRecord(offsets=self.state.offsets)})
        elif (record := self.state.record(key)) is not None:
            self._write({key: record})

    def expire(self, now_ms: int) -> None:
        """Delete the records that are not needed any more."""
        if keys := self.state.expired(now_ms):
            self._write(dict.fromkeys(keys))

    def measure(self, now_ms: int) -> None:
        """Update the gauges of pending messages."""
        for sink in self._workers.schedules:
            keys = self.state.pending(sink)
            decided = [_decided_ms(record) for key in keys if (record := self.state.record(key))]
            self._metrics.waiting.labels(sink).set(len(keys))
            self._metrics.oldest.labels(sink).set(max(0, now_ms - min(decided, default=now_ms)) / 1000)

    def _delivered(self, attempt: DeliveryAttempt, record: FlagRecord | DigestRecord, now_ms: int) -> None:
        self._workers.schedules[attempt.sink].done(attempt.key)
        self._remove_pending(attempt.key, attempt.sink)
        self._metrics.deliveries.labels(attempt.sink, DELIVERED).inc()
        if isinstance(record, FlagRecord):
            self._metrics.seconds.labels(attempt.sink).observe(max(0, now_ms - record.flag.detected_at) / 1000)

    def _is_expired(self, sink: str, record: FlagRecord | DigestRecord, now_ms: int) -> bool:
        return now_ms - _decided_ms(record) >= self.state.file.sinks[sink].give_up_ms

    def _retry(self, attempt: DeliveryAttempt) -> None:
        schedule = self._workers.schedules[attempt.sink]
        schedule.failed(attempt.key, monotonic(), attempt.outcome.wait_s)
        self._metrics.retries.labels(attempt.sink).inc()
        logger.warning(
            "sink %s: attempt %d failed and will be repeated: %s",
            attempt.sink,
            schedule.attempts(attempt.key),
            attempt.outcome.reason,
            extra={"kind": attempt.sink},
        )

    def _give_up(self, key: str, sink: str, reason: str, now_ms: int) -> None:
        """Write the undelivered message first: a crash before the second write leaves two copies, not none."""
        record, message = self.state.record(key), self._message(key, sink)
        is_configured = sink in self._workers.schedules
        schedule = self._workers.schedules[sink] if is_configured else RetrySchedule()
        if record is not None and message is not None:
            undelivered = Undelivered(
                sink=sink,
                rule=message.rule,
                message_id=message.id,
                reason=reason,
                attempts=schedule.attempts(key) + is_configured,
                decided_at=_decided_ms(record),
                given_up_at=now_ms,
                flags=list(message.flags[:_MAX_UNDELIVERED_FLAGS]),
                title=message.title,
                text=message.body,
            )
            self._writer.write_undelivered(undelivered)
            if is_configured:
                self._metrics.deliveries.labels(sink, UNDELIVERED).inc()
            logger.error("sink %s: message undelivered: %s", sink, reason, extra={"kind": sink})
        schedule.done(key)
        self._remove_pending(key, sink)

    def _write(self, records: dict[str, StateRecord | None]) -> None:
        """Write the records, then apply them to the state."""
        self._writer.write(records)
        for key, record in records.items():
            self.state.apply(key, record)

    def _remove_pending(self, key: str, sink: str) -> None:
        record = self.state.record(key)
        if record is not None:
            pending = tuple(other for other in record.pending if other != sink)
            self._write({key: msgspec.structs.replace(record, pending=pending)})

    def _message(self, key: str, sink: str) -> AlertMessage | None:
        """None if all its flags were erased."""
        record = self.state.record(key)
        if isinstance(record, FlagRecord):
            rule = next(decision.rule for decision in record.decisions if sink in decision.sinks)
            return message_of(key, rule, [record.flag])
        if record is None or not (flags := self.state.flags_in(record, sink)):
            return None
        # Numbers start again with a new state topic: the time keeps the ids unique.
        return message_of(f"digest-{record.made_ms}-{key.removeprefix(DIGEST_PREFIX)}", record.rule, flags)

    def _count_held(self, decided: FlagRecord | Dropped) -> None:
        if isinstance(decided, Dropped):
            reasons: list[str] = [decided.reason] if decided.reason in HELD else []
        else:
            held = (*HELD_FOR_DIGEST, "cooldown")
            reasons = [decision.action for decision in decided.decisions if decision.action in held]
        for reason in reasons:
            self._metrics.held.labels(reason).inc()


def _decided_ms(record: FlagRecord | DigestRecord) -> int:
    return record.decided_ms if isinstance(record, FlagRecord) else record.made_ms
