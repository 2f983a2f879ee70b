"""The track record of a tracker: which of its emerging flags came true, flag by flag, and the chance of the next.

The flags topic is the record, so every worker has the same and it survives crashes; nothing else is kept. A warning is
decided when the foresight time after it is over, also if it came true at once: or those that come true soon would be
counted before those that do not, and the chance of young records would be too high. (`outcomes.py` decides whole
streams; on one in the order of event time this is the same, flag by flag.)

Everything is bounded: warnings that wait, standings that are followed, and the hours of the measures. No name is kept.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass

from stream_app.core.flags.chance import Chance, Verdicts, chance_of, shipped_chance
from stream_app.core.flags.flag_quality import FlagQuality, HourlyMeasures, Window
from stream_app.core.flags.outcomes import StandingLengths, is_entry, standing_of
from stream_app.core.messages import Flag, FlagType, Reason, Role

_HALVED_AFTER = 250
"""Decided warnings after which one weighs half: what comes true changes from week to week."""
_FADE = 0.5 ** (1 / _HALVED_AFTER)
MOST_WAITING = 5_000
"""Warnings of a partition that are not decided. Beyond, the oldest are left out."""


@dataclass(slots=True, eq=False)
class _Warning:
    standing: int
    event_ms: int
    role: Role
    reason: Reason | None
    came_true: bool = False


class _Waiting:
    """The warnings of one partition that are not decided, in order."""

    def __init__(self, newest_ms: int) -> None:
        self.newest_ms = newest_ms
        """The newest event time of its flags."""
        self.warnings: deque[_Warning] = deque()
        self.by_standing: dict[int, list[_Warning]] = defaultdict(list)
        """The same by the hash of their standing."""

    def add(self, warning: _Warning) -> None:
        """Take the next."""
        self.warnings.append(warning)
        self.by_standing[warning.standing].append(warning)
        if len(self.warnings) > MOST_WAITING:
            self._take_oldest()

    def raised_before(self, event_ms: int) -> Iterator[_Warning]:
        """Take those that were raised before that time."""
        while self.warnings and self.warnings[0].event_ms < event_ms:
            yield self._take_oldest()

    def _take_oldest(self) -> _Warning:
        oldest = self.warnings.popleft()
        own = self.by_standing[oldest.standing]
        own.remove(oldest)
        if not own:
            del self.by_standing[oldest.standing]
        return oldest


class TrackRecord:
    """Takes the flags of a stream one by one, those of each partition in order."""

    def __init__(self, settings_version: str, window_ms: int, foresight_ms: int) -> None:
        """Flags under other settings are no measure of those under these, nor are those of the first window."""
        self._settings_version = settings_version
        self._shipped = shipped_chance(window_ms)
        self._foresight_ms = foresight_ms
        self._waiting: dict[int, _Waiting] = {}
        """By partition: they may be hours apart."""
        self._verdicts: dict[Reason | None, Verdicts] = {}
        """By the way of the warnings, older ones faded."""
        self._measures = HourlyMeasures()
        self._lengths = StandingLengths()

    def add(self, flag: Flag, partition: int = 0) -> None:
        """Take the next flag."""
        if flag.warming_up or flag.settings_version != self._settings_version:
            return
        self.advance(flag.event_time, partition)
        self._measures.raised(flag, self._lengths.add(flag))
        if flag.type is FlagType.EMERGING:
            warning = _Warning(hash(standing_of(flag)), flag.event_time, flag.role, flag.reason)
            self._waiting[partition].add(warning)
        elif is_entry(flag):
            self._entered(flag, self._waiting[partition])

    def advance(self, event_ms: int, partition: int = 0) -> None:
        """Decide the warnings whose foresight time is over, now that a partition has come to `event_ms`.

        The other partitions are there within another foresight time, unless nothing happens in them.
        """
        own = self._waiting.get(partition)
        if own is None or event_ms < own.newest_ms - self._foresight_ms:  # the first, or history is counted again
            own = self._waiting[partition] = _Waiting(event_ms)
        own.newest_ms = max(own.newest_ms, event_ms)
        for waiting in self._waiting.values():
            reached_ms = own.newest_ms if waiting is own else own.newest_ms - self._foresight_ms
            for warning in waiting.raised_before(reached_ms - self._foresight_ms):
                self._decide(warning)

    def chance_of(self, reason: Reason | None) -> Chance:
        """Return the chance of a warning that is raised for that reason."""
        ways = self._verdicts.values()
        whole = Verdicts(sum(way.right for way in ways), sum(way.decided for way in ways))
        return chance_of(self._verdicts.get(reason, Verdicts()), whole, self._shipped)

    def quality(self, role: Role, window: Window) -> FlagQuality:
        """Return how good the flags of a role were within a window, which ends with the newest event time."""
        now_ms = max((waiting.newest_ms for waiting in self._waiting.values()), default=0)
        return self._measures.last(role, window, now_ms)

    def _entered(self, flag: Flag, waiting: _Waiting) -> None:
        first_ms = flag.event_time - self._foresight_ms
        own = waiting.by_standing.get(hash(standing_of(flag)), [])
        in_time = [warning for warning in own if first_ms <= warning.event_ms < flag.event_time]
        for warning in in_time:
            warning.came_true = True
        self._measures.entered(flag, flag.event_time - in_time[0].event_ms if in_time else None)

    def _decide(self, warning: _Warning) -> None:
        self._measures.decided(warning.event_ms + self._foresight_ms, warning.role, came_true=warning.came_true)
        for reason, (right, decided) in self._verdicts.items():
            self._verdicts[reason] = Verdicts(right * _FADE, decided * _FADE)
        right, decided = self._verdicts.get(warning.reason, Verdicts())
        self._verdicts[warning.reason] = Verdicts(right + warning.came_true, decided + 1)
