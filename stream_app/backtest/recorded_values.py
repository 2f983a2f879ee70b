"""Recorded values: decoded, checked and credited as by a worker that reads them now."""

import time
from collections.abc import Sequence

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits, ViewRates, credit_all, times_ms
from stream_app.core.events.decode import Rejected, decode, decode_retractions, implausible
from stream_app.core.events.limits import TimeRange, long_integer
from stream_app.core.events.schema import Event, Retract
from stream_app.settings import Settings


class RecordedValues:
    """Reads the values of recorded events."""

    def __init__(self, settings: Settings) -> None:
        self._limits = settings.max_event_bytes, settings.max_id_bytes
        self._rates = ViewRates(settings.view_rate, settings.channel_view_rates)
        self._plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
        self._latest_ms = round((time.time() + settings.max_ahead_s) * 1000)

    def credits_of(self, values: list[bytes], kind: type[Event]) -> tuple[Credits, list[Rejected]]:
        """Return the credits of posts or shares, and what is rejected."""
        credits_, (_, indices, rejected) = credit_all(decode(values, kind, *self._limits), kind, self._rates)
        wrong = {reject.index: reject for reject in self._at_wrong_times(credits_.ts_ms, indices)}
        if wrong:
            credits_ = credits_.only([place for place, index in enumerate(indices) if index not in wrong])
        return credits_, [*rejected, *wrong.values()]

    def retractions_of(self, values: list[bytes]) -> tuple[list[Retract], list[Rejected]]:
        """Return retractions, and what is rejected; without erasures, which a file does not decide."""
        events, indices, rejected = decode_retractions(values, *self._limits)
        times = times_ms([event.ts for event in events])
        wrong = {reject.index: reject for reject in self._at_wrong_times(times, indices)}
        wrong |= {
            index: Rejected(index, "invalid", why)
            for event, index in zip(events, indices, strict=True)
            if (why := long_integer(event))
        }
        kept = [event for event, index in zip(events, indices, strict=True) if index not in wrong]
        return [event for event in kept if isinstance(event, Retract)], [*rejected, *wrong.values()]

    def _at_wrong_times(self, ts_ms: Ints, indices: Sequence[int]) -> list[Rejected]:
        ahead = np.flatnonzero(ts_ms > self._latest_ms).tolist()
        found = [
            Rejected(
                indices[place],
                "ahead-of-clock",
                f"ts {ts_ms[place]} (epoch ms) is ahead of the present: no worker counts it",
            )
            for place in ahead
        ]
        return [*found, *implausible(ts_ms, indices, self._plausible)]
