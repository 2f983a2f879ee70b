"""Watermarks: the event time that each source has reached, and the end of the window."""

from typing import NamedTuple

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
    """Applied events whose audience is unknown."""


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
    """Applied events whose audience is unknown."""
    topic_id: str = ""
    """Kafka's id of the topic that was read; empty until it has been looked up."""
    partitions: int = 0
    """Partition count of the topic when it was looked up."""

    @property
    def read(self) -> int:
        """Records read: always applied + duplicate + late + rejected."""
        return self.applied + self.duplicate + self.late + self.rejected

    def add(self, counts: BatchCounts) -> None:
        """Add the counts of one batch."""
        self.applied += counts.applied
        self.duplicate += counts.duplicate
        self.late += counts.late
        self.rejected += counts.rejected
        self.unknown += counts.unknown


def horizon(lagging: list[int], newest: int, before: int) -> int:
    """Return the end of the window: the slowest lagging source, else the newest event anywhere. It never moves back.

    The window waits for lagging sources because their older events are still to come.
    """
    return max(before, min(lagging) if lagging else newest)
