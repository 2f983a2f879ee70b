"""How good the flags of the last day and week were, by role: sums by the hour of event time."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stream_app.core.messages import Flag, Role

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
    flags_per_standing: float | None
    """From the first to the one that ends it, of the standings that ended within it, median."""

    @property
    def precision(self) -> float | None:
        """The part of the warnings that came true; None while there are none."""
        return self.right / self.warnings if self.warnings else None

    @property
    def recall(self) -> float | None:
        """The part of the entries that were foreseen."""
        return self.foreseen / self.entries if self.entries else None


@dataclass(slots=True)
class _Sums:
    """What happened within an hour, or several."""

    warnings: int = 0
    right: int = 0
    entries: int = 0
    leads: Counter[int] = field(default_factory=Counter)
    """Entries that were foreseen, by how many minutes."""
    flags: int = 0
    lengths: Counter[int] = field(default_factory=Counter)
    """Standings that ended, by how many flags they had."""

    def add(self, other: "_Sums") -> None:
        """Add another hour."""
        self.warnings += other.warnings
        self.right += other.right
        self.entries += other.entries
        self.leads.update(other.leads)
        self.flags += other.flags
        self.lengths.update(other.lengths)


class HourlyMeasures:
    """Keeps the hours of the longest window, up to the newest in which anything happened."""

    def __init__(self) -> None:
        self._hours: dict[tuple[int, Role], _Sums] = {}
        self._newest = 0

    def raised(self, flag: Flag, length: int | None) -> None:
        """A flag was raised; `length`: the number of flags of the standing that it ended."""
        sums = self._at(flag.event_time, flag.role)
        sums.flags += 1
        if length is not None:
            sums.lengths[length] += 1

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
        lead_minutes = _median(whole.leads)
        return FlagQuality(
            *(role, window, whole.warnings, whole.right, whole.entries, whole.leads.total()),
            *(None if lead_minutes is None else lead_minutes * 60.0, whole.flags, _median(whole.lengths)),
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


def _median(counts: Counter[int]) -> int | None:
    """Return the lower median of values that occur so often."""
    before, half = 0, (counts.total() + 1) // 2
    for value in sorted(counts):
        before += counts[value]
        if before >= half:
            return value
    return None
