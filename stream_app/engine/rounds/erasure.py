"""Takes those who were erased out of what a worker holds: out of ledgers, their segments, and standings."""

import logging
from collections.abc import Callable

from stream_app.engine.context import Held, Shared
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.rounds.standing_records import user_of

logger = logging.getLogger(__name__)

Forget = Callable[[int, list[bytes], set[str]], None]
"""Called with a partition, the keys of standings that are gone, and whose they were."""


class Eraser:
    """Carries out the erasures in one partition after the other."""

    def __init__(self, shared: Shared, standings: PartitionTable, forget: Forget) -> None:
        self._erasures = shared.erasures
        self._outlet = shared.outlet
        self._standings = standings
        self._forget = forget

    async def visit(self, partition: int, held: Held) -> None:
        """Carry out what was not yet: Kafka has all of it when this returns. Whoever calls holds the lock.

        The ledger says that it is done only after that, so after a crash it is done again.
        """
        ledger, position = held.book.ledger, self._erasures.position
        if ledger.erased == position:
            return
        if self._erasures:
            await self._erase(partition, held)
        ledger.erased = position

    async def _erase(self, partition: int, held: Held) -> None:
        standings = {key: user_of(key) for key in self._standings.of_partition(partition)}
        erased = self._erasures.among(held.book.ledger.users.names) | self._erasures.among({*standings.values()})
        if not erased:
            return
        held.book.erase(erased)
        gone = [key for key, user in standings.items() if user in erased]
        for key in gone:
            self._standings.write(partition, key, None)
        await self._outlet.flush()
        self._forget(partition, gone, erased)
        logger.info("partition %d: %d erased users and %d standings removed", partition, len(erased), len(gone))
