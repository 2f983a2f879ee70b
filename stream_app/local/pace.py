"""When to send recorded events so that event time passes at a multiple of real time."""

LONGEST_STEP_MS = 24 * 3_600_000
"""A longer step between two events, either way, is a hole or a wrong clock: it is not waited for."""


class Pace:
    """The clock of one replay at `speed` (event time per wall time)."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._from_s = 0.0
        self._from_ms = 0
        self._newest_ms = -2 * LONGEST_STEP_MS  # so that the first event starts the clock

    def delay_s(self, ts_ms: int, now_s: float) -> float:
        """Seconds to wait before an event of `ts_ms` (negative: none known) is due, at wall time `now_s`."""
        if ts_ms < 0:
            return 0.0
        if abs(ts_ms - self._newest_ms) > LONGEST_STEP_MS:
            self._from_s, self._from_ms, self._newest_ms = now_s, ts_ms, ts_ms
            return 0.0
        self._newest_ms = max(self._newest_ms, ts_ms)
        return max(0.0, self._from_s + (ts_ms - self._from_ms) / 1000 / self._speed - now_s)
