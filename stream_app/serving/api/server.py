"""The API put together: what answers, what runs beside it, and what a server has to route to it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from stream_app.core.messages import Flag
from stream_app.core.queries import QueryableState
from stream_app.kafka.topic_reader import partitions
from stream_app.serving.api.answers import Answers
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.flags.flag_reader import FlagReader
from stream_app.serving.api.funnel.funnel_answers import FunnelAnswers
from stream_app.serving.api.funnel.local_funnels import LocalFunnels
from stream_app.serving.api.funnel.local_recruits import LocalRecruits
from stream_app.serving.api.look_log import LookLog
from stream_app.serving.api.openapi import document
from stream_app.serving.api.push.page_updates import PageUpdates
from stream_app.serving.api.push.sse import EventStreams
from stream_app.serving.api.routes import PREFIX, add_routes, as_json
from stream_app.serving.api.scopes.local_scopes import LocalScopes
from stream_app.serving.api.scopes.overview import Overview
from stream_app.serving.api.scopes.throughput import Throughput
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.evidence import EvidenceReader
from stream_app.serving.api.users.local_users import LocalUsers
from stream_app.serving.api.users.peer_routes import add_peer_routes
from stream_app.serving.api.users.peers import Peers
from stream_app.serving.http.auth import Access
from stream_app.serving.http.connections import BoundHit
from stream_app.serving.http.probes import HealthCheck
from stream_app.settings import Settings

logger = logging.getLogger(__name__)

_PAUSE_S = 5.0


class Api:
    """Answers over HTTP; `run` must run beside it."""

    def __init__(
        self,
        settings: Settings,
        state: QueryableState,
        health: HealthCheck,
        redis_up: Callable[[], bool | None],
        access: Access,
        bound_hit: BoundHit = lambda _bound: None,
        flag_seen: Callable[[Flag], None] = lambda _flag: None,
    ) -> None:
        """`redis_up`: whether Redis answers; None where there is none. `flag_seen`: called for each flag that comes."""
        budget, erased, open_partitions = TimeBudget(), state.erasures.among, partial(partitions, settings)
        flags = FlagLog(erased, state.record.add)
        self._flag_reader = FlagReader(
            *(settings.flags_topic, settings.partitions, flags, open_partitions, flag_seen),
            partial(settings.disclosure.shows, settings_version=settings.version),
        )
        self._local_users, self._local_scopes = LocalUsers(state, budget), LocalScopes(state, budget)
        self._local_funnels = LocalFunnels(state, budget)
        self._peer_auth = access.peers
        most_bytes = settings.peer_answer_bytes
        parts = settings.partitions
        local = (self._local_users, self._local_scopes)
        self._peers = Peers(*local, state, self._peer_auth, budget, most_bytes, bound_hit, parts)
        self._throughput = Throughput(state)
        overview = Overview(settings, state, flags, self._throughput, health, redis_up)
        evidences = EvidenceReader(settings, open_partitions, erased)
        self._local_recruits = LocalRecruits(state, budget)
        funnels = FunnelAnswers(state, self._local_funnels, self._peers, budget)
        self._answers = Answers(settings, state, overview, self._peers, flags, evidences, funnels, budget)
        self._page_updates = PageUpdates(self._answers, flags, budget, lambda: state.erasures.position)
        self._looks = LookLog(settings)
        self._event_streams = EventStreams(flags, self._page_updates, access, settings, bound_hit, self._looks)

    def add_routes(self, app: web.Application) -> None:
        """Have `app` answer under /api/v1."""
        add_routes(app, self._answers, self._looks)
        local = (self._local_users, self._local_scopes, self._local_funnels, self._local_recruits)
        add_peer_routes(app, *local, self._peer_auth)
        self._event_streams.add_routes(app)
        described = document()

        async def openapi(_request: web.Request) -> web.Response:
            return as_json(described)

        app.router.add_get(f"{PREFIX}/openapi.json", openapi)

    async def run(self) -> None:
        """Follow what has to be followed, until cancelled."""
        try:
            await asyncio.gather(
                *map(_restarted, (self._flag_reader.run, self._throughput.run, self._page_updates.run))
            )
        finally:
            await self._peers.close()
            await self._looks.close()


async def _restarted(run: Callable[[], Awaitable[None]]) -> None:
    """Run it until cancelled: a fault in the API must not stop counting."""
    while True:
        try:
            await run()
        except Exception:
            logger.exception("a part of the HTTP API failed, and begins anew")
            await asyncio.sleep(_PAUSE_S)
