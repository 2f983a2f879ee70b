"""Whether counting makes progress; and a watchdog that ends the process when it does not."""

import faulthandler
import logging
import os
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

logger = logging.getLogger(__name__)

EXIT_STALLED = 70
_CHECK_S = 1.0
Place = tuple[str, int]


class Health:
    """Knows for every source partition when it last made progress."""

    def __init__(self, stall_s: float, now: Callable[[], float] = monotonic) -> None:
        self._stall_s = stall_s
        self._now = now
        self._progress: dict[Place, tuple[int, float]] = {}
        self._beat = now()
        self.recovered = False
        self.caught_up = False
        """The curves of the others have been read."""

    def beat(self) -> None:
        """The regular round is alive."""
        self._beat = self._now()

    def observe(self, topic: str, partition: int, position: int, end: int) -> None:
        """Where counting stands in a source partition, and where the partition ends."""
        place, now = (topic, partition), self._now()
        known = self._progress.get(place)
        if known is None or known[0] != position or position >= end:
            self._progress[place] = (position, now)

    def forget(self) -> None:
        """The assignment changes: start anew."""
        self._progress.clear()
        self.recovered = False

    def live(self) -> tuple[bool, dict[str, Any]]:
        """Whether everything with lag makes progress, and what does not."""
        now = self._now()
        stalled = {
            f"{topic}-{partition}": round(now - since, 1)
            for (topic, partition), (_, since) in self._progress.items()
            if now - since > self._stall_s
        }
        quiet_s = now - self._beat
        details: dict[str, Any] = {"stalled_s": stalled, "round_age_s": round(quiet_s, 1)}
        return not stalled and quiet_s <= self._stall_s, details

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether partitions are taken over and the curves of the others are known."""
        details = {"recovered": self.recovered, "curves_read": self.caught_up, "sources": len(self._progress)}
        return self.recovered and self.caught_up, details

    def watch(self) -> threading.Thread:
        """Start the watchdog: a thread, because what is stuck may be the event loop."""
        thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        thread.start()
        return thread

    def _watch(self) -> None:
        pause = threading.Event()
        failing_since: float | None = None
        while not pause.wait(_CHECK_S):
            live, details = self.live()
            failing_since = None if live else failing_since or self._now()
            if failing_since is not None and self._now() - failing_since > self._stall_s:
                logger.critical("no progress for long, ending this worker so that another takes over: %s", details)
                faulthandler.dump_traceback()
                os._exit(EXIT_STALLED)
