"""Takes up a few of the duplicates of each batch, and publishes the newest of a partition now and then."""

from collections.abc import Iterator, Sequence

import numpy as np

from stream_app.core.arrays import Mask
from stream_app.core.dedup.deduplicator import UNKNOWN
from stream_app.core.events.credit import Credits
from stream_app.core.events.duplicate_sample import MOST_OF_BATCH, NOWHERE, Duplicate
from stream_app.core.state.ledger import Ledger
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.kafka.records import Batch

PUBLISHED_EVERY_S = 5.0
"""The least time between two records of a partition on the curves topic."""


def duplicates_in(
    batch: Batch, indices: Sequence[int], credits_: Credits, duplicate: Mask, late: Mask, ledger: Ledger, now_ms: int
) -> Iterator[Duplicate]:
    """Yield the last few duplicates of a batch; `indices` are the records of its credits.

    None of them came after `now_ms`, whatever its producer says: it would be the newest until that time.
    """
    places = np.flatnonzero(duplicate)[-MOST_OF_BATCH:]
    if not len(places):
        return
    pane_ms = ledger.window.pane_ms
    own_panes = credits_.ts_ms[places] // pane_ms
    panes = ledger.seen.panes_of(credits_.hashes[places])
    panes = np.where(panes == UNKNOWN, own_panes, panes)  # in a packed pane it is found only by its own time
    for place, pane in zip(places.tolist(), panes.tolist(), strict=True):
        same = credits_.hashes[:place] == credits_.hashes[place]
        first = np.flatnonzero(same & ~(duplicate | late)[:place])
        yield Duplicate(
            arrived_ms=min(batch.records[indices[place]].timestamp, now_ms),
            topic=batch.topic,
            offset=batch.records[indices[place]].offset,
            first_offset=batch.records[indices[int(first[0])]].offset if len(first) else NOWHERE,
            first_from_ms=pane * pane_ms,
            first_until_ms=(pane + 1) * pane_ms,
        )


class DuplicatePublisher:
    """Publishes the newest duplicates of each owned partition."""

    def __init__(self, context: EngineContext, exchange: CurveExchange) -> None:
        self._context = context
        self._exchange = exchange
        self._next_s: dict[int, float] = {}

    def publish(self, partition: int, held: OwnedPartition) -> None:
        """Publish what is new. It includes what former owners of the partition have published."""
        now_s = self._context.clock()
        if held.duplicates.is_published or now_s < self._next_s.get(partition, 0):
            return
        self._next_s[partition] = now_s + PUBLISHED_EVERY_S
        held.duplicates.add(self._exchange.duplicates.get(partition, ()))
        self._context.output.duplicates(held.duplicates.sample(partition))
