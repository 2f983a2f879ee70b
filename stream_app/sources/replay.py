"""Replay: produces recorded events to Kafka, keyed by user, as fast as possible or at a multiple of real time."""

import gc
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from kafka.errors import KafkaError, MessageSizeTooLargeError
from kafka.partitioner.default import murmur2

from stream_app.kafka.clients import new_admin, new_producer, quiet_kafka
from stream_app.kafka.error_hints import or_unseen
from stream_app.kafka.reachability import UnreachableError, require_reachable
from stream_app.kafka.topics import limits_of
from stream_app.settings import Settings
from stream_app.sources.pace import ReplayClock
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.skew import DELIVERY_TIMEOUT_S, SkewBound

PROGRESS_S = 0.2
"""How often `on_progress` is called."""

_DELIVERY_TIMEOUT_S = DELIVERY_TIMEOUT_S
_REQUEST_TIMEOUT_MS = 10_000
_CLOSE_TIMEOUT_S = 2.0
_BATCH_BYTES = 262_144
_REQUEST_BYTES = 1_000_000
_LINGER_MS = 50
_MOST_IN_FLIGHT = 50_000
_COLLECT_EVERY = 200_000


class ReplayError(RuntimeError):
    """The events cannot be produced; the message says which, why, and what to do."""


class Progress(NamedTuple):
    """The progress of a replay."""

    sent: int
    """Records handed to the producer."""
    left_out: int
    """Events at or after `until_ms`."""
    event_time_ms: int
    """Event time of the last event sent that has one; -1 before the first."""
    seconds: float
    """Wall time since the start."""


class ReplayReport(NamedTuple):
    """The result of a replay; Kafka has acknowledged every record sent."""

    posts: int
    shares: int
    retractions: int
    left_out: int
    """Events at or after `until_ms`."""
    seconds: float
    stopped: bool
    """Whether it was stopped before the last event."""

    @property
    def sent(self) -> int:
        """Records produced."""
        return self.posts + self.shares + self.retractions

    @property
    def records_per_second(self) -> float:
        """Over the whole replay, acknowledgements included."""
        return self.sent / self.seconds if self.seconds else 0.0


def replay(
    events: Iterable[RecordedEvent],
    brokers: str,
    settings: Settings,
    *,
    speed: float | None = None,
    until_ms: int | None = None,
    bound: SkewBound | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> ReplayReport:
    """Produce the events, in their order, to the topics of posts, shares and retractions of `brokers`.

    `speed` is event time per wall time (None: as fast as possible). Events at or after `until_ms` are left out; events
    without a time are sent. `bound` keeps events that are in order from being late. The timestamp of a record is the
    time it is sent, not event time. `on_progress` is called several times a second. Setting `stop` ends the replay when
    Kafka has acknowledged what was sent.
    Raises ReplayError.
    """
    try:
        with _producer(brokers, settings) as (producer, topics), _rare_collections():
            run = _Replay(producer, brokers, settings, topics, bound, on_progress, stop or threading.Event())
            run.send_all(events, ReplayClock(speed) if speed else None, until_ms)
            return run.report()
    except KafkaError as error:
        raise ReplayError(
            f"a request to Kafka at {brokers} failed: {error}; check the broker, then replay again"
        ) from error


class _Replay:
    """One replay under way."""

    def __init__(
        self,
        producer: Any,
        brokers: str,
        settings: Settings,
        topics: Sequence[str],
        bound: SkewBound | None,
        on_progress: Callable[[Progress], None] | None,
        stop: threading.Event,
    ) -> None:
        self._bound = bound
        self._last_sent: dict[tuple[str, int], Any] = {}
        """By topic and partition; kept where there is a bound."""
        self._producer, self._brokers, self._on_progress, self._stop = producer, brokers, on_progress, stop
        self._settings, self._topics = settings, settings.source_topics
        self._partitions = {topic: sorted(producer.partitions_for(topic)) for topic in topics}
        self._sent = [0, 0, 0]
        self._left_out = 0
        self._event_time_ms = -1
        self._in_flight: deque[Any] = deque()
        self._start = self._reported_s = time.monotonic()

    def send_all(self, events: Iterable[RecordedEvent], pace: ReplayClock | None, until_ms: int | None) -> None:
        for event in events:
            if until_ms is not None and event.ts_ms >= until_ms:
                self._left_out += 1
                continue
            if pace is not None:
                self._wait(pace.delay_s(event.ts_ms, time.monotonic()))
            if self._bound is not None and self._bound.begins_step(event.ts_ms):
                self._bound.begin_step(event.ts_ms, self._last_sent, self._is_stopped)
            if self._stop.is_set():
                break
            self._send(event)
            if len(self._in_flight) >= _MOST_IN_FLIGHT:
                self._settle(_MOST_IN_FLIGHT // 2)
            if time.monotonic() - self._reported_s >= PROGRESS_S:
                self._report_progress()
        self._finish()
        self._report_progress()

    def report(self) -> ReplayReport:
        seconds = time.monotonic() - self._start
        posts, shares, retractions = self._sent
        return ReplayReport(posts, shares, retractions, self._left_out, seconds, self._stop.is_set())

    def _send(self, event: RecordedEvent) -> None:
        topic = self._topics[event.source]
        if topic not in self._partitions:
            raise ReplayError(
                f"event {sum(self._sent) + self._left_out + 1} takes something back, and Kafka at {self._brokers} "
                f"has no topic {topic}: create it with `stream-app topics create`{or_unseen(self._settings)}"
            )
        partitions = self._partitions[topic]
        partition = partitions[_positive_hash(event.key) % len(partitions)]
        try:
            sent = self._producer.send(topic, event.value, event.key, partition=partition)
        except MessageSizeTooLargeError as error:
            raise ReplayError(
                f"event {sum(self._sent) + self._left_out + 1}, of user {event.key.decode(errors='replace')!r}, has "
                f"{len(event.value)} bytes: more than a record may have ({_REQUEST_BYTES}); leave it out"
            ) from error
        self._in_flight.append(sent)
        if self._bound is not None:
            self._last_sent[topic, partition] = sent
        self._sent[event.source] += 1
        if event.ts_ms >= 0:
            self._event_time_ms = event.ts_ms

    def _is_stopped(self) -> bool:
        """Asked while the bound waits, so that progress is seen meanwhile."""
        if time.monotonic() - self._reported_s >= PROGRESS_S:
            self._report_progress()
        return self._stop.is_set()

    def _finish(self) -> None:
        """Wait until every record is acknowledged."""
        try:
            self._producer.flush(_DELIVERY_TIMEOUT_S)
        except KafkaError as error:
            raise self._not_acknowledged(len(self._in_flight), error) from error
        self._settle(0)

    def _settle(self, most: int) -> None:
        """Wait until at most this many records are not acknowledged."""
        while len(self._in_flight) > most:
            sent = self._in_flight.popleft()
            if sent.succeeded():
                continue
            try:
                sent.get(_DELIVERY_TIMEOUT_S)
            except KafkaError as error:
                raise self._not_acknowledged(len(self._in_flight) + 1, error) from error

    def _not_acknowledged(self, open_records: int, error: KafkaError) -> ReplayError:
        return ReplayError(
            f"Kafka at {self._brokers} did not acknowledge a record within {_DELIVERY_TIMEOUT_S} s ({error}); "
            f"{sum(self._sent) - open_records} were acknowledged: check the broker, then replay again"
        )

    def _wait(self, delay_s: float) -> None:
        end = time.monotonic() + delay_s
        while (left_s := end - time.monotonic()) > 0 and not self._stop.wait(min(left_s, PROGRESS_S)):
            self._report_progress()

    def _report_progress(self) -> None:
        self._reported_s = time.monotonic()
        while self._in_flight and self._in_flight[0].is_done:
            self._settle(len(self._in_flight) - 1)
        if self._on_progress is not None:
            seconds = self._reported_s - self._start
            self._on_progress(Progress(sum(self._sent), self._left_out, self._event_time_ms, seconds))


@contextmanager
def _producer(brokers: str, settings: Settings) -> Iterator[tuple[Any, list[str]]]:
    """A producer, and the topics that exist, closed with the block; that of retractions may be missing."""
    settings = msgspec.structs.replace(settings, brokers=brokers)
    try:
        require_reachable(settings)
    except UnreachableError as error:
        raise ReplayError(str(error)) from error
    with quiet_kafka():
        with closing(new_admin(settings)) as admin:
            there = set(admin.list_topics())
            topics = [name for name in settings.source_topics if name in there]
            limits = limits_of(admin, topics)
        if missing := {*settings.input_topics} - there:
            raise ReplayError(
                f"Kafka at {brokers} has no topic {' and no topic '.join(sorted(missing))}: "
                f"create it with `stream-app topics create`{or_unseen(settings)}"
            )
        producer = new_producer(
            settings,
            delivery_timeout_ms=_DELIVERY_TIMEOUT_S * 1000,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
            batch_size=min([_BATCH_BYTES, *limits.values()]),
            linger_ms=_LINGER_MS,
            max_request_size=_REQUEST_BYTES,
        )
        try:
            yield producer, topics
        finally:
            _close(producer)


def _close(producer: Any) -> None:
    try:
        producer.close(_CLOSE_TIMEOUT_S)
    except KafkaError:
        # With records that no broker takes, close() gives up before it ends the sending thread.
        producer._sender.force_close()  # noqa: SLF001
        with suppress(KafkaError):
            producer.close(_CLOSE_TIMEOUT_S)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Collect cyclic garbage rarely: the producer keeps objects for every record in flight, and no cycles."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@lru_cache(maxsize=1_000_000)
def _positive_hash(key: bytes) -> int:
    """What Kafka's default partitioner takes modulo the number of partitions; in Python it costs 5 µs."""
    return int(murmur2(key)) & 0x7FFF_FFFF
