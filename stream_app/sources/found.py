"""What recorded events turn out to be: how many, why some will be rejected, and how many are older than the window."""

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from stream_app.core.events.credit import uncountable
from stream_app.core.events.decode import Rejected, decode, decode_retractions, implausible
from stream_app.core.events.limits import TimeRange, long_integer
from stream_app.core.events.schema import Post, Share
from stream_app.core.readable import MAX_TEXT, readable
from stream_app.settings import Settings
from stream_app.sources.recorded_event import NO_TIME_MS, RecordedEvent


class RejectedKind(NamedTuple):
    """The lines that are no events for one reason."""

    reason: str
    records: int
    line: int
    """Number of the first, in all files together."""
    message: str
    example: str
    """The beginning of the first."""


class FoundEvents:
    """Counts events as they pass, and judges them as workers with the same settings will."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
        self.count = 0
        self._kinds: dict[str, RejectedKind] = {}
        self._times_ms = array("q")

    @property
    def rejected(self) -> list[RejectedKind]:
        """The largest first."""
        return sorted(self._kinds.values(), key=lambda kind: -kind.records)

    @property
    def unreadable(self) -> int:
        """How many are no events."""
        return sum(kind.records for kind in self._kinds.values())

    def older_than(self, window_s: float) -> int:
        """How many are older than a window that ends with the newest."""
        if not self._times_ms:
            return 0
        start_ms = max(self._times_ms) - window_s * 1000
        return sum(ts_ms < start_ms for ts_ms in self._times_ms)

    def passing(self, events: Iterable[RecordedEvent]) -> Iterator[RecordedEvent]:
        """The same events."""
        for event in events:
            self.count += 1
            if rejected := self._rejected_of(event):
                self._reject(rejected[0].reason, rejected[0].message, event.value)
            elif event.ts_ms != NO_TIME_MS:
                self._times_ms.append(event.ts_ms)
            yield event

    def _rejected_of(self, event: RecordedEvent) -> list[Rejected]:
        limits = self._settings.max_event_bytes, self._settings.max_id_bytes
        if event.retraction:
            taken = decode_retractions([event.value], *limits)
            why, bad = long_integer(taken.events[0]) if taken.events else "", taken.rejected
        else:
            decoded = decode([event.value], Share if event.share else Post, *limits)
            why, bad = uncountable(decoded.events[0]) if decoded.events else "", decoded.rejected
        if bad:
            return bad
        if why:
            return [Rejected(0, "invalid", why)]
        return implausible(np.array([event.ts_ms]), [0], self._plausible)

    def _reject(self, reason: str, message: str, value: bytes) -> None:
        before = self._kinds.get(reason)
        if before is not None:
            self._kinds[reason] = before._replace(records=before.records + 1)
            return
        example = readable(value[:MAX_TEXT].decode(errors="replace"))
        self._kinds[reason] = RejectedKind(reason, 1, self.count, readable(message, MAX_TEXT), example)
