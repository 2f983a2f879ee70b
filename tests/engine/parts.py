"""One worker's engine put together on fakes, holding one partition; its restarts continue from what is durable."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

from stream_app.core.changelog.ledger_store import Book
from stream_app.core.state.ledger import Ledger
from stream_app.engine.counting import Intake
from stream_app.engine.ownership.rebalance import Ownership
from stream_app.engine.rounds.curve_exchange import Exchange
from stream_app.engine.rounds.cut_publisher import Publisher
from stream_app.engine.rounds.erasure import Eraser
from stream_app.engine.rounds.evaluation_round import Evaluator
from stream_app.engine.rounds.flag_outbox import Outbox
from tests.engine.fakes import PARTITION, Surroundings
from tests.engine.packing import fetched

CHANGELOG = "influence-segments-changelog"


class Parts:
    """The parts of an engine; `take_over` gives it the partition."""

    def __init__(self, *, hold: bool = True, **settings: Any) -> None:
        self.fake = Surroundings(**settings)
        shared = self.fake.shared
        self.told = Mock()
        self.exchange = Exchange(shared.settings, shared.whole, shared.erasures)
        self.outbox = Outbox(self.fake.standings, shared.outlet, shared.meter, self.told)
        self.publisher = Publisher(shared, self.exchange.past)
        self.forgotten = Mock()
        eraser = Eraser(shared, self.fake.standings, self.forgotten)
        self.evaluator = Evaluator(shared, self.exchange, self.outbox, self.publisher, eraser)
        self.ownership = Ownership(
            shared, self.fake.segments, self.fake.standings, self.outbox, eraser, self.fake.kafka
        )
        self.intake = Intake(shared, self.fake.kafka)
        self._read = 0
        if hold:
            self._hold()

    @property
    def book(self) -> Book:
        """The book of the partition."""
        return self.fake.shared.books[PARTITION].book

    @property
    def ledger(self) -> Ledger:
        """The ledger of the partition."""
        return self.book.ledger

    async def count(self, records: Sequence[Any]) -> None:
        """Count records of one topic."""
        await self.intake.count(fetched(records))

    async def round(self) -> None:
        """Evaluate, and let everybody read what was told."""
        await self.evaluator.round()
        await self.fake.outgoing.flush()
        told = self.fake.outgoing.of(self.fake.settings.curves_topic)
        for record in told[self._read :]:
            self.exchange.tell(record.key or b"", record.value or b"")
        self._read = len(told)

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
