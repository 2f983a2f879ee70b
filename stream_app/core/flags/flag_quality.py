"""How good the flags of the last day and week were, by role: sums by the hour of event time."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stream_app.core.messages import Flag, FlagType, Role

HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
Window = Literal["1d", "7d"]
WINDOWS: dict[Window, int] = {"1d": 24, "7d": 7 * 24}
"""Hours, by name."""
_KEPT = max(WINDOWS.values())


class FlagQuality(NamedTuple):
    """The measures of a role within a window."""

    role: Role
    window: Window
    warnings: int
    """Emerging flags that were decided within it."""
    right: int
    entries: int
    foreseen: int
    lead_s: float | None
    """From the first warning to the entry, median; to the minute."""
    flags: int
    standings: int
    """That ended within it."""

    @property
    def precision(self) -> float | None:
        """The part of the warnings that came true; None while there are none."""
        return self.right / self.warnings if self.warnings else None

    @property
    def recall(self) -> float | None:
        """The part of the entries that were foreseen."""
        return self.foreseen / self.entries if self.entries else None

    @property
    def flags_per_standing(self) -> float | None:
        """All flags over the standings that ended."""
        return self.flags / self.standings if self.standings else None


@dataclass(slots=True)
class _Sums:
    """What happened within an hour, or several."""

    warnings: int = 0
    right: int = 0
    entries: int = 0
    leads: Counter[int] = field(default_factory=Counter)
    """Entries that were foreseen, by how many minutes."""
    flags: int = 0
    standings: int = 0

    def add(self, other: "_Sums") -> None:
        """Add another hour."""
        self.warnings += other.warnings
        self.right += other.right
        self.entries += other.entries
        self.leads.update(other.leads)
        self.flags += other.flags
        self.standings += other.standings


class HourlyMeasures:
    """Keeps the hours of the longest window, up to the newest in which anything happened."""

    def __init__(self) -> None:
        self._hours: dict[tuple[int, Role], _Sums] = {}
        self._newest = 0

    def raised(self, flag: Flag) -> None:
        """A flag was raised."""
        sums = self._at(flag.event_time, flag.role)
        sums.flags += 1
        sums.standings += flag.type is FlagType.LEFT

    def entered(self, flag: Flag, lead_ms: int | None) -> None:
        """A user entered, foreseen by so long, or not."""
        sums = self._at(flag.event_time, flag.role)
        sums.entries += 1
        if lead_ms is not None:
            sums.leads[lead_ms // _MINUTE_MS] += 1

    def decided(self, event_ms: int, role: Role, *, came_true: bool) -> None:
        """A warning was decided."""
        sums = self._at(event_ms, role)
        sums.warnings += 1
        sums.right += came_true

    def last(self, role: Role, window: Window, now_ms: int) -> FlagQuality:
        """Return the measures of a role in the hours up to `now_ms`."""
        whole, now = _Sums(), now_ms // HOUR_MS
        for hour in range(now - WINDOWS[window] + 1, now + 1):
            if (sums := self._hours.get((hour, role))) is not None:
                whole.add(sums)
        return FlagQuality(
            *(role, window, whole.warnings, whole.right, whole.entries, whole.leads.total()),
            *(_median_s(whole.leads), whole.flags, whole.standings),
        )

    def _at(self, event_ms: int, role: Role) -> _Sums:
        hour = event_ms // HOUR_MS
        if hour < self._newest - 2 * _KEPT:  # history is counted again
            self._hours.clear()
            self._newest = hour
        if hour > self._newest:
            self._newest = hour
            for key in [key for key in self._hours if key[0] <= hour - _KEPT]:
                del self._hours[key]
        if hour <= self._newest - _KEPT:
            return _Sums()  # of a partition that is far behind: it is not within any window
        return self._hours.setdefault((hour, role), _Sums())


def _median_s(minutes: Counter[int]) -> float | None:
    before, half = 0, (minutes.total() + 1) // 2
    for minute in sorted(minutes):
        before += minutes[minute]
        if before >= half:
            return minute * 60.0
    return None
