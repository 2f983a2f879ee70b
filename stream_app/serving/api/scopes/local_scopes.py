"""What this worker knows of the scopes that are at home in its own partitions: both cuts, and all of their curves."""

from collections.abc import Sequence

from stream_app.core.queries import QueryableState, ScopeName
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peer_protocol import ScopeFound, ScopeQuery


class LocalScopes:
    """Answers for the homes that this worker has."""

    def __init__(self, state: QueryableState, budget: TimeBudget) -> None:
        """`budget` takes the time that answers need."""
        self._state = state
        self._budget = budget

    async def scopes(self, asked: Sequence[ScopeQuery]) -> list[ScopeFound]:
        """What is known of each scope."""
        with self._budget.running():
            return [self._found(query) for query in asked]

    def _found(self, query: ScopeQuery) -> ScopeFound:
        homes, scope = self._state.homes, ScopeName(query.population, query.topic)
        home = homes.home_of(scope)
        if not query.is_about(home) or not homes.is_complete(home):
            return ScopeFound(None, [])
        return ScopeFound(homes.record(scope), [home])
