"""Batches without leaving Faust: one message per partition and fetch, whose value is all that was fetched.

Faust hands every record to its agents one by one, at 100 to 300 µs each. `ConsumerScheduler` is the documented setting
for the class that orders fetched records; this one hands over whole fetches. The message stands at the offset of its
last record, and Faust's own handling of gaps in the offsets commits the ones before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import faust
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from mode.utils.queues import ThrowableQueue

from stream_app.kafka.record_batches import FetchedBatches, PackedBatch


class BatchMessage:
    """What was fetched in the form of one record: what the consumer reads of it to make a message."""

    __slots__ = ("checksum", "headers", "key", "offset", "partition", "timestamp", "timestamp_type", "topic", "value")
    serialized_key_size = serialized_value_size = 0

    def __init__(self, tp: TP, packed: Sequence[PackedBatch]) -> None:
        last = packed[-1]
        self.topic = tp.topic
        self.partition = tp.partition
        self.offset = last.offset
        self.timestamp = last.timestamp
        self.timestamp_type = 0
        self.headers: tuple[tuple[str, bytes], ...] = ()
        self.key: bytes | None = None
        self.checksum: int | None = None
        self.value = FetchedBatches(tp.topic, tp.partition, packed)


class BatchScheduler(DefaultSchedulingStrategy):
    """Hands over the records of every partition in batches of `enough`, or a little more."""

    enough: ClassVar[int]
    topics: ClassVar[frozenset[str]]

    def iterate(self, records: Mapping[TP, list[PackedBatch]]) -> Iterator[tuple[TP, Any]]:
        """Every partition's records, whole batches at a time; those of other topics are for nobody here."""
        for tp, fetched in records.items():
            for packed in self._together(fetched if tp.topic in self.topics else ()):
                yield tp, BatchMessage(tp, packed)

    def _together(self, fetched: Sequence[PackedBatch]) -> Iterator[list[PackedBatch]]:
        together: list[PackedBatch] = []
        count = 0
        for packed in fetched:
            together.append(packed)
            count += packed.count
            if count >= self.enough:
                yield together
                together, count = [], 0
        if together:
            yield together


def scheduler_of(enough: int, topics: Iterable[str]) -> type[BatchScheduler]:
    """The scheduler class that makes batches of `topics` as soon as there are `enough` records."""
    return type("BatchScheduler", (BatchScheduler,), {"enough": enough, "topics": frozenset(topics)})


class BatchQueue(ThrowableQueue[Any]):
    """Batches on their way to an agent: when it is full the consumer waits.

    Faust would rather stop fetching from single partitions when the queue is nearly full. The next fetch then waits up
    to a second for the others, and where those keep the queue busy the stopped ones wait for as long as that lasts.
    """

    pressure_high_size = 1_000_000


class RawSchema(faust.Schema[Any, Any]):
    """No decoding by Faust: a record it cannot decode would be acknowledged and crash the agent."""

    def loads_key(self, app: Any, message: Any, **_kwargs: Any) -> Any:  # noqa: ARG002 - Faust's signature
        """The key as it is."""
        return message.key

    def loads_value(self, app: Any, message: Any, **_kwargs: Any) -> Any:  # noqa: ARG002 - Faust's signature
        """The value as it is: a batch."""
        return message.value
