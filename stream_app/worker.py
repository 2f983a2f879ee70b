"""The composition root: one worker from start to end; engine, HTTP server and Redis board beside each other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import faust
from mode import Service
from prometheus_client import CollectorRegistry, ProcessCollector

from stream_app.core.queries import FunnelQueries, QueryableState, ScopeQueries
from stream_app.engine.build import build_engine
from stream_app.engine.engine import Engine
from stream_app.findings import Finding
from stream_app.logs import start_logging
from stream_app.logs.verbosity import Verbosity, log_stacks
from stream_app.otlp import start_otlp
from stream_app.serving.api.server import Api
from stream_app.serving.funnel_feed import FunnelFeed
from stream_app.serving.http.auth import Access
from stream_app.serving.http.connections import ConnectionBounds
from stream_app.serving.http.server import HttpServer
from stream_app.serving.metrics import Metrics
from stream_app.serving.page import add_page
from stream_app.serving.redis.board_feed import BoardFeed
from stream_app.settings import Settings
from stream_app.settings.hosts import host_port, reachable

logger = logging.getLogger(__name__)

_LOOK_S = 0.02


def run_worker(settings: Settings, found: Sequence[Finding] = ()) -> int:
    """Run one worker until a signal ends it; returns the exit status. Logs what the startup audit `found`."""
    start_logging(settings)
    for finding in found:
        logger.warning("%s", finding, extra={"kind": finding})  # each is news, at once
    return _Worker(settings).run()


def queryable_state(engine: Engine) -> QueryableState:
    """The state of an engine, for those who serve it."""
    context, settings = engine.context, engine.settings
    scopes = ScopeQueries(
        followed=context.followed,
        past_cuts=engine.exchange.past,
        window=settings.window,
        event_time_ms=lambda: engine.exchange.newest_ms,
        frame_at=engine.publisher.frame,
        rules=context.rules,
        population_sizes=settings.population_sizes,
        disclosure=settings.disclosure,
    )
    return QueryableState(
        stores=lambda: {partition: held.store for partition, held in engine.owned.items()},
        stored_standings=engine.standings_of,
        scopes=scopes,
        funnels=FunnelQueries(
            partitions=lambda: {
                number: held.store.funnel for number, held in engine.owned.items() if held.store.funnel
            },
            gap_s=settings.funnel_gap_s,
            horizon_s=settings.funnel_horizon_s,
        ),
        statuses=engine.exchange.statuses,
        erasures=context.erasures,
        homes=context.homes,
        record=context.track_record,
    )


class _Beside(Service):
    """Runs coroutines beside the Faust app: from before it starts until after it ends."""

    mundane_level = "debug"

    def __init__(
        self,
        *coroutines: Coroutine[Any, Any, None],
        is_admitted: Callable[[], bool],
        last: Callable[[], Awaitable[None]],
    ) -> None:
        """`is_admitted`: the app starts then; `last` is run before those not at their end are cancelled."""
        super().__init__()
        self._coroutines = coroutines
        self._is_admitted = is_admitted
        self._last = last

    async def on_start(self) -> None:
        """Start them, and return when the app may start: until then this worker takes no partitions from others."""
        for coroutine in self._coroutines:
            self.add_future(coroutine)
        while not self._is_admitted() and not self.should_stop:  # noqa: ASYNC110 - or it was asked to stop
            await asyncio.sleep(_LOOK_S)

    async def on_stop(self) -> None:
        """Give them the time to end well."""
        await self._last()


class _FaustWorker(faust.Worker):
    """Faust's own starts a debugger on SIGUSR2, which stops counting, and writes stacks to stderr on SIGUSR1."""

    mundane_level = "debug"
    verbosity: Verbosity

    def _on_sigusr1(self) -> None:
        self.verbosity.toggle()

    def _on_sigusr2(self) -> None:
        log_stacks()


class _Worker:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        metrics = Metrics(registry, settings.read_topics, settings.metric_topics)
        metrics.counts_by(settings.version)
        self._engine = build_engine(settings, metrics)
        state = queryable_state(self._engine)
        metrics.measures(state.record.quality)
        self._board = BoardFeed(settings, state, metrics, self._engine.publisher.shown)
        self._engine.listeners.append(self._board)
        self._funnels = FunnelFeed(state, metrics, settings.metric_topics)
        self._registry = registry
        self._access = Access(settings, self._engine.exchange.ended_sessions, self._engine.context.output.session)
        counted = (metrics.bound_hit, metrics.flag_seen)
        self._api = Api(settings, state, self._engine.health, self._board.is_up, self._access, *counted)
        bounds = ConnectionBounds(settings.http_max_connections, settings.http_max_connections_per_address)
        self._http = HttpServer(registry, self._engine.health, self._access, bounds, metrics.bound_hit)
        self._http.add(self._api.add_routes, add_page)

    def run(self) -> int:
        self._engine.watch()
        self._engine.app.on_rebalance_complete.connect(self._board.on_rebalanced, weak=False)
        engine = self._engine
        serving = (self._serve(), self._board.run(), self._api.run(), self._funnels.run())
        beside = (*serving, engine.run(), engine.announce())
        worker = _FaustWorker(
            engine.app,
            _Beside(*beside, is_admitted=engine.is_admitted, last=self._board.stop),
            override_logging=False,
            redirect_stdouts=False,
            quiet=True,
            debug=False,
        )
        worker.spinner = None
        worker.verbosity = Verbosity(self._settings.log_level)
        worker.verbosity.listen()
        start_otlp(self._settings, self._registry, "stream-app-worker")
        try:
            worker.execute_from_commandline()
        except SystemExit as stop:
            return int(stop.code or 0)

    async def _serve(self) -> None:
        host = self._settings.http_host
        port = await self._http.start(host, self._settings.http_port, self._settings.http_probe_port)
        self._access.peers.address = self._settings.http_advertised or host_port(reachable(host), port)
        self._engine.listens(self._access.peers.address)
        logger.info("serving the page, /api/v1, /metrics, /livez and /readyz on http://%s", host_port(host, port))
