"""Batches in Faust: passes fetched records to agents as one message per batch, instead of one per record.

Faust passes records to its agents one by one, at 100 to 300 µs each. `ConsumerScheduler` is the documented setting for
the class that orders fetched records; the scheduler here groups them into batches. A message has the offset of its last
record, so `consumer` does not treat the offsets before it as a gap.
See docs/reliability.md#fault-one-by-one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import faust
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from mode.utils.queues import ThrowableQueue

from stream_app.kafka.record_batches import FetchedBatches, PackedBatch


class BatchMessage(FetchedBatches):
    """A batch in the shape of one record, with the attributes that Faust's consumer reads to make a message."""

    __slots__ = ()
    timestamp_type = serialized_key_size = serialized_value_size = 0
    headers: ClassVar[tuple[tuple[str, bytes], ...]] = ()
    key = checksum = None

    @property
    def offset(self) -> int:
        """Of the last record."""
        return self.packed[-1].offset

    @property
    def timestamp(self) -> int:
        """Of the last record, epoch ms."""
        return self.packed[-1].timestamp

    @property
    def value(self) -> "BatchMessage":
        """What an agent is given."""
        return self


class BatchScheduler(DefaultSchedulingStrategy):
    """Groups the records of every partition into batches of `enough` records or a little more."""

    enough: ClassVar[int]
    topics: ClassVar[frozenset[str]]

    def iterate(self, records: Mapping[TP, list[PackedBatch]]) -> Iterator[tuple[TP, Any]]:
        """Yield the records of every partition in batches. Skips topics that have no agent."""
        for tp, fetched in records.items():
            for packed in self._together(fetched if tp.topic in self.topics else ()):
                yield tp, BatchMessage(tp.topic, tp.partition, packed)

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
    """Create the scheduler class for `topics`; a batch is complete once it has `enough` records."""
    return type("BatchScheduler", (BatchScheduler,), {"enough": enough, "topics": frozenset(topics)})


class BatchQueue(ThrowableQueue[Any]):
    """The queue of batches in front of an agent. When it is full the consumer waits.

    Faust's own queue pauses single partitions when it is nearly full. The next fetch then waits up to a second for the
    other partitions. While those keep the queue busy, the paused ones starve.
    See docs/reliability.md#fault-starved-partitions.
    """

    pressure_high_size = 1_000_000


class RawSchema(faust.Schema[Any, Any]):
    """Keeps Faust from decoding: a record that fails to decode would be acknowledged and crash the agent.

    See docs/reliability.md#fault-decoding.
    """

    def loads_key(self, app: Any, message: Any, **_kwargs: Any) -> Any:  # noqa: ARG002 - Faust's signature
        """Return the raw key."""
        return message.key

    def loads_value(self, app: Any, message: Any, **_kwargs: Any) -> Any:  # noqa: ARG002 - Faust's signature
        """Return the raw value: a batch."""
        return message.value
