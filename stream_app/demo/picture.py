"""A demo at one moment: what its views show."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from stream_app.core.messages import Cut, Flag, Role
from stream_app.core.state.watermark import Source
from stream_app.demo.workers import WorkerState

_RATE_OVER_S = 5.0
Place = tuple[str, Role]
"""A topic and a role."""


class Picture(NamedTuple):
    """Everything a view needs."""

    stage: str
    seconds: float
    """Wall time since the start."""
    size: int | None
    """Events of the stream, once it is known."""
    produced: int
    counted: Source
    produced_per_s: float
    counted_per_s: float
    tops: Mapping[Place, Sequence[tuple[str, int]]]
    """The highest users."""
    cuts: Mapping[Place, Cut]
    flags: Sequence[Flag]
    """The last ones, oldest first."""
    emerging: Sequence[Flag]
    """The last ones of that type."""
    flag_counts: Mapping[str, int]
    workers: Sequence[WorkerState]
    is_counting: bool
    """Whether a worker has told of its partitions."""
    news: Sequence[str]
    """What happened to the workers."""

    @property
    def lag(self) -> int:
        """Events produced and not yet counted."""
        return max(self.produced - self.counted.read, 0)

    @property
    def eta_s(self) -> float | None:
        """Until everything is counted, at the present rate."""
        if self.size is None or self.counted_per_s <= 0:
            return None
        return (self.size - self.counted.read) / self.counted_per_s


class Rate:
    """How fast a counter grows, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_s(self, count: int) -> float:
        """Per second of wall time, given what it is now."""
        now = time.monotonic()
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[0][0] > _RATE_OVER_S:
            self._seen.popleft()
        since, before = self._seen[0]
        return (count - before) / (now - since) if now > since else 0.0
