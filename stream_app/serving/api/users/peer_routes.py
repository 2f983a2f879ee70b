"""What other workers ask this one about its users: signed, never by a browser, and no more than a page needs."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web

from stream_app.serving.api.funnel.local_funnels import LocalFunnels
from stream_app.serving.api.funnel.local_recruits import LocalRecruits
from stream_app.serving.api.scopes.local_scopes import LocalScopes
from stream_app.serving.api.users.local_users import LocalUsers
from stream_app.serving.api.users.peer_protocol import (
    FUNNELS,
    LEADERS,
    PLACES,
    RECRUITS,
    SCOPES,
    FunnelQueryList,
    LeaderQueries,
    PlaceQueries,
    RecruitQueries,
    ScopeQueries,
)
from stream_app.serving.http.bodies import body_of, wait_for_access
from stream_app.serving.http.peer_auth import QUESTION, PeerAuth
from stream_app.serving.http.problems import BadRequestError, RefusedError

_JSON = "application/json"


def add_peer_routes(
    app: web.Application,
    local: LocalUsers,
    scopes: LocalScopes,
    funnels: LocalFunnels,
    recruits: LocalRecruits,
    auth: PeerAuth,
) -> None:
    """Have `app` answer other workers, once `auth` has let them in."""

    def answering(
        answer: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]], queries: Any
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        decode = msgspec.json.Decoder(queries).decode

        async def handle(request: web.Request) -> web.Response:
            if request.content_type != _JSON:
                raise RefusedError(415, f"workers ask in {_JSON}")
            asked = await body_of(request)
            auth.check_body(request.headers, asked)
            try:
                decoded = decode(asked)
            except (msgspec.DecodeError, RecursionError) as error:
                raise BadRequestError(f"{error}: workers of one tracker must be of one release") from error
            body = msgspec.json.encode(await answer(decoded))
            signed = auth.sign_answer(request.headers.get(QUESTION, ""), body)
            return web.Response(body=body, content_type=_JSON, headers={"Cache-Control": "no-store", **signed})

        return handle

    app.router.add_post(FUNNELS, answering(funnels.funnels, FunnelQueryList), expect_handler=wait_for_access)
    app.router.add_post(LEADERS, answering(local.leaders, LeaderQueries), expect_handler=wait_for_access)
    app.router.add_post(RECRUITS, answering(recruits.recruits, RecruitQueries), expect_handler=wait_for_access)
    app.router.add_post(SCOPES, answering(scopes.scopes, ScopeQueries), expect_handler=wait_for_access)
    app.router.add_post(PLACES, answering(local.places, PlaceQueries), expect_handler=wait_for_access)
