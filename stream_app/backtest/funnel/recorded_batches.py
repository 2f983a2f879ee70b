"""Recorded events in batches: decoded and credited as a worker does it, each event once; and what is taken back."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from stream_app.backtest.recorded_crediting import RecordedCrediting
from stream_app.core.arrays import Hashes
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.events.credit import Credits
from stream_app.core.events.decode import Rejected
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.retractions.retraction_batch import retractions_of
from stream_app.core.state.watermark import Source
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent

_AT_ONCE = 50_000
_KINDS: tuple[type[Event], ...] = (Post, Share)


class RecordedBatches:
    """Reads events without keeping them: 8 bytes of hash for each."""

    def __init__(self, settings: Settings) -> None:
        self._crediting = RecordedCrediting(settings)
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
                yield self._batch([event for event in chunk if event.source == source], kind)
            self._take_back([event for event in chunk if event.retraction])

    @property
    def retracted(self) -> Hashes:
        """The hashes of events that are taken back, whether they were read or not."""
        return self._retracted.keys.view(np.uint64)

    def _batch(self, events: list[RecordedEvent], kind: type[Event]) -> Credits:
        credits_, rejected = self._crediting.credits_of(events, kind)
        fresh = self._fresh(credits_.hashes)
        self._count(len(fresh), len(credits_.ts_ms), rejected)
        return credits_.only(fresh)

    def _take_back(self, events: list[RecordedEvent]) -> None:
        """Note retractions; not erasures, which a file does not decide."""
        retract, rejected = self._crediting.retractions_of(events)
        before = len(self._retracted)
        self._retracted.add(retractions_of(retract, 0).hashes.view(np.int64))
        self._count(len(self._retracted) - before, len(retract), rejected)

    def _count(self, fresh: int, good: int, rejected: list[Rejected]) -> None:
        self.counted.applied += fresh
        self.counted.duplicate += good - fresh
        self.counted.rejected += len(rejected)
        if rejected and self.complaint is None:
            self.complaint = rejected[0].message

    def _fresh(self, hashes: Hashes) -> list[int]:
        """Return the places of events that were not read before, the first of each."""
        before = len(self._seen)
        rows, first = np.unique(self._seen.add(hashes.view(np.int64)), return_index=True)
        return sorted(first[rows >= before].tolist())
