"""Numbers and times as people read them."""

import datetime as dt
import math

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_000


def span(seconds: float) -> str:
    """A duration in its two largest units: 45s, 12m 05s, 2h 10m, 3d 4h."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m {whole % _MINUTE_S:02}s"
    if whole < 2 * _DAY_S:
        return f"{whole // _HOUR_S}h {whole % _HOUR_S // _MINUTE_S:02}m"
    return f"{whole // _DAY_S:,}d {whole % _DAY_S // _HOUR_S}h"


def hours(seconds: float) -> str:
    """A duration in event time, to the minute: 0h 12m, 2h 10m."""
    minutes = int(seconds // _MINUTE_S)
    return f"{minutes // 60:,}h {minutes % 60:02}m"


def moment(ts_ms: int) -> str:
    """A time (epoch ms) in UTC, to the minute; '–' for one outside the years 1 to 9999."""
    if not _FIRST_MS <= ts_ms <= _LAST_MS:
        return "–"
    return f"{dt.datetime.fromtimestamp(ts_ms / 1000, dt.UTC):%Y-%m-%d %H:%M}"


def time_of_day(ts_ms: int) -> str:
    """A time (epoch ms) in UTC without its date."""
    return moment(ts_ms)[-5:]


def rounded(value: float, low: float, high: float) -> str:
    """A number inside its interval from `low` to `high`: digits end where the error begins, two places down at most."""
    if high <= low:
        return f"{value:,.2f}".removesuffix(".00")
    place = math.floor(math.log10((high - low) / 2))
    unit = 10.0**place
    nearest = round(value / unit) * unit
    return f"{nearest:,.{min(max(-place, 0), 2)}f}" if nearest else f"{value:.1g}"


def interval(low: float | None, high: float | None) -> str:
    """[26–36]; empty where none is known."""
    return "" if low is None or high is None else f"[{rounded(low, low, high)}–{rounded(high, low, high)}]"


def plural(count: int, one: str, many: str = "") -> str:
    """'1 worker', '2,000 workers'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
