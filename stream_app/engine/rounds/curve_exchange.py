"""The curve exchange: reads the curves and statuses of all partitions, past cuts, and erasures.

See docs/reliability.md#fault-global-table.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from stream_app.core.changelog import status
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.status import Status
from stream_app.core.cuts import curve_message
from stream_app.core.cuts.curve_message import CurveMessage
from stream_app.core.cuts.global_cuts import GlobalCuts
from stream_app.core.cuts.history import CutHistory
from stream_app.core.events import duplicate_sample
from stream_app.core.events.duplicate_sample import MOST_KEPT, Duplicate, DuplicateSample
from stream_app.core.privacy.erasures import Erasures
from stream_app.core.state.watermark import NO_TIME
from stream_app.kafka.topic_reader import read_topics
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

WATERMARK_KEY = b"watermark"
"""Key under which a source may publish a watermark, in epoch ms as text, such as at the end of a recording."""
_RETRY_S = 1.0


class CurveExchange:
    """Reads the curves and erasures topics from the beginning, without a consumer group, until cancelled."""

    def __init__(self, settings: Settings, together: GlobalCuts, erasures: Erasures) -> None:
        self._settings = settings
        self._erasures = erasures
        self._global_cuts = together
        self.statuses: dict[int, Status] = {}
        self.past = CutHistory()
        self.duplicates: dict[int, list[Duplicate]] = {}
        self.caught_up = asyncio.Event()
        """Set once everything that was in the topics at the start has been read."""
        self._said_ms = NO_TIME
        self._epochs: dict[int, int] = {}
        """By partition: the epoch of its newest owner."""
        self.overwritten: set[int] = set()
        """Partitions whose former owner published after the current one. The current one must publish again."""

    @property
    def newest_ms(self) -> int:
        """The newest event time of all partitions, epoch ms."""
        return max((self._said_ms, *(known.horizon for known in self.statuses.values())))

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
        self._epochs.clear()  # the topic is read again from the beginning, older epochs first
        async with read_topics(settings, settings.curves_topic, settings.erasures_topic) as topics:
            while True:
                for topic, records in await topics.fetch():
                    self._update_from(topic, records)
                if await topics.has_caught_up():
                    self._erasures.verify()
                    self.caught_up.set()

    def _update_from(self, topic: str, records: Iterable[Any]) -> None:
        if topic == self._settings.erasures_topic:
            for record in records:
                self._erasures.update(record.key or b"", record.value, record.offset)
            return
        for record in records:
            self.update(record.key or b"", record.value or b"")

    def update(self, key: bytes, value: bytes) -> None:
        """Apply one record of the curves topic."""
        try:
            match key.partition(b"/")[0]:
                case b"curves":
                    message = curve_message.decode(value)
                    if self._is_of_owner(message):
                        self._global_cuts.update(message)
                case b"status":
                    known = status.decode(value)
                    if self._is_of_owner(known):
                        self.statuses[known.partition] = known
                case b"duplicates":
                    self._take_duplicates(duplicate_sample.decode(value))
                case b"past":
                    self.past.update(key, value)
                case key_word if key_word == WATERMARK_KEY:
                    self._said_ms = max(self._said_ms, int(value))
        except (FormatError, msgspec.DecodeError, ValueError) as error:
            logger.error(  # noqa: TRY400 - the record is at fault, not this code
                "%s holds a record that cannot be read, key %r: %s", self._settings.curves_topic, key, error
            )

    def _take_duplicates(self, sample: DuplicateSample) -> None:
        """Keep what a worker may have published: the owner publishes it again, and must not grow by it."""
        if 0 <= sample.partition < self._settings.partitions:
            own = [found for found in sample.newest if found.topic in self._settings.input_topics]
            self.duplicates[sample.partition] = own[-MOST_KEPT:]

    def _is_of_owner(self, message: CurveMessage | Status) -> bool:
        """Return whether the current owner of the partition published it, not a former owner that writes late."""
        if message.epoch < self._epochs.get(message.partition, 0):
            self.overwritten.add(message.partition)
            return False
        self._epochs[message.partition] = message.epoch
        return True
