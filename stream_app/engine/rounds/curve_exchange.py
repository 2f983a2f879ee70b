"""The curve exchange: reads the curves and statuses of all partitions, past cuts, and erasures.

See docs/reliability.md#fault-global-table.
"""

import asyncio
import logging
import re
from collections.abc import Container, Iterable
from time import monotonic

from aiokafka.errors import KafkaError

from stream_app.core.changelog.columns import FormatError
from stream_app.core.cuts.history import CutHistory
from stream_app.core.events import duplicate_sample
from stream_app.core.events.duplicate_sample import MOST_KEPT, Duplicate, DuplicateSample
from stream_app.core.exchange.exchange_reader import ExchangeReader
from stream_app.core.group import announcement
from stream_app.core.privacy.ended_sessions import EndedSessions
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import EngineContext
from stream_app.engine.unreadable import UnreadableRecords
from stream_app.kafka.format.plain import PlainRecord
from stream_app.kafka.records import Partition, Record
from stream_app.kafka.topic_reader import read_topics

logger = logging.getLogger(__name__)

WATERMARK_KEY = b"watermark"
"""Key under which a source may publish a watermark, in epoch ms as text, such as at the end of a recording."""
_WHOLE_CURVES = re.compile(rb"curves/([0-9]{1,6})/[0-9]{1,6}(/[0-9]{1,6})?")
"""Keys of whole curves, which workers up to 0.3 exchange: of a partition, a group of scopes, and a part of it."""
_MOST_WHOLE_CURVES = 100_000
_FEWEST_SCOPES = 1_000_000
"""Of so many scopes and of twice `max_scopes` cuts are taken: more than any tracker counts, with what is stale."""
_TIME = re.compile(rb"-?[0-9]{1,18}")
_RETRY_S = 1.0


class CurveExchange:
    """Reads the curves and erasures topics from the beginning, without a consumer group, until cancelled."""

    def __init__(self, context: EngineContext) -> None:
        self._settings = context.settings
        self._members = context.members
        self._erasures = context.erasures
        self._homes = context.homes
        settings = context.settings
        most_scopes = max(2 * settings.max_scopes, _FEWEST_SCOPES)
        self._curves = ExchangeReader(context.followed, settings.partitions, self._homes.is_complete, most_scopes)
        self._clock = context.clock
        self._unreadable = UnreadableRecords(context.meter)
        self.statuses = self._curves.statuses
        self.past = CutHistory(context.settings.partitions)
        self.ended_sessions = EndedSessions()
        self.duplicates: dict[int, list[Duplicate]] = {}
        self.caught_up = asyncio.Event()
        """Set once everything that was in the topics at the start has been read."""
        self._whole_curves: set[bytes] = set()
        self._said_ms = NO_TIME
        self._ids_until_ms = NO_TIME
        self.overwritten = self._curves.overwritten
        """Partitions whose former owner published after the current one. The current one must publish again."""

    @property
    def newest_ms(self) -> int:
        """The newest event time of all partitions, epoch ms, as far as it may be ahead of the clock."""
        said_ms = max((self._said_ms, self._homes.newest_ms, *(known.horizon for known in self.statuses.values())))
        return min(said_ms, self._latest_ms)

    def ids_until_ms(self) -> int:
        """Return the event time up to which ledgers store event ids too, epoch ms; `NO_TIME` for none.

        A worker of 0.2 may take over any partition, also one in which it has never counted. It publishes no release.
        """
        said_ms = (known.ids_until_ms if known.release else self._latest_ms for known in self.statuses.values())
        self._ids_until_ms = min(max([self._ids_until_ms, *said_ms]), self._latest_ms)
        return self._ids_until_ms

    @property
    def read_ms(self) -> int:
        """The newest event time that anybody has read, epoch ms, as far as it may be ahead of the clock."""
        read_ms = max((known.newest_ms for known in self.statuses.values()), default=NO_TIME)
        return max(self.newest_ms, min(read_ms, self._latest_ms))

    @property
    def _latest_ms(self) -> int:
        """What is ahead of it would make everything late: events are bounded alike before they are counted."""
        return round((self._clock() + self._settings.max_ahead_s) * 1000)

    def take_skipped(self) -> None:
        """Take up what was read about homes that are here no longer."""
        self._curves.take_skipped()

    def take_read_back(self) -> dict[ScopeName, bytes | None]:
        """Return the last cuts that were read of scopes whose home is here, since the last call."""
        return self._curves.take_read_back()

    def outdated(self, partitions: Container[int]) -> list[bytes]:
        """Return keys of these partitions that nobody reads any more: none while a worker is there that may."""
        homes = sum(known.asked > 0 for known in self.statuses.values())
        if not self._whole_curves or homes < self._settings.partitions:
            return []
        return [key for key in self._whole_curves if _partition_of(key) in partitions]

    async def run(self) -> None:
        """Read until cancelled; retry connection errors. Raises CorruptBatchError, PersonKeyError."""
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                logger.warning("reading %s failed, trying again: %s", self._settings.curves_topic, error)
                await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        settings = self._settings
        self._curves.begin_again()
        topics = (settings.curves_topic, settings.erasures_topic)
        async with read_topics(settings, *topics, on_unreadable=self._unreadable.batch) as reader:
            while True:
                for place, records in await reader.fetch():
                    self._update_from(place, records)
                if await reader.has_caught_up():
                    self._erasures.verify()
                    self.caught_up.set()

    def _update_from(self, place: Partition, records: Iterable[Record]) -> None:
        is_erasures = place.topic == self._settings.erasures_topic
        for record in records:
            key = record.key or b""
            try:
                if is_erasures:
                    self._erasures.update(key, record.value, record.offset)
                else:
                    self._apply(key, record.value or b"", record.offset)
            except FormatError as error:
                self._unreadable.record(place, record.offset, record.key, error)

    def update(self, key: bytes, value: bytes) -> None:
        """Apply one record of the curves topic."""
        record = PlainRecord(0, 0, key, value, [])
        self._update_from(Partition(self._settings.curves_topic, 0), [record])

    def _apply(self, key: bytes, value: bytes, offset: int) -> None:
        match key.partition(b"/")[0]:
            case b"cut" | b"status":
                self._curves.take(key, value)
            case b"curves" if not value:
                self._whole_curves.discard(key)
            case b"curves" if _partition_of(key) >= 0 and len(self._whole_curves) < _MOST_WHOLE_CURVES:
                self._whole_curves.add(key)
            case b"past":
                self.past.update(key, value, self._latest_ms // self._settings.pane_ms)
            case b"duplicates":
                self._take_duplicates(duplicate_sample.decode(value))
            case b"session":
                self.ended_sessions.update(key, value)
            case b"worker" if (worker := announcement.worker_of(key)) is not None:
                self._hear(worker, value, offset)
            case key_word if key_word == WATERMARK_KEY:
                self._said_ms = max(self._said_ms, _time_ms(value))

    def _hear(self, worker: str, value: bytes, offset: int) -> None:
        said = announcement.decode(value) if value else None
        ahead_s = said.now_ms / 1000 - self._clock() if said else 0.0
        self._members.hear(said, worker, offset, monotonic(), ahead_s)

    def _take_duplicates(self, sample: DuplicateSample) -> None:
        """Keep what a worker may have published: the owner publishes it again, and must not grow by it."""
        if 0 <= sample.partition < self._settings.partitions:
            topics, latest_ms = self._settings.input_topics, self._latest_ms
            own = [found for found in sample.newest if found.topic in topics and found.arrived_ms <= latest_ms]
            self.duplicates[sample.partition] = own[-MOST_KEPT:]


def _partition_of(key: bytes) -> int:
    """Return the partition whose whole curves are under a key; -1 for another key."""
    found = _WHOLE_CURVES.fullmatch(key)
    return int(found[1]) if found else -1


def _time_ms(text: bytes) -> int:
    if not _TIME.fullmatch(text):
        raise FormatError("a watermark is a number of milliseconds")
    return int(text)
