"""Event time: how far each source has come, and where the window ends."""

from typing import NamedTuple

import msgspec

NO_TIME = -(2**62)
"""Before any event."""


class BatchCounts(NamedTuple):
    """What became of the records of one batch."""

    applied: int
    duplicate: int
    late: int
    rejected: int
    unknown: int
    """Applied events whose audience is unknown."""


class Source(msgspec.Struct):
    """One source topic of a partition, as far as its ledger has read it. Counters are cumulative."""

    position: int = 0
    """The next offset to count."""
    watermark: int = NO_TIME
    """The newest event time read, epoch ms."""
    applied: int = 0
    duplicate: int = 0
    late: int = 0
    rejected: int = 0
    unknown: int = 0
    """Applied events whose audience is unknown."""
    topic_id: str = ""
    """Which topic this was read from: Kafka's id of it, empty where nobody has looked yet …"""
    partitions: int = 0
    """… and how many partitions it had."""

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
    """Where the window ends: with the slowest lagging source, else with the newest event anywhere; never back.

    The older events of a source that lags are still to come.
    """
    return max(before, min(lagging) if lagging else newest)
