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


class Batch(NamedTuple):
    """Records of one partition, in order."""

    topic: str
    partition: int
    end: int
    """Offset: all records before it are here, or were before these."""
    records: Sequence[Record]


class Partition(NamedTuple):
    """A partition of a topic. Equal to the types that Faust, aiokafka and kafka-python have for it."""

    topic: str
    partition: int
