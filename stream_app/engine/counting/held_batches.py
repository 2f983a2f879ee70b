"""Held batches: batches of a source that are counted up to the end of a step of event time; what comes later is held.

They are decoded once, and then counted piece by piece, as event time goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits
from stream_app.core.events.decode import Rejected
from stream_app.core.events.identity import HashingPlan
from stream_app.core.signals.own_events import OwnEvents
from stream_app.core.signals.stored.event_batches import part_of
from stream_app.core.state.watermark import NO_TIME
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Batch


class Basis(NamedTuple):
    """What the credits of a batch hang on besides its records: if it changes meanwhile, they are made again."""

    hashing: HashingPlan
    erased: int
    """See `Ledger.erased`."""


class CreditedBatch(NamedTuple):
    """A batch, what its events are worth, and what is not counted of it."""

    batch: Batch
    credits: Credits
    indices: Sequence[int]
    """Of the record of each event, increasing."""
    rejected: list[Rejected]
    erased: int
    """Records of erased people, which are nowhere else here."""
    newest_ms: Ints
    """By event: the newest event time in its source up to it, epoch ms."""
    basis: Basis
    own: OwnEvents
    """The events as the signals see them."""
    first_event: int = 0
    """The first event that is not counted yet …"""
    first_record: int = 0
    """… and the first record."""

    @classmethod
    def of(
        cls,
        batch: Batch,
        credits_: Credits,
        indices: Sequence[int],
        rejected: list[Rejected],
        basis: Basis,
        own: OwnEvents,
        watermark_ms: int = NO_TIME,
    ) -> "CreditedBatch":
        """Return a credited batch; records that are neither counted nor rejected belong to erased people.

        `watermark_ms`: the newest event time in the source before the batch.
        """
        erased = len(batch.records) - len(indices) - len(rejected)
        newest_ms = np.maximum.accumulate(np.maximum(credits_.ts_ms, watermark_ms))
        return cls(batch, credits_, indices, rejected, erased, newest_ms, basis, own)

    @property
    def uncounted(self) -> Batch:
        """What is not counted yet."""
        return self.batch._replace(records=self.batch.records[self.first_record :])

    def split(self, end_ms: int) -> tuple["CreditedBatch | None", "CreditedBatch | None"]:
        """Return what comes next and before the first event at or after `end_ms`, and the rest; None for nothing."""
        place = max(int(np.searchsorted(self.newest_ms, end_ms)), self.first_event)  # steps may begin anew, earlier
        if place == len(self.newest_ms):
            return self._until(place, len(self.batch.records), self.batch.end), None
        index = self.indices[place]
        if index == self.first_record:
            return None, self
        return self._until(place, index, self.batch.records[index].offset), self._replace(
            first_event=place, first_record=index
        )

    def _until(self, place: int, index: int, end: int) -> "CreditedBatch":
        """Return what comes next, up to an event and a record; `end`: the offset after it."""
        if (self.first_record, index) == (0, len(self.batch.records)):
            return self
        indices = [known - self.first_record for known in self.indices[self.first_event : place]]
        within = range(self.first_record, index)
        rejected = [one._replace(index=one.index - self.first_record) for one in self.rejected if one.index in within]
        return CreditedBatch(
            self.batch._replace(records=self.batch.records[self.first_record : index], end=end),
            *(self.credits.between(self.first_event, place), indices, rejected),
            *(len(within) - len(indices) - len(rejected), self.newest_ms[self.first_event : place], self.basis),
            part_of(self.own, slice(self.first_event, place)),
        )


@dataclass
class HeldBatches:
    """Fetched batches of a source that are being counted."""

    fetched: FetchedBatches
    unpacked: Iterator[Batch]
    """Those that are not looked at yet."""
    credited: CreditedBatch | None = None
    """What is decoded, and not counted yet."""

    @property
    def partition(self) -> int:
        """The partition of the source."""
        return self.fetched.partition

    @property
    def next_ms(self) -> int:
        """The event time that counting comes to next, epoch ms; NO_TIME while nothing is decoded."""
        return int(self.credited.newest_ms[self.credited.first_event]) if self.credited is not None else NO_TIME

    @property
    def newest_ms(self) -> int:
        """The newest event time of what is decoded, epoch ms; NO_TIME while nothing is."""
        return int(self.credited.newest_ms[-1]) if self.credited is not None else NO_TIME
