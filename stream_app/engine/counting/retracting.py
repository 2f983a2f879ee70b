"""Retracting: takes back what the records of the retractions topic name, and passes on who is to be erased.

A retraction is counted as soon as it is read: it waits for no step of event time and moves no window, because what it
takes back was never true.

Who is erased is recorded in the erasures topic, from where all workers carry it out. That cannot be undone, and all who
may write to the retractions topic could ask for it: so it is done where STREAM_APP_ERASE_BY_EVENT allows it.
"""

from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import NamedTuple

import numpy as np

from stream_app.core.events.credit import texts, times_ms
from stream_app.core.events.decode import Decoded, Rejected, decode_retractions
from stream_app.core.events.limits import long_integer
from stream_app.core.events.schema import Erase, Retract, Retraction
from stream_app.core.privacy.erasures import erasure
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.core.retractions.retraction_batch import Retractions, retractions_of
from stream_app.core.retractions.taking_back import look_up
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.engine.counting.record_checks import RecordChecks
from stream_app.engine.counting.set_aside import SetAside
from stream_app.kafka.records import Batch


class _ReadRetractions(NamedTuple):
    """What the records of a batch say."""

    retractions: Retractions
    indices: Sequence[int]
    """Of the record of each."""
    erase: Sequence[str]
    """Users who are to be erased, as events name them."""
    rejected: list[Rejected]


class Retracting:
    """Counts the batches of the retractions topic."""

    def __init__(self, context: EngineContext, checks: RecordChecks, set_aside: SetAside) -> None:
        self._settings = context.settings
        self._output = context.output
        self._meter = context.meter
        self._clock = context.clock
        self._checks = checks
        self._set_aside = set_aside
        key = context.settings.person_key.reveal()
        self._persons = PersonHashes(key) if key and context.settings.erase_by_event else None

    async def count(self, held: OwnedPartition, batch: Batch) -> None:
        """Take back what a batch names; the caller holds the lock. Raises ClockDoubtError before it does anything."""
        started = perf_counter()
        ledger = held.store.ledger
        read = self._read(held, batch)
        looked_up = look_up(ledger, read.retractions)
        # Both before the position is written: a crash in between does them twice, the other order could lose them.
        self._erase(read.erase)
        late = [read.indices[place] for place in np.flatnonzero(looked_up.late).tolist()]
        await self._set_aside.records(batch, read.rejected, late)
        if read.erase:
            await self._output.flush()
        rejected = len(batch.records) - len(read.indices) - len(read.erase)
        applied = held.store.take_back(batch.topic, batch.end, looked_up, rejected, len(read.erase))
        self._meter.read(batch.topic, len(batch.records))  # no await in between: the metrics add up at any time
        self._meter.unknown_retractions(applied.counts.unknown)
        self._meter.batch(batch.topic, applied.counts._replace(unknown=0), perf_counter() - started)

    def _read(self, held: OwnedPartition, batch: Batch) -> _ReadRetractions:
        values = [record.value for record in batch.records]
        decoded = decode_retractions(values, self._settings.max_event_bytes, self._settings.max_id_bytes)
        decoded = decoded.without(list(self._not_possible(decoded)))
        events = [*zip(decoded.indices, decoded.events, strict=True)]
        users = texts([event.user_id for event in decoded.events])
        ts_ms = times_ms([event.ts for event in decoded.events])
        bad = {
            reject.index: reject for reject in reversed(self._checks.bad(held, batch, users, ts_ms, decoded.indices))
        }
        rejected = [*decoded.rejected, *bad.values()]
        letters = [(reject.index, batch.records[reject.index].key) for reject in rejected]
        erased = self._checks.erased(held, self._checks.names(users), decoded.indices, letters)
        # Who has opted out is among them, and could come back. So an erasure is recorded again if it was before.
        erased -= {index for index, event in events if isinstance(event, Erase) and index not in bad}
        if erased:
            self._meter.erased(len(erased))
        kept = [(index, event) for index, event in events if index not in bad and index not in erased]
        retract = [(index, event) for index, event in kept if isinstance(event, Retract)]
        return _ReadRetractions(
            retractions_of([event for _, event in retract], held.store.ledger.event_key),
            [index for index, _ in retract],
            texts([event.user_id for _, event in kept if isinstance(event, Erase)]),
            [reject for reject in rejected if reject.index not in erased],
        )

    def _not_possible(self, decoded: Decoded[Retraction]) -> Iterator[Rejected]:
        for event, index in zip(decoded.events, decoded.indices, strict=True):
            if why := long_integer(event):
                yield Rejected(index, "invalid", why)
            elif isinstance(event, Erase) and self._persons is None:
                yield Rejected(index, "erase-not-allowed", self._why_not)

    @property
    def _why_not(self) -> str:
        if not self._settings.erase_by_event:
            return (
                "erasures by event are off: set STREAM_APP_ERASE_BY_EVENT=true if all who may write to "
                f"{self._settings.retractions_topic} may erase people, or run `stream-app erase`"
            )
        return "STREAM_APP_PERSON_KEY is empty: erased people are remembered by a hash under this secret"

    def _erase(self, users: Sequence[str]) -> None:
        if self._persons is None:
            return
        for user in users:
            for record in erasure(self._persons, user, round(self._clock() * 1000)):
                self._output.erasure(record)
