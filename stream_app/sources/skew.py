"""The bound on the skew of a replay: how far what is produced may be ahead, in event time, of what is counted.

Workers count partitions independently, and the window ends with the newest event of any. At full speed a file much
longer than the window would put events of one partition into Kafka, and have them counted, while older ones of another
still wait in the producer or in a slow worker: these would be late although the file is in order.

So event time is cut into steps, and the events of step n are sent once all of step n - 8 and before are counted:

    counted | sent, and being counted | being sent
    … n - 8 |     n - 7 … n - 1       |     n        skew < 8 steps = three quarters of the window

Several steps are on their way at a time, because workers publish how far they are only twice a second or so.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from stream_app.settings import Settings
from stream_app.sources.recorded_event import NO_TIME_MS

Place = tuple[str, int]
"""Topic and partition."""

STEPS = 8
"""On their way at most."""
PART_OF_WINDOW = 0.75
"""Of the window, that these steps are: the rest is for disorder within the file."""
PATIENCE_S = 30.0
"""When nothing was counted for so long, nobody counts: a worker that starts later finds all of it in Kafka."""

DELIVERY_TIMEOUT_S = 30
"""Within which Kafka acknowledges a record."""
_LOOK_S = 0.05


class SkewBound:
    """Decides when a replay waits for the workers."""

    def __init__(
        self,
        counted: Callable[[], Mapping[Place, int]],
        settings: Settings,
        patience_s: float = PATIENCE_S,
        say: Callable[[int], object] = int,
    ) -> None:
        """`counted` is the next offset that the workers will count, by place.

        `say`: called with the event time, epoch ms, up to which all is in Kafka, when a step begins.
        """
        self._counted = counted
        self._say = say
        self._patience_s = patience_s
        panes = settings.window_s / settings.pane_s
        part = min(PART_OF_WINDOW, 1 - 1 / panes) or 1 / STEPS  # an event of the pane before the window is late
        self._step_ms = max(1, int(settings.window_s * 1000 * part / STEPS))
        self._max_ahead_ms = settings.max_ahead_s * 1000
        self._step: int | None = None
        self._marks: deque[tuple[int, dict[Place, Any]]] = deque()
        """A step, and the last record sent at each place when it ended; the oldest first."""
        self.is_off = False
        """Nobody counts: the replay no longer waits."""
        self.waited_s = 0.0

    def begins_step(self, ts_ms: int) -> bool:
        """Whether an event of that time begins another step. One dated ahead of the clock does not: it is rejected."""
        if ts_ms == NO_TIME_MS or self.is_off or ts_ms > time.time() * 1000 + self._max_ahead_ms:
            return False
        return self._step is None or ts_ms >= (self._step + 1) * self._step_ms

    def begin_step(self, ts_ms: int, last_sent: Mapping[Place, Any], is_stopped: Callable[[], bool]) -> None:
        """Wait until the events of that time may be sent; `last_sent` has the last record of every place."""
        step = ts_ms // self._step_ms
        if self._step is not None:
            self._marks.append((self._step, dict(last_sent)))
            self._offsets(last_sent)
            self._say(step * self._step_ms - 1)
        self._step = step
        mark: Mapping[Place, Any] = {}
        while self._marks and self._marks[0][0] <= step - STEPS:
            mark = self._marks.popleft()[1]
        if mark:
            self._wait_for(mark, is_stopped)

    def _wait_for(self, mark: Mapping[Place, Any], is_stopped: Callable[[], bool]) -> None:
        wanted = self._offsets(mark)
        begun_s = moved_s = time.monotonic()
        before: Mapping[Place, int] | None = None
        while not is_stopped():
            counted = self._counted()
            if all(counted.get(place, 0) >= offset for place, offset in wanted.items()):
                break
            if counted != before:
                before, moved_s = dict(counted), time.monotonic()
            elif time.monotonic() - moved_s > self._patience_s:
                self.is_off = True
                break
            time.sleep(_LOOK_S)
        self.waited_s += time.monotonic() - begun_s

    def _offsets(self, sent: Mapping[Place, Any]) -> dict[Place, int]:
        """Wait until Kafka has acknowledged these records; return the offset after each."""
        return {place: record.get(DELIVERY_TIMEOUT_S).offset + 1 for place, record in sent.items()}
