"""Finding a person on Kafka: in the live values of compacted topics, and in the records of the others."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from stream_app.kafka.topic_scan import TopicTail

Holds = Callable[[Any], bool]
"""Whether a record, with a value, holds the person."""


class LiveValues:
    """The keys of a compacted topic whose present value holds a person."""

    def __init__(self, consumer: Any, topic: str, holds: Holds) -> None:
        self.topic = topic
        self._tail = TopicTail(consumer, topic)
        self._holds = holds
        self._found: set[tuple[int, bytes]] = set()

    def count(self) -> int:
        """How many there are now; reads only what has come since the last call."""
        for record in self._tail.unread():
            place = (record.partition, record.key)
            if record.value is not None and self._holds(record):
                self._found.add(place)
            else:
                self._found.discard(place)
        return len(self._found)

    def keys(self) -> list[tuple[int, bytes]]:
        """Their partitions and keys, as of the last count."""
        return sorted(self._found)


class Records:
    """The records of a topic that hold a person."""

    def __init__(self, consumer: Any, topic: str, holds: Holds) -> None:
        self.counts: Counter[int] = Counter()
        """By partition."""
        self.last: dict[int, int] = {}
        """By partition, the offset of the last of them."""
        for record in TopicTail(consumer, topic).unread():
            if holds(record):
                self.counts[record.partition] += 1
                self.last[record.partition] = record.offset
