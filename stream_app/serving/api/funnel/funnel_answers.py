"""Answers about funnels: what all workers counted, added up."""

from collections.abc import Collection, Mapping, Sequence

from stream_app.core.messages import Role
from stream_app.core.queries import CutRecord, QueryableState, ScopeName
from stream_app.serving.api import params
from stream_app.serving.api.funnel.funnel_response import TopicFunnel
from stream_app.serving.api.funnel.local_funnels import LocalFunnels
from stream_app.serving.api.scopes.topics import ScopeAnswers, scope_of
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peer_answers import DECODE_FUNNELS, check_funnels
from stream_app.serving.api.users.peer_protocol import FUNNELS, FunnelFound, FunnelQuery, added
from stream_app.serving.api.users.peers import Peers


class FunnelAnswers:
    """Answers queries about funnels."""

    def __init__(self, state: QueryableState, local: LocalFunnels, peers: Peers, budget: TimeBudget) -> None:
        """`budget` takes the time that answers need."""
        self._state = state
        self._scopes = ScopeAnswers(state.scopes)
        self._local = local
        self._peers = peers
        self._budget = budget

    async def all(
        self,
        asked: Sequence[params.FunnelParams],
        known: Mapping[ScopeName, CutRecord],
        away: Collection[ScopeName],
    ) -> list[TopicFunnel]:
        """The funnel of each topic, with what is known where it is at home; `away`: where nobody knows."""
        first_pane = self._state.scopes.panes.start
        queries = [FunnelQuery(topic=one.topic, population=one.population, first_pane=first_pane) for one in asked]
        answers = await self._peers.everywhere(FUNNELS, queries, self._local.funnels, _checked)
        with self._budget.running():
            found = [added(parts) for parts in zip(*answers, strict=True)]
            reached = [None if scope_of(one) in away else self._reached(one, known.get(scope_of(one))) for one in asked]
            return [self._answer(*one) for one in zip(asked, reached, found, strict=True)]

    def nobody(self, asked: params.FunnelParams) -> TopicFunnel:
        """The same for a topic that nobody has talked about, for which no worker is asked."""
        return self._answer(asked, 0, FunnelFound(None, self._peers.missing([])))

    def _reached(self, asked: params.FunnelParams, record: CutRecord | None) -> int:
        """The impressions of a topic: all that its connectors, and the others, have made."""
        place = params.ScopeParams(topic=asked.topic, population=asked.population, role=Role.CONNECTOR)
        cut = self._scopes.cut(place, record)
        return cut.total if cut else 0

    def _answer(self, asked: params.FunnelParams, reached: int | None, found: FunnelFound) -> TopicFunnel:
        funnel = found.funnel
        return TopicFunnel(
            topic=asked.topic,
            population=asked.population,
            gap_s=self._state.funnels.gap_s,
            horizon_s=self._state.funnels.horizon_s,
            window_start=self._state.scopes.window_start_ms,
            reached=reached,
            stages=funnel.figures() if funnel and funnel.sums.participants else None,
            missing_partitions=self._peers.missing(found.partitions),
        )


def _checked(queries: Sequence[FunnelQuery], body: bytes) -> list[FunnelFound]:
    found = DECODE_FUNNELS(body)
    check_funnels(queries, found)
    return found
