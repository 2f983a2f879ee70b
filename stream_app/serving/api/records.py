"""What the API needs to read records on Kafka, whatever reads them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Bounds(Protocol):
    """Offsets of a partition."""

    @property
    def first(self) -> int:
        """Of the first record that Kafka has."""
        ...

    @property
    def end(self) -> int:
        """After the last record."""
        ...


class Record(Protocol):
    """A record."""

    offset: int
    timestamp: int
    """Epoch ms, as the producer or Kafka stamped it."""
    key: bytes | None
    value: bytes | None


class Partitions(Protocol):
    """Partitions of one topic, each read from where it was last sought."""

    async def bounds(self) -> Mapping[int, Bounds]:
        """By partition, what Kafka has now. Raises KafkaError."""
        ...

    async def offset_at(self, partition: int, time_ms: int) -> int | None:
        """The first offset whose record is of that time or later; None where there is none. Raises KafkaError."""
        ...

    def seek(self, partition: int, offset: int) -> None:
        """Go on from there."""
        ...

    async def position(self, partition: int) -> int:
        """Up to where it has been read."""
        ...

    def fetch(self) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        """The next records by partition, some at a time; none after some time without any. Raises KafkaError."""
        ...


Open = Callable[[str, Sequence[int]], AbstractAsyncContextManager[Partitions]]
"""(topic, partitions) to what reads them for the length of a block. Raises KafkaError."""
