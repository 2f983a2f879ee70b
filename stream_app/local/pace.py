"""When to send recorded events so that event time passes at a multiple of real time."""

from typing import NamedTuple

LONGEST_STEP_MS = 24 * 3_600_000
"""A longer step ahead is a hole or a wrong clock, a longer one back a late event: it is not waited for."""


class _Clock(NamedTuple):
    """Event time `from_ms` was at wall time `from_s`; `newest_ms` is the newest since."""

    from_s: float
    from_ms: int
    newest_ms: int


_NEVER = _Clock(0.0, 0, -2 * LONGEST_STEP_MS)


class Pace:
    """The clock of one replay at `speed` (event time per wall time)."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._clock = self._before = _NEVER

    def delay_s(self, ts_ms: int, now_s: float) -> float:
        """Seconds to wait before an event of `ts_ms` (negative: none known) is due, at wall time `now_s`."""
        if ts_ms < 0:
            return 0.0
        if ts_ms - self._clock.newest_ms > LONGEST_STEP_MS:
            self._before, self._clock = self._clock, _Clock(now_s, ts_ms, ts_ms)
        if self._clock.newest_ms - ts_ms > LONGEST_STEP_MS:
            if abs(ts_ms - self._before.newest_ms) > LONGEST_STEP_MS:
                return 0.0
            self._clock = self._before  # the step ahead was a wrong clock
        self._clock = self._clock._replace(newest_ms=max(self._clock.newest_ms, ts_ms))
        return max(0.0, self._clock.from_s + (ts_ms - self._clock.from_ms) / 1000 / self._speed - now_s)
