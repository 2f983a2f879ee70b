"""Carries out erasures: removes erased users from ledgers, their segments, and standings."""

import logging
from collections.abc import Callable

from stream_app.core.changelog.standing_records import names_in
from stream_app.engine.context import EngineContext, OwnedPartition
from stream_app.engine.faust.tables import PartitionTable

logger = logging.getLogger(__name__)

Forget = Callable[[int, list[bytes], set[str]], None]
"""Called with a partition, the keys of the deleted standings, and the erased users."""


class PartitionEraser:
    """Carries out the erasures in one partition at a time."""

    def __init__(self, context: EngineContext, standings: PartitionTable, forget: Forget) -> None:
        self._erasures = context.erasures
        self._output = context.output
        self._standings = standings
        self._forget = forget

    async def visit(self, partition: int, held: OwnedPartition) -> None:
        """Carry out new erasures; return when Kafka has all of it. The caller holds the lock.

        The ledger records its progress only after that, so after a crash the erasures are carried out again.
        """
        ledger, position = held.store.ledger, self._erasures.position
        if ledger.erased == position:
            return
        if self._erasures:
            await self._erase(partition, held)
        ledger.erased = position

    async def _erase(self, partition: int, held: OwnedPartition) -> None:
        standings = {key: names_in(key)[0] for key in self._standings.of_partition(partition)}
        named = held.store.funnel.names if held.store.funnel else ()
        erased = self._erasures.among({*held.store.ledger.users.names, *standings.values(), *named})
        if not erased:
            return
        held.store.erase(erased)
        gone = [key for key, user in standings.items() if user in erased]
        for key in gone:
            self._standings.write(partition, key, None)
        await self._output.flush()
        self._forget(partition, gone, erased)
        logger.info("partition %d: %d erased users and %d standings removed", partition, len(erased), len(gone))
