"""Records as they are read from Kafka, and batches of them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """A record as the consumer reads it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class UnreadableBatch(NamedTuple):
    """The part of a record batch that is not read, although its check sum is right: its producer has made it so."""

    first: int
    """Offset."""
    last: int
    """Offset, inclusive."""
    records: int
    packed_bytes: int
    """Of the whole record batch."""
    reason: str
    """A short fixed name."""
    message: str
    """What is wrong with it."""

    def __str__(self) -> str:
        """What it is, in a sentence."""
        return (
            f"{self.records:,} records at the offsets {self.first} to {self.last}, of a record batch of "
            f"{self.packed_bytes:,} bytes: {self.message}"
        )


class Batch(NamedTuple):
    """Records of one partition, in order."""

    topic: str
    partition: int
    end: int
    """Offset: all records before it are here, or were before these."""
    records: Sequence[Record]
    unreadable: UnreadableBatch | None = None
    """What takes the place of records that cannot be read."""


class Partition(NamedTuple):
    """A partition of a topic. Equal to the types that Faust, aiokafka and kafka-python have for it."""

    topic: str
    partition: int
