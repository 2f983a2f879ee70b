"""Limits of what an event may say: the length of its names, and the times that are plausible."""

import datetime as dt
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.schema import MAX_ID_BYTES, Event, Retraction

MAX_ID_DIGITS = 38
"""Digits of an integer id: that of every integer type of databases, 128 bits included."""
_BEYOND: int = 10**MAX_ID_DIGITS
_AROUND_NAME = len('{"event_id":"","ts":1,"user_id":""}')
"""An event has at least this many bytes besides each of its names."""
_BYTES_A_CHARACTER = 4
_NAMES = ("event_id", "user_id", "population", "post_id", "author_id", "via_id", "text_hash")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)
_UNITS = (("seconds", 1000, 1), ("microseconds", 1, 1000), ("nanoseconds", 1, 1_000_000))
"""(name, factor, divisor) to milliseconds."""
_LARGEST_TIME = 10**30
"""No time in any unit is larger."""


class TimeRange(NamedTuple):
    """Event times that are plausible: from `start_ms` on and before `end_ms`, epoch ms."""

    start_ms: int
    end_ms: int

    @classmethod
    def of_days(cls, first: dt.date, end: dt.date) -> "TimeRange":
        """Return the range from the beginning of one day (UTC) to that of another."""
        start_ms, end_ms = ((dt.datetime(*day.timetuple()[:3], tzinfo=dt.UTC) - _EPOCH) // _MS for day in (first, end))
        return cls(start_ms, end_ms)

    def beyond(self, ts_ms: Ints) -> list[int]:
        """Return the indices of times outside of the range."""
        if not len(ts_ms) or (ts_ms.min() >= self.start_ms and ts_ms.max() < self.end_ms):
            return []
        return [int(place) for place in np.flatnonzero((ts_ms < self.start_ms) | (ts_ms >= self.end_ms))]

    def guess(self, number: float) -> str:
        """Say which unit a number that is no plausible time in ms seems to have; empty without a guess."""
        if abs(number) > _LARGEST_TIME:
            return ""
        for name, factor, divisor in _UNITS:
            if self.start_ms <= number * factor / divisor < self.end_ms:
                return f"looks like {name}"
        return ""

    def complaint(self, ts_ms: int) -> str:
        """Say what is wrong with a time outside of the range."""
        if guess := self.guess(ts_ms):
            return f"ts {ts_ms} {guess}: send epoch milliseconds, or RFC 3339 with a zone"
        side = "before STREAM_APP_MIN_TS" if ts_ms < self.start_ms else "not before STREAM_APP_MAX_TS"
        return f"ts {ts_ms} (epoch ms) is {side}: is the producer's clock right? Change the setting to count such times"


PLAUSIBLE = TimeRange.of_days(dt.date(2005, 1, 1), dt.date(2100, 1, 1))


def has_room_for_long_names(size: int, max_id_bytes: int) -> bool:
    """Return whether a record of `size` bytes could hold a name of over `max_id_bytes`."""
    return size > max_id_bytes + _AROUND_NAME


def may_be_long(value: bytes, max_id_bytes: int) -> bool:
    """Return whether a name in a record may be of over `max_id_bytes`. A cheap test before `long_name`."""
    if not has_room_for_long_names(len(value), max_id_bytes):
        return False
    # The schema allows 256 characters, which in ASCII are as many bytes. An escape could stand for any character.
    is_plain = value.isascii() and b"\\u" not in value
    return max_id_bytes < MAX_ID_BYTES or not is_plain


def long_name(event: Event | Retraction, max_id_bytes: int) -> str:
    """Return which name of an event is too long, and what to do; empty if none is."""
    names = [(field, getattr(event, field, None)) for field in _NAMES]
    for field, name in (*names, *(("topics", topic) for topic in getattr(event, "topics", None) or ())):
        if not isinstance(name, str) or len(name) * _BYTES_A_CHARACTER <= max_id_bytes:
            continue
        if (size := len(name.encode())) > max_id_bytes:
            return f"{field} has {size} bytes in UTF-8, over max_id_bytes ({max_id_bytes}): send a hash of it"
    return ""


def long_integer(event: Event | Retraction) -> str:
    """Return which id of an event is an integer of too many digits, and what to do; empty if none is."""
    for field, name in (("event_id", getattr(event, "event_id", None)), ("user_id", event.user_id)):
        if isinstance(name, int) and not is_short(name):
            return f"{field} is an integer of over {MAX_ID_DIGITS} digits: send it as text, or a hash of it"
    return ""


def is_short(number: int) -> bool:
    """Return whether an integer id has few enough digits."""
    return -_BEYOND < number < _BEYOND
