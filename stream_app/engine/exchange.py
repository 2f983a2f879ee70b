"""What all workers know together: the curves and the progress of every partition, read by everyone from one topic."""

import asyncio
import logging
from itertools import chain

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from stream_app.connections.kafka import aiokafka_options
from stream_app.core import curves, status
from stream_app.core.columns import FormatError
from stream_app.core.status import Status
from stream_app.core.watermark import NO_TIME
from stream_app.core.whole import Whole
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

WATERMARK_KEY = b"watermark"
"""Under this key a source may say how far event time has come, in epoch ms as text: at the end of a recording, say."""
_RETRY_S = 1.0


class Exchange:
    """Reads the curves topic without a group, from the beginning, forever."""

    def __init__(self, settings: Settings, together: Whole) -> None:
        self._settings = settings
        self._whole = together
        self.statuses: dict[int, Status] = {}
        self.caught_up = asyncio.Event()
        """Set once everything that was there at the start has been read."""
        self._said_ms = NO_TIME

    @property
    def newest_ms(self) -> int:
        """The newest event time anywhere, epoch ms."""
        return max((self._said_ms, *(known.horizon for known in self.statuses.values())))

    async def run(self) -> None:
        """Read until cancelled; connection trouble is retried."""
        while True:
            try:
                await self._read()
            except (KafkaError, OSError) as error:
                logger.warning("reading %s failed, trying again: %s", self._settings.curves_topic, error)
                await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            self._settings.curves_topic,
            **aiokafka_options(self._settings),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets(consumer.assignment())
            while True:
                fetched = await consumer.getmany(timeout_ms=200)
                for record in chain.from_iterable(packed.records() for packed in chain(*fetched.values())):
                    self.tell(record.key or b"", record.value or b"")
                if not self.caught_up.is_set() and await _reached(consumer, ends):
                    self.caught_up.set()
        finally:
            await consumer.stop()

    def tell(self, key: bytes, value: bytes) -> None:
        """Take in one record of the topic."""
        try:
            match key.partition(b"/")[0]:
                case b"curves":
                    self._whole.tell(curves.decode(value))
                case b"status":
                    known = status.decode(value)
                    self.statuses[known.partition] = known
                case key_word if key_word == WATERMARK_KEY:
                    self._said_ms = max(self._said_ms, int(value))
        except (FormatError, msgspec.DecodeError, ValueError) as error:
            logger.error(  # noqa: TRY400 - the record is to blame, not this code
                "%s holds a record that cannot be read, key %r: %s", self._settings.curves_topic, key, error
            )


async def _reached(consumer: AIOKafkaConsumer, ends: dict[object, int]) -> bool:
    for partition, end in ends.items():
        if await consumer.position(partition) < end:
            return False
    return True
