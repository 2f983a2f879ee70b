"""Recorded events in batches: decoded and credited as a worker does it, each event once."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from stream_app.core.arrays import Hashes
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.events.credit import Credits, ViewRates, credit_all
from stream_app.core.events.decode import decode, implausible
from stream_app.core.events.limits import TimeRange
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state.watermark import Source
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent

_AT_ONCE = 50_000
_KINDS: tuple[type[Event], ...] = (Post, Share)


class RecordedBatches:
    """Reads events without keeping them: 8 bytes of hash for each."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rates = ViewRates(settings.view_rate, settings.channel_view_rates)
        self._plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
        self._seen = HashIndex()
        self.counted = Source()
        """How many were applied, duplicate and rejected."""
        self.complaint: str | None = None
        """What is wrong with the first that was rejected."""

    def of(self, events: Iterable[RecordedEvent]) -> Iterator[Credits]:
        """Yield the fresh events of each kind, some at a time."""
        taken = iter(events)
        while chunk := list(islice(taken, _AT_ONCE)):
            for kind in _KINDS:
                yield self._batch([event.value for event in chunk if event.share == (kind is Share)], kind)

    def _batch(self, values: list[bytes], kind: type[Event]) -> Credits:
        settings = self._settings
        decoded = decode(values, kind, settings.max_event_bytes, settings.max_id_bytes)
        credits_, decoded = credit_all(decoded, kind, self._rates)
        wrong = implausible(credits_.ts_ms, decoded.indices, self._plausible)
        indices = {reject.index for reject in wrong}
        good = [place for place, index in enumerate(decoded.indices) if index not in indices]
        fresh = [good[place] for place in self._fresh(credits_.hashes[good])]
        self.counted.applied += len(fresh)
        self.counted.duplicate += len(good) - len(fresh)
        rejected = [*decoded.rejected, *wrong]
        self.counted.rejected += len(rejected)
        if rejected and self.complaint is None:
            self.complaint = rejected[0].message
        return credits_.only(fresh)

    def _fresh(self, hashes: Hashes) -> list[int]:
        """Return the places of events that were not read before, the first of each."""
        before = len(self._seen)
        rows, first = np.unique(self._seen.add(hashes.view(np.int64)), return_index=True)
        return sorted(first[rows >= before].tolist())
