"""Health: whether counting makes progress and no operation hangs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

Place = tuple[str, int]


class WorkerHealth:
    """Tracks when each source partition last made progress, and when each running operation began.

    `tick` advances its clock. The clock stops while Kafka does not answer, because a restart would not help, and while
    this process is frozen.
    """

    def __init__(self, stall_s: float, now: Callable[[], float] = monotonic) -> None:
        self._stall_s = stall_s
        self._now = now
        self._clock_s = 0.0
        self._progress: dict[Place, tuple[int, float]] = {}
        self._under_way: dict[object, tuple[str, float]] = {}
        self._recovery: tuple[int, float] = (-1, 0.0)
        self._beat = now()
        self.recovered = False
        self.caught_up = False
        """Whether the curves of the other workers have been read."""
        self.clock = ""
        """What is wrong with the wall clock of this worker; empty if nothing is."""

    def tick(self, seconds: float) -> None:
        """Advance the clock by time in which Kafka answered."""
        self._clock_s += seconds

    def beat(self) -> None:
        """Note that the event loop is alive."""
        self._beat = self._now()

    def observe(self, topic: str, partition: int, position: int, end: int) -> float:
        """Note position and end of a source partition. Returns how long, in s, it has made no progress despite lag."""
        known = self._progress.get((topic, partition))
        if known is None or known[0] != position or position >= end:
            known = self._progress[topic, partition] = (position, self._clock_s)
        return self._clock_s - known[1]

    def observe_recovery(self, remaining: int) -> None:
        """Note how many records a recovery has left to read."""
        if self._recovery[0] != remaining:
            self._recovery = (remaining, self._clock_s)

    def forget(self) -> None:
        """Forget all progress, because the assignment changes."""
        self._progress.clear()
        self._recovery = (-1, self._clock_s)
        self.recovered = False

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Track an operation that must not hang, for the duration of the block."""
        token = object()
        self._under_way[token] = (what, self._clock_s)
        try:
            yield
        finally:
            del self._under_way[token]

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Return whether everything with lag makes progress, and details on what does not."""
        since = {f"{topic}-{partition}": since for (topic, partition), (_, since) in list(self._progress.items())}
        since |= dict(list(self._under_way.values()))
        if not self.recovered:
            since["recovery"] = self._recovery[1]
        stalled = {
            what: round(self._clock_s - begin, 1)
            for what, begin in since.items()
            if self._clock_s - begin > self._stall_s
        }
        quiet_s = self._now() - self._beat
        details: dict[str, Any] = {"stalled_s": stalled, "round_age_s": round(quiet_s, 1)}
        if self.clock:
            details["clock"] = self.clock
        return not stalled and quiet_s <= self._stall_s, details

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether partitions are taken over and the curves of the other workers are known."""
        details: dict[str, Any] = {
            "recovered": self.recovered,
            "curves_read": self.caught_up,
            "sources": len(self._progress),
        }
        if self.clock:
            details["clock"] = self.clock
        return self.recovered and self.caught_up and not self.clock, details
