"""The delta reader: reads what the partitions of other workers send to the homes of this one."""

import asyncio
import logging
from collections.abc import Mapping
from time import monotonic

from aiokafka.errors import KafkaError

from stream_app.core.changelog.columns import FormatError
from stream_app.core.exchange import delta_message
from stream_app.core.exchange.homes import Homes
from stream_app.engine.context import EngineContext
from stream_app.engine.unreadable import UnreadableRecords
from stream_app.kafka.records import Partition, Record
from stream_app.kafka.topic_reader import OpenPartitions, Partitions

logger = logging.getLogger(__name__)

_LOOK_S = 0.2
_RETRY_S = 1.0


class DeltaReader:
    """Reads the partitions of the owned homes, each from its end when it was taken over; until cancelled."""

    def __init__(self, context: EngineContext, open_partitions: OpenPartitions) -> None:
        self._topic = context.settings.additions_topic
        self._homes: Homes = context.homes
        self._news = context.news
        self._open = open_partitions
        self._unreadable = UnreadableRecords(context.meter)
        self._reached: dict[int, tuple[int, int]] = {}
        """By home: its epoch, and the next offset to be read."""

    async def run(self) -> None:
        """Read for ever; retry connection errors."""
        while True:
            wanted = dict(self._homes.epochs())
            if not wanted:
                await asyncio.sleep(_LOOK_S)
                continue
            try:
                await self._read(wanted)
            except (KafkaError, OSError) as error:
                logger.warning("reading %s failed, trying again: %s", self._topic, error)
                await asyncio.sleep(_RETRY_S)

    async def _read(self, wanted: Mapping[int, int]) -> None:
        """Read until other homes are wanted."""
        async with self._open(self._topic, list(wanted)) as reader:
            await self._begin(reader, wanted)
            while self._homes.epochs() == wanted:
                async for home, records in reader.fetch():
                    for record in records:
                        self._take(home, record)
                    self._reached[home] = (wanted[home], records[-1].offset + 1)
                    self._news.set()

    async def _begin(self, reader: Partitions, wanted: Mapping[int, int]) -> None:
        """Go on where this worker was; elsewhere begin at the end: a new home asks for everything."""
        bounds = await reader.bounds()
        before, self._reached = self._reached, {}
        for home, epoch in wanted.items():
            known_epoch, offset = before.get(home, (-1, 0))
            self._reached[home] = (epoch, offset if known_epoch == epoch else bounds[home].end)
            reader.seek(home, self._reached[home][1])
        for home, epoch in wanted.items():
            self._homes.hears(home, epoch, monotonic())

    def _take(self, home: int, record: Record) -> None:
        try:
            message = delta_message.decode(record.value or b"")
            if message.home != home:
                raise FormatError(f"additions for the home {message.home}")
        except FormatError as error:
            self._unreadable.record(Partition(self._topic, home), record.offset, record.key, error)
            return
        self._homes.hear(message)
