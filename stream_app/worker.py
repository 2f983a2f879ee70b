"""The composition root: one worker from start to end; engine, HTTP server and Redis board beside each other."""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import faust
from mode import Service
from prometheus_client import CollectorRegistry, ProcessCollector

from stream_app.core.queries import QueryableState, ScopeQueries
from stream_app.core.state.window import Window
from stream_app.engine.build import build_engine
from stream_app.engine.engine import Engine
from stream_app.logs import logging_config
from stream_app.serving.api.server import Api
from stream_app.serving.http.auth import Access
from stream_app.serving.http.server import HttpServer
from stream_app.serving.metrics import Metrics
from stream_app.serving.page import add_page
from stream_app.serving.redis.board_feed import BoardFeed
from stream_app.settings import Settings
from stream_app.settings.hosts import reachable

logger = logging.getLogger(__name__)


def run_worker(settings: Settings) -> int:
    """Run one worker until a signal ends it; returns the exit status."""
    return _Worker(settings).run()


def queryable_state(engine: Engine) -> QueryableState:
    """The state of an engine, for those who serve it."""
    context, settings = engine.context, engine.settings
    scopes = ScopeQueries(
        global_cuts=context.global_cuts,
        past_cuts=engine.exchange.past,
        window=Window(settings.pane_ms, settings.panes, settings.short_panes),
        event_time_ms=lambda: engine.exchange.newest_ms,
        frame_at=engine.publisher.frame,
        rules=context.rules,
        population_sizes=settings.population_sizes,
    )
    return QueryableState(
        stores=lambda: {partition: held.store for partition, held in engine.owned.items()},
        stored_standings=engine.standings_of,
        scopes=scopes,
        statuses=engine.exchange.statuses,
        erasures=context.erasures,
    )


class _Beside(Service):
    """Runs coroutines beside the Faust app: from before it starts until after it ends."""

    def __init__(self, *coroutines: Coroutine[Any, Any, None], last: Callable[[], Awaitable[None]]) -> None:
        """`last` is run before those that have not come to their end are cancelled."""
        super().__init__()
        self._coroutines = coroutines
        self._last = last

    async def on_start(self) -> None:
        """Start them."""
        for coroutine in self._coroutines:
            self.add_future(coroutine)

    async def on_stop(self) -> None:
        """Give them the time to end well."""
        await self._last()


class _Worker:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        metrics = Metrics(registry, settings.input_topics, settings.metric_topics)
        self._engine = build_engine(settings, metrics)
        state = queryable_state(self._engine)
        self._board = BoardFeed(settings, state, metrics, self._engine.publisher.shown)
        self._engine.listeners.append(self._board)
        self._api = Api(settings, state, self._engine.health, self._board.is_up)
        self._http = HttpServer(registry, self._engine.health, Access(settings))
        self._http.add(self._api.add_routes, add_page)

    def run(self) -> int:
        self._engine.watch()
        self._engine.app.on_rebalance_complete.connect(self._board.on_rebalanced, weak=False)
        worker = faust.Worker(
            self._engine.app,
            _Beside(self._serve(), self._engine.run(), self._board.run(), self._api.run(), last=self._board.stop),
            loglevel=self._settings.log_level,
            logging_config=logging_config(self._settings),
            redirect_stdouts=False,
            quiet=True,
            debug=False,
        )
        worker.spinner = None
        try:
            worker.execute_from_commandline()
        except SystemExit as stop:
            return int(stop.code or 0)

    async def _serve(self) -> None:
        host = self._settings.http_host
        port = await self._http.start(host, self._settings.http_port)
        self._engine.listens(self._settings.http_advertised or f"{reachable(host)}:{port}")
        logger.info("serving the page, /api/v1, /metrics, /livez and /readyz on http://%s:%d", host, port)
