"""One worker from start to end: engine, HTTP server and Redis board beside each other."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import faust
from mode import Service
from prometheus_client import CollectorRegistry, ProcessCollector

from stream_app.engine.build import build_engine
from stream_app.kafka.topic_reader import partitions
from stream_app.logs import logging_config
from stream_app.serving.api.server import Api
from stream_app.serving.http.auth import Access
from stream_app.serving.http.server import HttpServer
from stream_app.serving.metrics import Metrics
from stream_app.serving.page import add_page
from stream_app.serving.redis.board import open_board
from stream_app.serving.redis.writer import BoardWriter
from stream_app.settings import Settings
from stream_app.settings.hosts import reachable
from stream_app.worker.api_state import EngineState
from stream_app.worker.board_feed import BoardFeed

logger = logging.getLogger(__name__)

_LAST_WRITE_S = 3.0
"""Less than a worker that is told to end has: Redis may not answer."""


def run_worker(settings: Settings) -> int:
    """Run one worker until a signal ends it; returns the exit status."""
    return _Worker(settings).run()


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
        self._metrics = Metrics(registry, settings.input_topics, settings.metric_topics)
        self._engine = build_engine(settings, self._metrics)
        self._feed = BoardFeed(
            self._engine.owned, settings.redis_top, self._engine.standings_of, self._engine.publisher.present
        )
        self._engine.listeners.append(self._feed)
        self._is_redis_up: bool | None = None
        state = EngineState(self._engine, lambda: self._is_redis_up)
        self._api = Api(settings, state, partial(partitions, settings))
        self._http = HttpServer(registry, self._engine.health, Access(settings))
        self._http.add(self._api.add_routes, add_page)
        self._shown = asyncio.Event()
        """The board has been written for the last time."""

    def run(self) -> int:
        self._engine.watch()
        self._engine.app.on_rebalance_complete.connect(self._on_rebalance, weak=False)
        worker = faust.Worker(
            self._engine.app,
            _Beside(self._serve(), self._engine.run(), self._show(), self._api.run(), last=self._show_last),
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

    async def _show(self) -> None:
        """Keep the Redis board, where one is configured."""
        settings = self._settings
        if not settings.redis_url:
            return
        board = open_board(settings)
        self._feed.writer = BoardWriter(
            board, settings.redis_refresh_s, settings.redis_expiry_s, self._on_redis, self._metrics.flags_dropped
        )
        await self._feed.writer.run(self._feed.take)
        self._shown.set()

    async def _show_last(self) -> None:
        """Have the flags that still wait written to Redis: nobody else has them for it."""
        if self._feed.writer is None:
            return
        self._feed.writer.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WRITE_S):
                await self._shown.wait()

    async def _on_rebalance(self, *_args: Any, **_kwargs: Any) -> None:
        if self._feed.writer:
            self._feed.writer.request_full()

    def _on_redis(self, up: bool, reason: str) -> None:  # noqa: FBT001 - the board's own signature
        self._metrics.redis_up(up)
        self._is_redis_up = up
        if up:
            logger.info("Redis is there: the board is complete within seconds")
        else:
            logger.warning("Redis is away, counting goes on without it: %s", reason, extra={"kind": reason})
