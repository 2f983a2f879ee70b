"""The funnel feed: keeps the metrics of funnels up to date, at a small part of the worker's time."""

import asyncio
import logging
from collections.abc import Iterable
from itertools import islice
from time import perf_counter

from stream_app.core.events.names import normal_topic
from stream_app.core.queries import FunnelFigures, QueryableState, ScopeFunnel, ScopeName
from stream_app.serving.funnel_metrics import FunnelMetrics

logger = logging.getLogger(__name__)

MAX_FUNNELS = 200
"""Shown at most: populations come with the events, so their number has no other bound."""
_REFRESH_S = 10.0
_BUSY_FRACTION = 0.005


class FunnelFeed:
    """Adds up the partitions of this worker, of some topics; `run` must run beside it."""

    def __init__(self, state: QueryableState, metrics: FunnelMetrics, topics: Iterable[str]) -> None:
        self._state = state
        self._metrics = metrics
        self._topics = frozenset(map(normal_topic, topics))

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            busy_s = 0.0
            try:
                busy_s = await self.refresh()
            except Exception:  # a fault in metrics must not stop counting
                logger.exception("the metrics of funnels failed, and are tried again")
            await asyncio.sleep(max(_REFRESH_S, busy_s / _BUSY_FRACTION))

    async def refresh(self) -> float:
        """Measure all funnels; return how long that took. In between counting has its turn."""
        found: dict[ScopeName, ScopeFunnel] = {}
        busy_s, first_pane = 0.0, self._state.scopes.panes.start
        for partition in self._state.partitions:
            for scope in list(islice(self._state.funnels.scopes(partition, self._topics), MAX_FUNNELS)):
                started_s = perf_counter()
                funnel = self._state.funnels.of(partition, scope, first_pane)
                if funnel is not None and (scope in found or len(found) < MAX_FUNNELS):
                    found[scope] = funnel.plus(found[scope]) if scope in found else funnel
                busy_s += perf_counter() - started_s
                await asyncio.sleep(0)
        self._metrics.funnels({scope: figures for scope, funnel in found.items() if (figures := self._said(funnel))})
        return busy_s

    def _said(self, funnel: ScopeFunnel) -> FunnelFigures | None:
        """What may be said of the people of this worker; None where they are too few."""
        disclosure = self._state.scopes.disclosure
        return disclosure.of(funnel.figures()) if funnel.sums.participants >= disclosure.least else None
