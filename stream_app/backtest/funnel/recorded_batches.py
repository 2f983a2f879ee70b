"""Recorded events in batches: decoded and credited as a worker does it, each event once; and what is taken back."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from stream_app.core.arrays import Hashes
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.events.credit import Credits, ViewRates, credit_all
from stream_app.core.events.decode import Rejected, decode, decode_retractions, implausible
from stream_app.core.events.limits import TimeRange, long_integer
from stream_app.core.events.schema import Event, Post, Retract, Share
from stream_app.core.retractions.retraction_batch import retractions_of
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
        self._seen, self._retracted = HashIndex(), HashIndex()
        self.counted = Source()
        """How many were applied, duplicate and rejected."""
        self.complaint: str | None = None
        """What is wrong with the first that was rejected."""

    def of(self, events: Iterable[RecordedEvent]) -> Iterator[Credits]:
        """Yield the fresh events of each kind, some at a time."""
        taken = iter(events)
        while chunk := list(islice(taken, _AT_ONCE)):
            for source, kind in enumerate(_KINDS):
                yield self._batch([event.value for event in chunk if event.source == source], kind)
            self._take_back([event.value for event in chunk if event.retraction])

    @property
    def retracted(self) -> Hashes:
        """The hashes of events that are taken back, whether they were read or not."""
        return self._retracted.keys.view(np.uint64)

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
        self._reject([*decoded.rejected, *wrong])
        return credits_.only(fresh)

    def _take_back(self, values: list[bytes]) -> None:
        """Note retractions; not erasures, which a file does not decide."""
        decoded = decode_retractions(values, self._settings.max_event_bytes, self._settings.max_id_bytes)
        read = [(event, long_integer(event)) for event in decoded.events if isinstance(event, Retract)]
        self._reject([*decoded.rejected, *(Rejected(0, "invalid", why) for _, why in read if why)])
        hashes = retractions_of([event for event, why in read if not why], 0).hashes
        before = len(self._retracted)
        self._retracted.add(hashes.view(np.int64))
        fresh = len(self._retracted) - before
        self.counted.applied += fresh
        self.counted.duplicate += len(hashes) - fresh

    def _reject(self, rejected: list[Rejected]) -> None:
        self.counted.rejected += len(rejected)
        if rejected and self.complaint is None:
            self.complaint = rejected[0].message

    def _fresh(self, hashes: Hashes) -> list[int]:
        """Return the places of events that were not read before, the first of each."""
        before = len(self._seen)
        rows, first = np.unique(self._seen.add(hashes.view(np.int64)), return_index=True)
        return sorted(first[rows >= before].tolist())
