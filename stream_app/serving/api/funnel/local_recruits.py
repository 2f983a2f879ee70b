"""Whom users brought in, as far as they are in this worker's own partitions."""

import asyncio
from collections.abc import Sequence

from stream_app.core.queries import QueryableState, RecruitedBy, RecruitEntry
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peer_protocol import RecruitQuery, RecruitsFound, joined


class LocalRecruits:
    """Answers for the partitions that this worker has."""

    def __init__(self, state: QueryableState, budget: TimeBudget) -> None:
        """`budget` takes the time that answers need."""
        self._state = state
        self._budget = budget

    async def recruits(self, asked: Sequence[RecruitQuery]) -> list[RecruitsFound]:
        """The newest recruits of each user of each query."""
        return [await self._recruits(query) for query in asked]

    async def _recruits(self, query: RecruitQuery) -> RecruitsFound:
        parts = [await self._in(partition, query) for partition in self._state.partitions if query.is_about(partition)]
        with self._budget.running():
            return joined(query, [part for part in parts if part is not None])

    async def _in(self, partition: int, query: RecruitQuery) -> RecruitsFound | None:
        """Those of a partition; in between counting has its turn."""
        search = self._state.recruits(partition, query.scope, query.users)
        if search is None:
            return None
        steps, is_over = search.steps(), False
        while not is_over:
            with self._budget.running():
                is_over = next(steps, True) is True
            await asyncio.sleep(0)
        with self._budget.running():
            return RecruitsFound([self._seen(*theirs) for theirs in search.found(query.most)], [partition])

    def _seen(self, total: int, newest: list[RecruitEntry]) -> RecruitedBy:
        """The same without people who are erased, of whom the partition may still have something."""
        gone = self._state.erasures.among(entry.user for entry in newest)
        seen = [entry for entry in newest if entry.user not in gone]
        return RecruitedBy(total - (len(newest) - len(seen)), seen)
