"""Queries about the funnel: what each partition of this worker counted of a scope."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from stream_app.core.funnel.cohorts import Cohorts
from stream_app.core.funnel.credited_people import CreditedPeople
from stream_app.core.funnel.funnel import Funnel
from stream_app.core.queries.scope_funnel import ScopeFunnel
from stream_app.core.state.scopes import ScopeName


class BothStages(Protocol):
    """The funnel of one partition: what its people did, and what they were credited with."""

    @property
    def funnel(self) -> Funnel:
        """Of the people of the partition."""

    @property
    def credited(self) -> CreditedPeople:
        """By the decisions of all partitions."""

    @property
    def cohorts(self) -> Cohorts:
        """Of the people of the partition."""


@dataclass(frozen=True, kw_only=True)
class FunnelQueries:
    """The funnels of the partitions that this worker owns."""

    partitions: Callable[[], Mapping[int, BothStages]]
    gap_s: float
    """After so long an absence somebody enters again."""
    horizon_s: float
    """Recruits count for a cohort so long after their recruiter came."""

    def scopes(self, partition: int, topics: Collection[str]) -> Iterator[ScopeName]:
        """The scopes of some topics that a partition knows."""
        held = self.partitions().get(partition)
        names = held.funnel.scopes.names if held else []
        return (name for name in names if name.topic in topics)

    def of(self, partition: int, scope: ScopeName, first_pane: int) -> ScopeFunnel | None:
        """What was counted there from a pane on; None where the partition is not here."""
        held = self.partitions().get(partition)
        if held is None:
            return None
        panes = range(first_pane, max(held.funnel.counts.panes.stop, first_pane))
        sums = held.funnel.sums(scope, panes).plus(held.credited.sums(scope))
        return ScopeFunnel(sums, held.cohorts.days(scope), held.cohorts.known_before)
