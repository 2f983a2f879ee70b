"""Recorded crediting: recorded events, decoded, checked and credited as by a worker that reads them now."""

import time
from collections.abc import Sequence

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits, ViewRates, credit_all, texts, times_ms
from stream_app.core.events.decode import Rejected, decode, decode_retractions, implausible
from stream_app.core.events.limits import TimeRange, long_integer
from stream_app.core.events.partition_check import misplaced
from stream_app.core.events.schema import Event, Retract
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent


class RecordedCrediting:
    """Reads recorded events."""

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.max_event_bytes, settings.max_id_bytes
        self._rates = ViewRates(settings.view_rate, settings.channel_view_rates)
        self._plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
        self._latest_ms = round((time.time() + settings.max_ahead_s) * 1000)

    def credits_of(self, events: Sequence[RecordedEvent], kind: type[Event]) -> tuple[Credits, list[Rejected]]:
        """Return the credits of posts or shares, and what is rejected."""
        decoded = decode([event.value for event in events], kind, *self._limits)
        credits_, (_, indices, rejected) = credit_all(decoded, kind, self._rates)
        bad = self._bad(events, credits_.users, credits_.ts_ms, indices)
        if bad:
            credits_ = credits_.only([place for place, index in enumerate(indices) if index not in bad])
        return credits_, [*rejected, *bad.values()]

    def retractions_of(self, events: Sequence[RecordedEvent]) -> tuple[list[Retract], list[Rejected]]:
        """Return retractions, and what is rejected; without erasures, which a file does not decide."""
        found, indices, rejected = decode_retractions([event.value for event in events], *self._limits)
        bad = self._bad(events, texts([one.user_id for one in found]), times_ms([one.ts for one in found]), indices)
        bad |= {
            index: Rejected(index, "invalid", why)
            for one, index in zip(found, indices, strict=True)
            if (why := long_integer(one))
        }
        kept = [one for one, index in zip(found, indices, strict=True) if index not in bad]
        return [one for one in kept if isinstance(one, Retract)], [*rejected, *bad.values()]

    def _bad(
        self, events: Sequence[RecordedEvent], users: Sequence[str], ts_ms: Ints, indices: Sequence[int]
    ) -> dict[int, Rejected]:
        """Return the events that must not be counted, by index."""
        found = [
            *misplaced(users, [event.key for event in events], indices, 0, None, {}),
            *implausible(ts_ms, indices, self._plausible),
            *self._ahead(ts_ms, indices),
        ]
        return {reject.index: reject for reject in reversed(found)}

    def _ahead(self, ts_ms: Ints, indices: Sequence[int]) -> list[Rejected]:
        return [
            Rejected(
                indices[place],
                "ahead-of-clock",
                f"ts {ts_ms[place]} (epoch ms) is ahead of the present: no worker counts it",
            )
            for place in np.flatnonzero(ts_ms > self._latest_ms).tolist()
        ]
