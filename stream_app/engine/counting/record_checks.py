"""Record checks: what is wrong with decoded records: their partition, their time, and whose they are."""

from collections.abc import Sequence
from functools import partial
from time import monotonic

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.decode import Rejected, implausible
from stream_app.core.events.limits import TimeRange
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.partition_check import PartitionsOf, misplaced
from stream_app.core.privacy.pseudonyms import PersonHashes, Pseudonyms
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.kafka.records import Batch


class RecordChecks:
    """Checks the records of the owned partitions."""

    def __init__(self, context: EngineContext) -> None:
        settings = context.settings
        self._max_ahead_s = settings.max_ahead_s
        self._meter = context.meter
        self._clock = context.clock
        self._clocks = context.clocks
        self._erasures = context.erasures
        self._plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
        self._partitions_of: PartitionsOf | None = None
        if settings.partitioner == "murmur2":
            self._partitions_of = partial(partitions_of, partitions=settings.partitions)
        self._pseudonyms = Pseudonyms(PersonHashes(settings.person_key.reveal())) if settings.pseudonyms else None

    def names(self, users: Sequence[str]) -> Sequence[str]:
        """Return users as a ledger names them."""
        return users if self._pseudonyms is None else self._pseudonyms.of(users)

    def bad(
        self, held: OwnedPartition, batch: Batch, users: Sequence[str], ts_ms: Ints, indices: Sequence[int]
    ) -> list[Rejected]:
        """Return the records that must not be counted; `indices` locate those of `users` in the batch.

        Raises ClockDoubtError if this worker's clock may be at fault.
        """
        known = held.store.ledger.users if self._pseudonyms is None else {}
        keys = [record.key for record in batch.records]
        found = list(misplaced(users, keys, indices, batch.partition, self._partitions_of, known))
        if found:
            self._meter.misrouted(len(found))
        return [*found, *implausible(ts_ms, indices, self._plausible), *self._ahead(batch, ts_ms, indices)]

    def erased(
        self,
        held: OwnedPartition,
        users: Sequence[str],
        indices: Sequence[int],
        rejected: Sequence[tuple[int, bytes | None]],
    ) -> set[int]:
        """Return which records of a batch belong to erased people: by user, or by key if `rejected`.

        Users in the ledger need no check, because an erasure removes the user from it.
        """
        if not self._erasures:
            return set()
        names = self.names([(key or b"").decode(errors="replace") for _, key in rejected])
        gone = self._erasures.among(set(users).difference(held.store.ledger.users).union(names))
        if not gone:
            return set()
        return {
            *(index for index, user in zip(indices, users, strict=True) if user in gone),
            *(index for (index, _), name in zip(rejected, names, strict=True) if name in gone),
        }

    def erased_among(self, held: OwnedPartition, names: Sequence[str | None]) -> set[str]:
        """Return who of `names`, as a ledger names people, is erased; they are never counted or credited."""
        if not self._erasures:
            return set()
        return self._erasures.among({name for name in names if name is not None}.difference(held.store.ledger.users))

    def named(self, held: OwnedPartition, people: Sequence[str | None] | None) -> Sequence[str | None] | None:
        """Return people whom events name, as a ledger names them; None in place of those who are erased."""
        if people is None or (self._pseudonyms is None and not self._erasures):
            return people
        known = [person for person in people if person is not None]
        names = iter(self.names(known))
        named = [None if person is None else next(names) for person in people]
        erased = self.erased_among(held, named)
        return [None if name in erased else name for name in named]

    def _ahead(self, batch: Batch, ts_ms: Ints, indices: Sequence[int]) -> list[Rejected]:
        """Reject events with timestamps in the future: a single one would move the window past all others.

        Raises ClockDoubtError if this worker's clock may be at fault.
        """
        now_ms, now_s = self._clock() * 1000, monotonic()
        self._clocks.note_record_time(batch.records[-1].timestamp / 1000 - now_ms / 1000, now_s)
        ahead_s = self._max_ahead_s
        if not len(ts_ms) or int(ts_ms.max()) <= now_ms + (ahead_s + self._clocks.least_ahead_s) * 1000:
            return []
        stamped_ms = min(batch.records[index].timestamp for index in indices)
        judged = self._clocks.judge(
            (batch.topic, batch.partition), (ts_ms - now_ms) / 1000, (stamped_ms - now_ms) / 1000, ahead_s, now_s
        )
        return [
            Rejected(
                indices[place],
                "ahead-of-clock",
                f"ts {ts_ms[place]} is over {ahead_s:g} s ahead of this worker's clock: is the producer's clock right?",
            )
            for place in np.flatnonzero(judged).tolist()
        ]
