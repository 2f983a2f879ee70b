"""Batches without leaving Faust: one message per partition and fetch, whose value is the list of raw records.

Faust hands every record to its agents one by one, at 100 to 300 µs each. `ConsumerScheduler` is the documented setting
for the class that orders fetched records; this one hands over whole fetches. The message stands at the offset of its
last record, and Faust's own handling of gaps in the offsets commits the ones before.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import faust
from aiokafka.structs import ConsumerRecord
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP


class RecordBatch:
    """Some records of a partition, in the form of one record: what the consumer reads of it to make a message."""

    __slots__ = ("checksum", "headers", "key", "offset", "partition", "timestamp", "timestamp_type", "topic", "value")
    serialized_key_size = serialized_value_size = 0

    def __init__(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        last = records[-1]
        self.topic = last.topic
        self.partition = last.partition
        self.offset = last.offset
        self.timestamp = last.timestamp
        self.timestamp_type = last.timestamp_type
        self.headers: tuple[tuple[str, bytes], ...] = ()
        self.key: bytes | None = None
        self.checksum: int | None = None
        self.value = records


class BatchScheduler(DefaultSchedulingStrategy):
    """Hands over the records of the batched topics a fetch at a time, those of other topics one by one."""

    batched_topics: ClassVar[frozenset[str]] = frozenset()

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """Every partition's records: a batch of an input topic, or single records in Faust's own order."""
        batched = self.batched_topics
        for tp, fetched in records.items():
            if tp.topic in batched and fetched:
                yield tp, RecordBatch(fetched)
        yield from super().iterate({tp: fetched for tp, fetched in records.items() if tp.topic not in batched})


def scheduler_of(topics: Sequence[str]) -> type[BatchScheduler]:
    """The scheduler class that batches `topics`."""
    return type("BatchScheduler", (BatchScheduler,), {"batched_topics": frozenset(topics)})


class AsTheyCome(faust.Schema[Any, Any]):
    """No decoding by Faust: a record it cannot decode would be acknowledged and crash the agent."""

    def loads_key(self, app: Any, message: Any, **_kwargs: Any) -> Any:  # noqa: ARG002 - Faust's signature
        """The key as it is."""
        return message.key

    def loads_value(self, app: Any, message: Any, **_kwargs: Any) -> Any:  # noqa: ARG002 - Faust's signature
        """The value as it is: a list of records."""
        return message.value
