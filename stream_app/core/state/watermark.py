"""Watermarks: the event time that each source has reached, and the end of the window."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import msgspec

NO_TIME = -(2**62)
"""Earlier than any event."""


class BatchCounts(NamedTuple):
    """The records of one batch, counted by outcome."""

    applied: int
    duplicate: int
    late: int
    rejected: int
    unknown: int
    """Applied events whose audience is unknown; applied retractions whose event is."""
    retracted: int = 0
    """Events that came after their retraction."""


class Source(msgspec.Struct):
    """Progress of a ledger in one source topic of its partition. Counters are cumulative."""

    position: int = 0
    """The next offset to be counted."""
    watermark: int = NO_TIME
    """The newest event time read, epoch ms."""
    applied: int = 0
    duplicate: int = 0
    late: int = 0
    rejected: int = 0
    unknown: int = 0
    """Applied events whose audience is unknown; applied retractions of events that had not come."""
    topic_id: str = ""
    """Kafka's id of the topic that was read; empty until it has been looked up."""
    partitions: int = 0
    """Partition count of the topic when it was looked up."""
    retracted: int = 0
    """Events that came after their retraction, and never count."""

    @property
    def read(self) -> int:
        """Records read: always applied + duplicate + late + rejected + retracted."""
        return self.applied + self.duplicate + self.late + self.rejected + self.retracted

    def add(self, counts: BatchCounts) -> None:
        """Add the counts of one batch."""
        self.applied += counts.applied
        self.duplicate += counts.duplicate
        self.late += counts.late
        self.rejected += counts.rejected
        self.unknown += counts.unknown
        self.retracted += counts.retracted


class ReadSources(Protocol):
    """How far the sources of a partition have been read."""

    sources: dict[str, Source]
    lagging: set[str]
    """Those with unread records. The window waits for them, because their older events are still to come."""
    read_up_ms: dict[str, int]
    """By topic: the event time of all sources, epoch ms, at which the topic was last known to be read up."""
    horizon: int
    """Event time at which the window ends, epoch ms. It never moves back."""


def horizon_after(read: ReadSources, topic: str, newest_ms: int) -> int:
    """Return where the window ends after events of `topic` up to `newest_ms`; it waits for the others that lag."""
    return max(read.horizon, min([*_reached(read, read.lagging - {topic}), newest_ms]))


def horizon_at(read: ReadSources, newest_ms: int) -> int:
    """Return where the window ends: at the slowest lagging source, else at the newest event or `newest_ms`."""
    newest_ms = max([newest_ms, *(source.watermark for source in read.sources.values())])
    return max(read.horizon, min(_reached(read, read.lagging), default=newest_ms))


def _reached(read: ReadSources, topics: Iterable[str]) -> Iterator[int]:
    for topic in topics:
        source = read.sources.get(topic)
        yield max(source.watermark if source else NO_TIME, read.read_up_ms.get(topic, NO_TIME))
