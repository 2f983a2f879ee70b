"""One worker's engine put together on fakes, holding one partition; its restarts continue from what is durable."""

from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import Mock

import numpy as np

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.status import VERSION, Status
from stream_app.core.cuts.histogram import Cells
from stream_app.core.exchange import cut_record, delta_message
from stream_app.core.exchange.curve_deltas import CurveDelta
from stream_app.core.exchange.delta_message import DeltaMessage, DeltaSource
from stream_app.core.exchange.homes import Homes
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import EngineContext
from stream_app.engine.counting.batch_counter import BatchCounter
from stream_app.engine.counting.waiting_batches import WaitingBatches
from stream_app.engine.ownership.rebalance import PartitionOwnership
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.engine.rounds.cut_publisher import CutPublisher
from stream_app.engine.rounds.erasure import PartitionEraser
from stream_app.engine.rounds.evaluation_round import EvaluationRound
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.engine.rounds.partition_updates import PartitionUpdates
from stream_app.engine.rounds.source_reach import SourceReach
from stream_app.engine.rounds.watermark_alignment import WatermarkAlignment
from stream_app.engine.time_synchronization import TimeSynchronization
from tests.unit.engine.fakes import PARTITION, Surroundings, Written
from tests.unit.engine.packing import fetched

CHANGELOG = "influence-segments-changelog"


class Others:
    """The homes in the partitions of other workers, whose ledgers are empty."""

    def __init__(self, context: EngineContext) -> None:
        self._partitions = context.settings.partitions
        self._numbers = [number for number in range(self._partitions) if number != PARTITION]
        self._homes = Homes(
            *(lambda: dict.fromkeys(self._numbers, 1), self._partitions, context.settings.share),
            context.rules.ranking,
        )
        self._homes.follow()
        self.send_nothing(self._homes)
        self.statuses = {number: listening(number) for number in self._numbers}

    def send_nothing(self, homes: Homes) -> None:
        """Send everything of empty ledgers to homes."""
        for source in self._numbers:
            for home in homes.epochs():
                homes.hear(nothing_of(source, home))

    def answer(self, sent: Sequence[Written]) -> Iterator[tuple[bytes, bytes]]:
        """Take what was sent to these homes; yield the records that they publish."""
        for record in sent:
            self._homes.hear(delta_message.decode(record.value or b""))
        for home in self._homes.complete().values():
            cells = home.curves(changed := home.recompute(0))
            for name, cut in home.records(changed, cells, home.intervals(changed, cells)):
                yield cut_record.key_of(name), cut_record.encode(cut)


def listening(partition: int) -> Status:
    """The status of a partition elsewhere, of a release before there were steps."""
    return Status(VERSION, partition, {}, NO_TIME, False, 0, 0, 0, 0, epoch=1, asked=1)


def nothing_of(source: int, home: int = PARTITION) -> DeltaMessage:
    """What a partition without users sends to a home."""
    delta = CurveDelta(is_everything=True, replaced=_NOTHING, cells=Cells(*[_NOTHING] * 4))
    (message,) = delta_message.messages_of(delta, [], DeltaSource(source, 1), home, 0, 100_000)
    return message


_NOTHING = np.empty(0, np.int64)


class Parts:
    """The parts of an engine; `take_over` gives it the partition."""

    def __init__(self, *, hold: bool = True, **settings: Any) -> None:
        self.fake = Surroundings(**settings)
        context = self.fake.context
        self.listener = Mock()
        self.exchange = CurveExchange(context)
        self.outbox = FlagOutbox(
            *(self.fake.standings, context.output, context.meter, self.listener),
            disclosure=self.fake.settings.disclosure,
        )
        self.publisher = CutPublisher(context, self.exchange)
        self.forgotten = Mock()
        eraser = PartitionEraser(context, self.fake.standings, self.forgotten)
        self.synchronization = TimeSynchronization(context, self.fake.broker)
        self.counter = BatchCounter(context, self.fake.kafka, self.synchronization)
        self.waiting = WaitingBatches(self.counter.count, self.fake.kafka)
        reach = SourceReach(
            context, self.fake.kafka, self.waiting.held, lambda: self.exchange.read_ms, lambda: self.exchange.said_ms
        )
        self.alignment = WatermarkAlignment(context, reach, self.exchange.statuses)
        self.updates = PartitionUpdates(context, self.exchange, eraser, self.synchronization, reach, self.alignment)
        self.evaluation = EvaluationRound(
            *(context, self.exchange, self.outbox, self.publisher, self.updates, self.alignment, self.waiting)
        )
        self.ownership = PartitionOwnership(
            *(context, self.fake.segments, self.fake.standings, self.outbox, eraser, self.fake.kafka),
            self.synchronization,
            self.exchange.ids_until_ms,
        )
        self.others = Others(context)
        self._read = self._sent = 0
        if hold:
            self._hold()

    @property
    def store(self) -> LedgerStore:
        """The ledger store of the partition."""
        return self.fake.context.owned[PARTITION].store

    @property
    def ledger(self) -> Ledger:
        """The ledger of the partition."""
        return self.store.ledger

    async def count(self, records: Sequence[Any]) -> None:
        """Count records of one topic."""
        await self.counter.count(fetched(records))

    async def round(self) -> None:
        """Evaluate, let the homes of others answer, and let everybody read what was published."""
        context = self.fake.context
        self.exchange.statuses.update(self.others.statuses)
        context.homes.follow()
        self.others.send_nothing(context.homes)
        await self.evaluation.round()
        await self.fake.producer.flush()
        sent = self.fake.producer.of(self.fake.settings.additions_topic)
        for key, value in self.others.answer(sent[self._sent :]):
            self.exchange.update(key, value)
        written = self.fake.producer.of(self.fake.settings.curves_topic)
        for record in written[self._read :]:
            self.exchange.update(record.key or b"", record.value or b"")
        self._read, self._sent = len(written), len(sent)

    def restore_table(self, stored: dict[bytes, bytes]) -> None:
        """What a recovery of the segments table does."""
        table = self.fake.segments
        table.drop(PARTITION)
        for key, value in stored.items():
            table.data.data[key] = value
            table._partitions[key] = PARTITION

    def _hold(self) -> None:
        taking = self.ownership.take_over({PARTITION}, 1)
        try:
            taking.send(None)  # on fakes nothing is waited for
        except StopIteration:
            return
        raise AssertionError("the fakes made it wait")
