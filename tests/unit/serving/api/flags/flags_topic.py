"""A topic of flags in memory, which the reader of the API takes for Kafka's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from stream_app.core.messages import Flag
from stream_app.kafka.topic_reader import Bounds, Partitions
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.flags.flag_reader import FlagReader

_WAIT_S = 5.0


@dataclass
class Record:
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


class FlagsTopic(Partitions):
    """Partitions of records; `append` adds one."""

    def __init__(self, partitions: int, batch: int = 3) -> None:
        self._records: list[list[Record]] = [[] for _ in range(partitions)]
        self._positions = [0] * partitions
        self._batch = batch
        self.first = [0] * partitions

    def append(self, partition: int, flag: Flag | None) -> None:
        """A flag, or what is none."""
        records = self._records[partition]
        records.append(Record(len(records), 0, b"", msgspec.json.encode(flag) if flag else b"no flag"))

    def ends(self) -> list[int]:
        return [len(records) for records in self._records]

    async def bounds(self) -> dict[int, Bounds]:
        return {number: Bounds(self.first[number], end) for number, end in enumerate(self.ends())}

    async def offset_at(self, partition: int, time_ms: int) -> int | None:
        raise NotImplementedError

    def seek(self, partition: int, offset: int) -> None:
        self._positions[partition] = offset

    async def position(self, partition: int) -> int:
        return self._positions[partition]

    async def fetch(self) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        await asyncio.sleep(0)
        for number, records in enumerate(self._records):
            found = records[self._positions[number] :][: self._batch]
            self._positions[number] += len(found)
            if found:
                yield number, found

    @asynccontextmanager
    async def opened(self, _topic: str, _partitions: Sequence[int]) -> AsyncIterator["FlagsTopic"]:
        yield self

    async def has_been_read(self, log: FlagLog) -> None:
        """Return once the log has all of it."""
        async with asyncio.timeout(_WAIT_S):
            await log.is_complete.wait()
            while self._positions != self.ends():  # noqa: ASYNC110 - nothing signals it
                await asyncio.sleep(0)
            await asyncio.sleep(0)


@asynccontextmanager
async def followed(
    topic: FlagsTopic, log: FlagLog, seen: Callable[[Flag], None] = lambda _flag: None
) -> AsyncIterator[FlagLog]:
    """The log follows the topic for the length of the block."""
    reading = asyncio.create_task(FlagReader("flags", len(topic.ends()), log, topic.opened, seen).run())
    try:
        await topic.has_been_read(log)
        yield log
    finally:
        reading.cancel()


def nobody(_users: object) -> set[str]:
    """Nobody was erased."""
    return set()
