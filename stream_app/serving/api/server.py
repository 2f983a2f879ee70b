"""The API put together: what answers, what runs beside it, and what a server has to route to it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from stream_app.serving.api.answers import Answers
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.flags.flag_reader import FlagReader
from stream_app.serving.api.openapi import document
from stream_app.serving.api.push.page_updates import PageUpdates
from stream_app.serving.api.push.sse import EventStreams
from stream_app.serving.api.records import Open
from stream_app.serving.api.routes import PREFIX, add_routes, as_json
from stream_app.serving.api.scopes.throughput import Throughput
from stream_app.serving.api.state import ApiState
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.evidence import EvidenceReader
from stream_app.serving.api.users.local_users import LocalUsers
from stream_app.serving.api.users.peers import Peers
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_PAUSE_S = 5.0


class Api:
    """Answers over HTTP; `run` must run beside it."""

    def __init__(self, settings: Settings, state: ApiState, open_: Open) -> None:
        watch = TimeBudget()
        self._own = LocalUsers(state, settings.panes, watch)
        self._peers = Peers(self._own, state, settings.http_token.reveal(), watch)
        flags = FlagLog(state.erased)
        self._reader = FlagReader(settings.flags_topic, settings.partitions, flags, open_)
        self._throughput = Throughput(state)
        self._answers = Answers(
            settings, state, self._peers, flags, EvidenceReader(settings, open_, state.erased), self._throughput, watch
        )
        self._live = PageUpdates(self._answers, flags, watch, state.erasures)
        self._streams = EventStreams(flags, self._live)

    def add_routes(self, app: web.Application) -> None:
        """Have `app` answer under /api/v1."""
        add_routes(app, self._answers, self._own)
        self._streams.add_routes(app)
        described = document()

        async def openapi(_request: web.Request) -> web.Response:
            return as_json(described)

        app.router.add_get(f"{PREFIX}/openapi.json", openapi)

    async def run(self) -> None:
        """Follow what has to be followed, until cancelled."""
        try:
            await asyncio.gather(*map(_lasting, (self._reader.run, self._throughput.run, self._live.run)))
        finally:
            await self._peers.close()


async def _lasting(run: Callable[[], Awaitable[None]]) -> None:
    """Run it until cancelled: whatever goes wrong in answering is no reason to stop counting."""
    while True:
        try:
            await run()
        except Exception:
            logger.exception("a part of the HTTP API failed, and begins anew")
            await asyncio.sleep(_PAUSE_S)
