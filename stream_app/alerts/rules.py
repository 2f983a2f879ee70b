"""The rules of the alerts file: which flags match, and quiet hours. Pure: time is an argument, epoch ms."""

import datetime as dt
import re
from fnmatch import fnmatchcase
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from stream_app.core.events.names import normal_topic
from stream_app.core.messages import Flag, FlagType, Reason, Role
from stream_app.settings.kinds import parse_duration_s

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_DAY = dt.timedelta(days=1)

_Names = Annotated[tuple[str, ...], Meta(min_length=1)]


class QuietHours(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """The part of each day in which nothing is sent: local time, across midnight if `from` is after `to`."""

    start: str | int
    """HH:MM. Without quotes, YAML reads 22:00 as a number: minutes since midnight."""
    end: str | int
    zone: str
    """Such as Europe/Berlin."""

    def __post_init__(self) -> None:
        """Check the times and the zone."""
        if _minutes(self.start) == _minutes(self.end):
            raise ValueError("`from` and `to` are the same time: name two, or leave `quiet` out")
        try:
            ZoneInfo(self.zone)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"there is no time zone {self.zone!r}: write it like Europe/Berlin or UTC") from None

    def ends_ms(self, now_ms: int) -> int:
        """When the current quiet hours end; `now_ms` outside of quiet hours."""
        zone = ZoneInfo(self.zone)
        now = dt.datetime.fromtimestamp(now_ms / 1000, zone)
        start, end, minute = _minutes(self.start), _minutes(self.end), now.hour * 60 + now.minute
        is_quiet = start <= minute < end if start < end else minute >= start or minute < end
        if not is_quiet:
            return now_ms
        today = dt.datetime(now.year, now.month, now.day, end // 60, end % 60, tzinfo=zone)
        # When clocks are put back, a time of day occurs twice.
        times = (today, today.replace(fold=1), today + _DAY)
        return next(ms for time in times if (ms := round(time.timestamp() * 1000)) > now_ms)


class AlertRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which flags go to which sinks, and how often. A flag matches if it matches every field of the rule."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    sinks: _Names
    types: Annotated[tuple[FlagType, ...], Meta(min_length=1)] = (FlagType.EMERGING, FlagType.ENTERED)
    entered_because: Annotated[tuple[Reason, ...], Meta(min_length=1)] = (Reason.ROSE,)
    """Of the flags `entered`, those with one of these reasons: by default of who rose, not of who did nothing."""
    warming_up: bool = False
    """Also flags from before the tracker had seen a whole window."""
    roles: Annotated[tuple[Role, ...], Meta(min_length=1)] = tuple(Role)
    topics: _Names = ("*",)
    """Patterns, such as `phone*` or `#Climate*`, normalised like the topics of events.

    The topic of all topics is called `*`: only `"[*]"` matches it alone.
    """
    populations: _Names = ("*",)
    """Patterns."""
    min_value: Annotated[int, Meta(ge=0)] = 0
    """Posts or impressions in the window."""
    min_z: float | None = None
    cooldown: str = "6h"
    """For so long the rule sends nothing more about the same user."""
    per_hour: Annotated[int, Meta(ge=1)] = 20
    """Messages in any 60 minutes; further flags are held for one digest."""
    quiet: QuietHours | None = None

    def __post_init__(self) -> None:
        """Check the cooldown."""
        parse_duration_s(self.cooldown)

    @property
    def cooldown_ms(self) -> int:
        """Length of the cooldown."""
        return round(parse_duration_s(self.cooldown) * 1000)

    def matches(self, flag: Flag) -> bool:
        """Whether the flag matches the rule."""
        return (
            flag.type in self.types
            and (self.warming_up or not flag.warming_up)
            and (flag.type is not FlagType.ENTERED or flag.reason is None or flag.reason in self.entered_because)
            and flag.role in self.roles
            and flag.value >= self.min_value
            and (self.min_z is None or flag.z >= self.min_z)
            and any(fnmatchcase(flag.topic, pattern) for pattern in map(normal_topic, self.topics))
            and any(fnmatchcase(flag.population, pattern) for pattern in self.populations)
        )

    def quiet_until_ms(self, now_ms: int) -> int:
        """When the rule may send: `now_ms`, or the end of its quiet hours."""
        return self.quiet.ends_ms(now_ms) if self.quiet else now_ms


def _minutes(time: str | int) -> int:
    if isinstance(time, int) and 0 <= time < 24 * 60:
        return time
    if found := _CLOCK.fullmatch(str(time).strip()):
        return int(found[1]) * 60 + int(found[2])
    raise ValueError(f'{time!r} is no time of day: write it like "22:00", in quotes')
