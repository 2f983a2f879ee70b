"""Pacing: when to send recorded events so that event time passes at a multiple of real time."""

LONGEST_STEP_MS = 24 * 3_600_000
"""An event further off than this is late, of a wrong clock, or after a gap: the replay does not wait for it."""
CONVINCING = 20
"""After so many events in a row that are off by about the same, the recording continues there."""

_NEVER_MS = -2 * LONGEST_STEP_MS


class ReplayClock:
    """The clock of one replay at `speed` (event time per wall time)."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._from_s = 0.0
        self._from_ms = 0
        self._newest_ms = _NEVER_MS
        self._off_ms = _NEVER_MS
        self._off = 0

    def delay_s(self, ts_ms: int, now_s: float) -> float:
        """Seconds to wait before an event of `ts_ms` (negative: none known) is due, at wall time `now_s`."""
        if ts_ms < 0:
            return 0.0
        if abs(ts_ms - self._newest_ms) <= LONGEST_STEP_MS:
            self._newest_ms, self._off = max(self._newest_ms, ts_ms), 0
            return max(0.0, self._from_s + (ts_ms - self._from_ms) / 1000 / self._speed - now_s)
        self._off = self._off + 1 if abs(ts_ms - self._off_ms) <= LONGEST_STEP_MS else 1
        self._off_ms = ts_ms
        if self._newest_ms == _NEVER_MS or self._off == CONVINCING:
            self._from_s, self._from_ms, self._newest_ms, self._off = now_s, ts_ms, ts_ms, 0
        return 0.0
