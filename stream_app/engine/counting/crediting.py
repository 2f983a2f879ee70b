"""Crediting: decodes and checks the records of a batch, and says what they are worth; the rest is rejected."""

import numpy as np

from stream_app.core.events.credit import Credits, ViewRates, credit, credit_all
from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.signals.stored.event_batches import batch_of, part_of
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.engine.counting.held_batches import Basis, CreditedBatch
from stream_app.engine.counting.record_checks import RecordChecks
from stream_app.kafka.records import Batch


class BatchCrediting:
    """Credits the batches of the owned partitions."""

    def __init__(self, context: EngineContext, checks: RecordChecks) -> None:
        settings = context.settings
        self._settings = settings
        self._rates = ViewRates(settings.view_rate, settings.channel_view_rates)
        self._checks = checks
        self._kinds: dict[str, type[Event]] = {settings.posts_topic: Post, settings.shares_topic: Share}

    def nothing(self) -> Credits:
        """Return the credits of no records."""
        return credit([], Post, self._rates)

    def basis(self, held: OwnedPartition) -> Basis:
        """Return what credits hang on besides the records."""
        return Basis(held.store.ledger.hashing, held.store.ledger.erased)

    def credit(self, held: OwnedPartition, batch: Batch) -> CreditedBatch:
        """Return the credits of the records to count, and the records to set aside.

        Records of erased people are in neither: setting them aside would store them again. Raises ClockDoubtError.
        """
        kind = self._kinds[batch.topic]
        values = [record.value for record in batch.records]
        decoded = decode(values, kind, self._settings.max_event_bytes, self._settings.max_id_bytes)
        credits_, (events, indices, rejected) = credit_all(decoded, kind, self._rates, held.store.ledger.hashing)
        bad = self._checks.bad(held, batch, credits_.users, credits_.ts_ms, indices)
        credits_ = credits_._replace(
            users=self._checks.names(credits_.users),
            authors=self._checks.named(held, credits_.authors),
            vias=self._checks.named(held, credits_.vias),
        )
        by_index = {reject.index: reject for reject in reversed(bad)}
        rejected += by_index.values()
        letters = [(reject.index, batch.records[reject.index].key) for reject in rejected]
        erased = self._checks.erased(held, credits_.users, indices, letters)
        basis = self.basis(held)
        own = batch_of(credits_, events, basis.hashing.key, self._checks.names)
        before = held.store.ledger.source(batch.topic).watermark
        if not bad and not erased:
            return CreditedBatch.of(batch, credits_, indices, rejected, basis, own, before)
        kept = [place for place, index in enumerate(indices) if index not in by_index and index not in erased]
        rejected = [reject for reject in rejected if reject.index not in erased]
        kept_indices = [indices[place] for place in kept]
        own = part_of(own, np.array(kept, np.int64))
        return CreditedBatch.of(batch, credits_.only(kept), kept_indices, rejected, basis, own, before)
