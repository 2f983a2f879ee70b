"""Credit receiving: counts the packets of the credits topic, what others did for the people of a partition.

Like a retraction it is counted as soon as it is read: it waits for no step of event time and moves no window. Its time
is that of the entry or share it is for, so it leaves the window with it.
"""

from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

import numpy as np

from stream_app.core.changelog.columns import FormatError
from stream_app.core.events.decode import Rejected
from stream_app.core.events.limits import TimeRange
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.stored import credit_packets
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.engine.counting.record_checks import RecordChecks
from stream_app.engine.counting.set_aside import SetAside
from stream_app.kafka.records import Batch

_ENOUGH = 10_000
"""Credits that are counted as one batch."""


class _ReadPackets(NamedTuple):
    """Some records of a batch that are counted as one."""

    end: int
    """The offset after them."""
    packets: list[InfluenceCredits]
    rejected: list[Rejected]


class CreditReceiving:
    """Counts the batches of the credits topic. The unit is a credit, or a record that is no packet."""

    def __init__(self, context: EngineContext, checks: RecordChecks, set_aside: SetAside) -> None:
        settings = context.settings
        self._partitions = settings.partitions
        self._meter = context.meter
        self._clock = context.clock
        self._checks = checks
        self._set_aside = set_aside
        self._plausible = TimeRange.of_days(settings.min_ts, settings.max_ts)
        self._max_ahead_s = settings.max_ahead_s

    async def count(self, held: OwnedPartition, batch: Batch) -> None:
        """Count the packets of a batch; the caller holds the lock."""
        for read in self._read(batch):
            started = perf_counter()
            # Before the position is written: a crash in between sets aside twice, the other order could lose it.
            await self._set_aside.records(batch, read.rejected, ())
            ledger, rejected = held.store.ledger, len(read.rejected)
            credits_ = credit_packets.joined_packets(read.packets)
            erased = self._checks.erased_among(held, credits_.credited)
            kept = np.array([name not in erased for name in credits_.credited], np.bool_)
            if gone := int(np.count_nonzero(~kept)):
                self._meter.erased(gone)
                credits_ = credits_.at(kept)
            late = credits_.ts_ms // ledger.window.pane_ms < ledger.window.first_pane(ledger.horizon)
            applied = held.store.receive(batch.topic, read.end, credits_, late, rejected + gone)
            self._meter.read(batch.topic, len(kept) + rejected)  # no await in between: the metrics add up at any time
            self._meter.batch(batch.topic, applied.counts, perf_counter() - started)

    def _read(self, batch: Batch) -> Iterator[_ReadPackets]:
        read, size = _ReadPackets(batch.end, [], []), 0
        for index, record in enumerate(batch.records):
            try:
                packet = credit_packets.decode(record.value or b"")
                self._check(packet, batch.partition)
            except FormatError as error:
                read.rejected.append(Rejected(index, "invalid", str(error)))
                continue
            read.packets.append(packet)
            size += len(packet.ts_ms)
            if size >= _ENOUGH:
                yield read._replace(end=record.offset + 1)
                read, size = _ReadPackets(batch.end, [], []), 0
        yield read

    def _check(self, packet: InfluenceCredits, partition: int) -> None:
        """Raise FormatError for what no worker sends to this partition."""
        if np.any(partitions_of([name.encode() for name in packet.credited], self._partitions) != partition):
            raise FormatError("a packet of credits for people of another partition")
        latest_ms = (self._clock() + self._max_ahead_s) * 1000
        if self._plausible.beyond(packet.ts_ms) or int(packet.ts_ms.max()) > latest_ms:
            raise FormatError("a packet of credits with a time that no event can have")
