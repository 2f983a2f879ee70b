"""Whether counting makes progress, and everything that is under way comes to an end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

Place = tuple[str, int]


class WorkerHealth:
    """Knows for every source partition when it last made progress, and since when what is under way has been.

    Its clock is wound by `tick`: it stands still while Kafka does not answer, as no restart would help then, and while
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
        """The curves of the others have been read."""

    def tick(self, seconds: float) -> None:
        """So much time has passed in which Kafka answered."""
        self._clock_s += seconds

    def beat(self) -> None:
        """The event loop is alive."""
        self._beat = self._now()

    def observe(self, topic: str, partition: int, position: int, end: int) -> float:
        """Where counting stands in a source partition, and where that ends; returns for how long it has stood, s."""
        known = self._progress.get((topic, partition))
        if known is None or known[0] != position or position >= end:
            known = self._progress[topic, partition] = (position, self._clock_s)
        return self._clock_s - known[1]

    def observe_recovery(self, remaining: int) -> None:
        """How many records a recovery has still to read."""
        if self._recovery[0] != remaining:
            self._recovery = (remaining, self._clock_s)

    def forget(self) -> None:
        """The assignment changes: start anew."""
        self._progress.clear()
        self._recovery = (-1, self._clock_s)
        self.recovered = False

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Something that must come to an end is under way for the length of the block."""
        token = object()
        self._under_way[token] = (what, self._clock_s)
        try:
            yield
        finally:
            del self._under_way[token]

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Whether everything with lag makes progress, and what does not."""
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
        return not stalled and quiet_s <= self._stall_s, details

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether partitions are taken over and the curves of the others are known."""
        details = {"recovered": self.recovered, "curves_read": self.caught_up, "sources": len(self._progress)}
        return self.recovered and self.caught_up, details
