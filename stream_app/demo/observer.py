"""Follows what the workers of a demo write to Kafka, in a thread: progress, cuts and flags."""

import threading
import time
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import msgspec
import numpy as np
from kafka import TopicPartition

from stream_app.core.changelog.columns import FormatError
from stream_app.core.cuts.publication import Frame, PublishedCuts
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.exchange.exchange_reader import ExchangeReader
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.group.announcement import worker_of
from stream_app.core.messages import Cut, Flag, flag_in
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME, Source
from stream_app.kafka.clients import new_consumer, quiet_kafka
from stream_app.kafka.topic_scan import LeftOut
from stream_app.settings import Settings
from stream_app.settings.standing_rules import rules_of

_POLL_MS = 100
_CUT = msgspec.json.Decoder(Cut)
Figures = tuple[int, ...]


class Observer:
    """Reads the output topics from their beginning until it is stopped; lists only grow."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ranking = rules_of(settings).ranking
        self._frame = Frame(settings.share, 0, 0, 0, settings.version)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._cuts: dict[bytes, Cut] = {}
        self._followed = FollowedCuts()
        self._exchange = ExchangeReader(self._followed, settings.partitions)
        self._statuses = self._exchange.statuses
        self._left_out = LeftOut()
        self._flag_ids: set[str] = set()
        self._news_at_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self.flags: list[Flag] = []
        """Each change once, in order of arrival."""
        self.error: Exception | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop reading."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def cuts(self) -> list[Cut]:
        """The last cut of every topic and role."""
        with self._lock:
            return list(self._cuts.values())

    @property
    def counted(self) -> Source:
        """The counters of all partitions together; `watermark` is how far event time has come."""
        with self._lock:
            statuses = list(self._statuses.values())
        total = Source(watermark=max((known.horizon for known in statuses), default=NO_TIME))
        for source in (source for known in statuses for source in known.sources.values()):
            total.watermark = max(total.watermark, source.watermark)
            total.applied += source.applied
            total.duplicate += source.duplicate
            total.late += source.late
            total.rejected += source.rejected
            total.unknown += source.unknown
        return total

    def positions(self) -> dict[tuple[str, int], int]:
        """The next offset to be counted, by topic and partition."""
        with self._lock:
            return {
                (topic, known.partition): source.position
                for known in self._statuses.values()
                for topic, source in known.sources.items()
            }

    @property
    def quiet_s(self) -> float:
        """For how long nothing was written."""
        return time.monotonic() - self._news_at_s

    def is_settled(self, end_ms: int | None, quiet_s: float) -> bool:
        """Whether the last cuts and flags are out.

        They are when every partition has reached the end of event time (`end_ms`, where it is known), the cuts on Kafka
        are exactly those that the curves of the partitions give, and nothing has been written for `quiet_s`.
        """
        with self._lock:
            statuses = list(self._statuses.values())
            horizons = {known.horizon for known in statuses}
            has_counted = any(source.applied for known in statuses for source in known.sources.values())
            return (
                len(statuses) == self._settings.partitions
                and not any(known.lagging for known in statuses)
                and len(horizons) == 1
                and (horizons != {NO_TIME} or not has_counted)
                and (end_ms is None or min(horizons) >= end_ms)
                and self.quiet_s >= quiet_s
                and self._is_published()
            )

    def _is_published(self) -> bool:
        """Whether the cuts that all workers know are exact, and the published ones are what may be said of them."""
        names, cuts = self._followed.names, self._followed.cuts.of(np.arange(len(self._followed.names)))
        said = PublishedCuts(names, cuts, self._frame).messages(self._ranking, {}, self._settings.disclosure)
        published = [cut for cut in self._cuts.values() if self._followed.has(ScopeName(cut.population, cut.topic))]
        return bool(cuts.exact[cuts.users > 0].all()) and _figures(said) == _figures(published)

    def _run(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self.error = error

    def _read(self) -> None:
        settings = self._settings
        sources = [TopicPartition(settings.flags_topic, partition) for partition in range(settings.partitions)]
        sources += [TopicPartition(topic, 0) for topic in (settings.cuts_topic, settings.curves_topic)]
        with quiet_kafka():
            consumer = new_consumer(settings)
        with closing(consumer):
            consumer.assign(sources)
            while not self._stop.is_set():
                batches = consumer.poll(timeout_ms=_POLL_MS)
                with self._lock:
                    for source, records in batches.items():
                        self._take(source.topic, records)

    def _take(self, topic: str, records: Iterable[Any]) -> None:
        for record in records:
            if topic == self._settings.curves_topic and worker_of(record.key or b"") is not None:
                continue  # workers announce themselves all the time
            self._news_at_s = time.monotonic()
            with self._left_out.unless_readable(record):
                if topic == self._settings.flags_topic:
                    self._take_flag(flag_in(record.value))
                elif topic == self._settings.curves_topic:
                    self._exchange.take(record.key or b"", record.value)
                elif record.value is None:
                    self._cuts.pop(record.key, None)
                else:
                    self._cuts[record.key] = _cut_in(record.value)

    def _take_flag(self, flag: Flag | None) -> None:
        if flag is not None and flag.flag_id not in self._flag_ids:
            self._flag_ids.add(flag.flag_id)
            self.flags.append(flag)


def _cut_in(value: bytes) -> Cut:
    try:
        return _CUT.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not a cut: {error}") from error


def _figures(cuts: Iterable[Cut]) -> dict[tuple[str, str, str], Figures]:
    """Those that must be equal, by topic, population and role."""
    return {
        (cut.topic, cut.population, cut.role): (cut.users, cut.total, cut.k, cut.threshold, cut.flagged, cut.emerging)
        for cut in cuts
    }
