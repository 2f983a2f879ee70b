"""What this worker knows of the scopes that are at home in its own partitions: their cuts and curves, and ranks."""

import asyncio
from collections.abc import Sequence

from stream_app.core.queries import QueryableState, at_home
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peer_protocol import ScopeFound, ScopeQuery


class LocalScopes:
    """Answers for the homes that this worker has."""

    def __init__(self, state: QueryableState, budget: TimeBudget) -> None:
        """`budget` takes the time that answers need."""
        self._state = state
        self._budget = budget

    async def scopes(self, asked: Sequence[ScopeQuery]) -> list[ScopeFound]:
        """What is known of each scope; in between counting has its turn."""
        found = []
        for query in asked:
            with self._budget.running():
                found.append(self._found(query))
            await asyncio.sleep(0)
        return found

    def _found(self, query: ScopeQuery) -> ScopeFound:
        homes, scope = self._state.homes, query.scope
        home = homes.home_of(scope)
        if not query.is_about(home) or not homes.is_complete(home):
            return ScopeFound(None, [], [])
        found = at_home(homes, scope, query.values, with_curve=query.with_curve)
        return ScopeFound(found.record, found.ranks, [home]) if found else ScopeFound(None, [], [home])
