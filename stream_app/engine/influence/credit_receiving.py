"""Credit receiving: counts the packets of the credits topic, what others did for the people of a partition.

The topic also has step packets (see core/signals/stored/step_log), which are no units of what is read.

Like a retraction it is counted as soon as it is read: it waits for no step of event time and moves no window. Its time
is that of the entry or share it is for, so it leaves the window with it.
"""

from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import FormatError
from stream_app.core.events.decode import Rejected
from stream_app.core.events.limits import TimeRange
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.funnel.stored.credit_packets import joined_packets
from stream_app.core.signals.stored.step_log import read_steps
from stream_app.core.signals.stored.step_packets import ReadCredits, ReadTrials, SentUntil, decode
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
    packets: list[ReadCredits | SentUntil | ReadTrials]
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
            steps = read_steps(read.packets)
            credits_ = joined_packets([one.credits for one in read.packets if isinstance(one, ReadCredits)])
            erased = self._checks.erased_among(held, credits_.credited)
            kept = np.array([name not in erased for name in credits_.credited], np.bool_)
            if gone := int(np.count_nonzero(~kept)):
                self._meter.erased(gone)
                credits_, steps = credits_.at(kept), steps.at(kept)
            late = credits_.ts_ms // ledger.window.pane_ms < ledger.window.first_pane(ledger.horizon)
            applied = held.store.receive(batch.topic, read.end, credits_, late, rejected + gone, steps)
            self._meter.read(batch.topic, len(kept) + rejected)  # no await in between: the metrics add up at any time
            self._meter.batch(batch.topic, applied.counts, perf_counter() - started)

    def _read(self, batch: Batch) -> Iterator[_ReadPackets]:
        read, size = _ReadPackets(batch.end, [], []), 0
        for index, record in enumerate(batch.records):
            try:
                packet = decode(record.value or b"", self._partitions)
                self._check(packet, batch.partition)
            except FormatError as error:
                read.rejected.append(Rejected(index, "invalid", str(error)))
                continue
            read.packets.append(packet)
            size += _size(packet)
            if size >= _ENOUGH:
                yield read._replace(end=record.offset + 1)
                read, size = _ReadPackets(batch.end, [], []), 0
        yield read

    def _check(self, packet: ReadCredits | SentUntil | ReadTrials, partition: int) -> None:
        """Raise FormatError for what no worker sends to this partition."""
        if isinstance(packet, ReadCredits):
            names = [name.encode() for name in packet.credits.credited]
            if np.any(partitions_of(names, self._partitions) != partition):
                raise FormatError("a packet of credits for people of another partition")
        latest_ms, ts_ms = (self._clock() + self._max_ahead_s) * 1000, _times(packet)
        if self._plausible.beyond(ts_ms) or int(ts_ms.max()) > latest_ms:
            raise FormatError("a packet of credits with a time that no event can have")


def _size(packet: ReadCredits | SentUntil | ReadTrials) -> int:
    if isinstance(packet, SentUntil):
        return 1
    return len(packet.credits.ts_ms if isinstance(packet, ReadCredits) else packet.steps.sharers)


def _times(packet: ReadCredits | SentUntil | ReadTrials) -> Ints:
    if isinstance(packet, ReadCredits):
        return packet.credits.ts_ms
    if isinstance(packet, SentUntil):
        return np.array([packet.sent_ms])
    return np.append(packet.steps.last_ms, packet.judged_ms)
