"""One worker's engine put together on fakes, holding one partition; its restarts continue from what is durable."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.state.ledger import Ledger
from stream_app.engine.counting import BatchCounter
from stream_app.engine.ownership.rebalance import PartitionOwnership
from stream_app.engine.rounds.curve_exchange import CurveExchange
from stream_app.engine.rounds.cut_publisher import CutPublisher
from stream_app.engine.rounds.erasure import PartitionEraser
from stream_app.engine.rounds.evaluation_round import EvaluationRound
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.engine.time_synchronization import TimeSynchronization
from tests.unit.engine.fakes import PARTITION, Surroundings
from tests.unit.engine.packing import fetched

CHANGELOG = "influence-segments-changelog"


class Parts:
    """The parts of an engine; `take_over` gives it the partition."""

    def __init__(self, *, hold: bool = True, **settings: Any) -> None:
        self.fake = Surroundings(**settings)
        context = self.fake.context
        self.listener = Mock()
        self.exchange = CurveExchange(context)
        self.outbox = FlagOutbox(self.fake.standings, context.output, context.meter, self.listener)
        self.publisher = CutPublisher(context, self.exchange.past)
        self.forgotten = Mock()
        eraser = PartitionEraser(context, self.fake.standings, self.forgotten)
        self.synchronization = TimeSynchronization(context, self.fake.broker)
        self.evaluation = EvaluationRound(
            context, self.exchange, self.outbox, self.publisher, eraser, self.synchronization
        )
        self.ownership = PartitionOwnership(
            *(context, self.fake.segments, self.fake.standings, self.outbox, eraser, self.fake.kafka),
            self.synchronization,
            self.exchange.ids_until_ms,
        )
        self.counter = BatchCounter(context, self.fake.kafka, self.synchronization)
        self._read = 0
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
        """Evaluate, and let everybody read the curves."""
        await self.evaluation.round()
        await self.fake.producer.flush()
        written = self.fake.producer.of(self.fake.settings.curves_topic)
        for record in written[self._read :]:
            self.exchange.update(record.key or b"", record.value or b"")
        self._read = len(written)

    def restore_table(self, stored: dict[bytes, bytes]) -> None:
        """What a recovery of the segments table does."""
        table = self.fake.segments
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
