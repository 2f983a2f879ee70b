"""Crediting: decodes and checks the records of a batch, and says what they are worth; the rest is rejected."""

from collections.abc import Sequence
from functools import partial
from time import monotonic

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits, ViewRates, credit, credit_all
from stream_app.core.events.decode import Rejected, decode, implausible
from stream_app.core.events.limits import TimeRange
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.partition_check import PartitionsOf, misplaced
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.privacy.pseudonyms import PersonHashes, Pseudonyms
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.engine.counting.held_batches import Basis, CreditedBatch
from stream_app.kafka.records import Batch


class BatchCrediting:
    """Credits the batches of the owned partitions."""

    def __init__(self, context: EngineContext) -> None:
        settings = context.settings
        self._settings = settings
        self._meter = context.meter
        self._clock = context.clock
        self._clocks = context.clocks
        self._erasures = context.erasures
        self._rates = ViewRates(settings.view_rate, settings.channel_view_rates)
        self._plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
        self._partitions_of: PartitionsOf | None = None
        if settings.partitioner == "murmur2":
            self._partitions_of = partial(partitions_of, partitions=settings.partitions)
        self._pseudonyms = Pseudonyms(PersonHashes(settings.person_key.reveal())) if settings.pseudonyms else None
        self._kinds: dict[str, type[Event]] = {settings.posts_topic: Post, settings.shares_topic: Share}

    def nothing(self, topic: str) -> Credits:
        """Return the credits of no records."""
        return credit([], self._kinds[topic], self._rates)

    def basis(self, held: OwnedPartition) -> Basis:
        """Return what credits hang on besides the records."""
        return Basis(held.store.ledger.hashing, held.store.ledger.erased)

    def credit(self, held: OwnedPartition, batch: Batch) -> CreditedBatch:
        """Return the credits of the records to count, and the records to set aside.

        Records of erased people are in neither: setting them aside would store them again. Raises ClockDoubtError.
        """
        kind = self._kinds[batch.topic]
        keys, values = [record.key for record in batch.records], [record.value for record in batch.records]
        decoded = decode(values, kind, self._settings.max_event_bytes, self._settings.max_id_bytes)
        credits_, (_, indices, rejected) = credit_all(decoded, kind, self._rates, held.store.ledger.hashing)
        known = held.store.ledger.users if self._pseudonyms is None else {}
        bad = list(misplaced(credits_.users, keys, indices, batch.partition, self._partitions_of, known))
        if bad:
            self._meter.misrouted(len(bad))
        bad += implausible(credits_.ts_ms, indices, self._plausible)
        bad += self._ahead(batch, credits_.ts_ms, indices)
        if self._pseudonyms is not None:
            credits_ = credits_._replace(users=self._pseudonyms.of(credits_.users))
        by_index = {reject.index: reject for reject in reversed(bad)}
        rejected += by_index.values()
        erased = self._erased(
            held, credits_.users, indices, [(reject.index, keys[reject.index]) for reject in rejected]
        )
        if not bad and not erased:
            return CreditedBatch.of(batch, credits_, indices, rejected, self.basis(held))
        kept = [place for place, index in enumerate(indices) if index not in by_index and index not in erased]
        rejected = [reject for reject in rejected if reject.index not in erased]
        kept_indices = [indices[place] for place in kept]
        return CreditedBatch.of(batch, credits_.only(kept), kept_indices, rejected, self.basis(held))

    def _erased(
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
        texts = [(key or b"").decode(errors="replace") for _, key in rejected]
        names = self._pseudonyms.of(texts) if self._pseudonyms is not None else texts
        gone = self._erasures.among(set(users).difference(held.store.ledger.users).union(names))
        if not gone:
            return set()
        return {
            *(index for index, user in zip(indices, users, strict=True) if user in gone),
            *(index for (index, _), name in zip(rejected, names, strict=True) if name in gone),
        }

    def _ahead(self, batch: Batch, ts_ms: Ints, indices: Sequence[int]) -> list[Rejected]:
        """Reject events with timestamps in the future: a single one would move the window past all others.

        Raises ClockDoubtError if this worker's clock may be at fault.
        """
        now_ms, now_s = self._clock() * 1000, monotonic()
        self._clocks.note_record_time(batch.records[-1].timestamp / 1000 - now_ms / 1000, now_s)
        ahead_s = self._settings.max_ahead_s
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
