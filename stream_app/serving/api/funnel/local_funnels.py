"""What this worker counted of funnels, in its own partitions."""

import asyncio
from collections.abc import Sequence

from stream_app.core.queries import QueryableState
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peer_protocol import FunnelFound, FunnelQuery, added


class LocalFunnels:
    """Answers for the partitions that this worker has."""

    def __init__(self, state: QueryableState, budget: TimeBudget) -> None:
        """`budget` takes the time that answers need."""
        self._state = state
        self._budget = budget

    async def funnels(self, asked: Sequence[FunnelQuery]) -> list[FunnelFound]:
        """What was counted of each scope; in between counting has its turn."""
        parts: list[list[FunnelFound]] = [[] for _ in asked]
        for partition in self._state.partitions:
            for query, found in zip(asked, parts, strict=True):
                if not query.is_about(partition):
                    continue
                with self._budget.running():
                    funnel = self._state.funnels.of(partition, query.scope, query.first_pane)
                if funnel is not None:
                    found.append(FunnelFound(funnel, [partition]))
                await asyncio.sleep(0)
        return list(map(added, parts))
