"""The HTTP side of a worker: the page, the API, metrics, liveness and readiness on one port, and probes on another."""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from aiohttp import web
from prometheus_client import CollectorRegistry

from stream_app.serving.http.auth import Access, Handler
from stream_app.serving.http.bodies import body_of, unacceptable, wait_for_access
from stream_app.serving.http.connections import BoundHit, Connection, ConnectionBounds, Connections
from stream_app.serving.http.fair_use import Clients
from stream_app.serving.http.probes import HealthCheck, add_probes
from stream_app.serving.http.problems import BadRequestError, RefusedError, add_headers, problem
from stream_app.serving.metrics import render
from stream_app.settings.hosts import host_port

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 1.0
BOUNDS = ConnectionBounds(most=512, most_per_address=128)
PROBE_BOUNDS = ConnectionBounds(most=16, most_per_address=16)
SESSION = "/api/v1/session"
_MOST_FORM_BYTES = 4096
_TITLES = {
    400: "Bad request",
    401: "No token",
    403: "Not allowed",
    404: "Not found",
    405: "Not for this method",
    408: "Too slow",
    413: "Too large",
    415: "Not in this form",
    429: "Too much",
    503: "Not now",
}


Responder = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class AddressUnavailableError(OSError):
    """The server cannot listen where it should; the message names the setting to change."""


def require_free(host: str, port: int) -> None:
    """Return when a server could listen there. Raises AddressUnavailableError."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise AddressUnavailableError(error.errno, _advice(host, port, error)) from error


class HttpServer:
    """Serves one worker's registry and health, and what else is added before it starts."""

    def __init__(
        self,
        registry: CollectorRegistry,
        health: HealthCheck,
        access: Access,
        bounds: ConnectionBounds = BOUNDS,
        bound_hit: BoundHit = lambda _bound: None,
    ) -> None:
        self._registry = registry
        self._access = access
        self._clients = Clients(access, bound_hit)
        self._bound_hit = bound_hit
        self._app = web.Application(middlewares=[self._guard])
        self._app.router.add_get("/metrics", self._metrics)
        self._app.on_response_prepare.append(_complete)
        add_probes(self._app, health)
        self._app.router.add_post(SESSION, self._enter, expect_handler=wait_for_access)
        self._app.router.add_delete(SESSION, self._leave)
        self._main = Listener(self._app, bounds.within_files(), bound_hit)
        self._probes = Listener(_probe_app(health), PROBE_BOUNDS, bound_hit)

    def add(self, *adders: Callable[[web.Application], None]) -> None:
        """Have it serve more."""
        for add in adders:
            add(self._app)

    async def start(self, host: str, port: int, probe_port: int = 0) -> int:
        """Listen and return the port, chosen by the system when `port` is 0. Raises AddressUnavailableError.

        `probe_port`: where the probes are served too, apart from everything else; 0: nowhere.
        """
        bound = await self._listen(self._main, host, port, "STREAM_APP_HTTP_PORT")
        if probe_port:
            await self._listen(self._probes, host, probe_port, "STREAM_APP_HTTP_PROBE_PORT")
        return bound

    async def _listen(self, listener: "Listener", host: str, port: int, setting: str) -> int:
        try:
            return await listener.start(host, port)
        except OSError as error:
            await self.stop()
            raise AddressUnavailableError(error.errno, _advice(host, port, error, setting)) from error

    async def stop(self) -> None:
        """Close the port and every connection, within STOP_TIMEOUT_S or so."""
        await self._probes.stop()
        await self._main.stop()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who may ask, and say why where there is no answer."""
        try:
            self._access.check(request)
            return await self._clients.answer(request, handler)
        except RefusedError as refused:
            return problem(refused.status, _TITLES[refused.status], str(refused))
        except BadRequestError as error:
            return problem(400, _TITLES[400], str(error))
        except web.HTTPException as error:
            return _refused(request, error)
        except ConnectionResetError:
            return problem(400, _TITLES[400], "the client is gone")  # which nobody will see, nor any log
        except web.RequestPayloadError as error:
            return problem(400, _TITLES[400], f"the body cannot be read: {error}")
        except Exception:
            logger.exception("%s could not be answered", request.path)
            return problem(500, "Failed", "the worker's log says why")

    async def _metrics(self, _request: web.Request) -> web.Response:
        body, content_type = render(self._registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _enter(self, request: web.Request) -> web.Response:
        if request.content_type != "application/x-www-form-urlencoded":
            raise BadRequestError("send a form: application/x-www-form-urlencoded, with the token as `token`")
        body = await body_of(request, _MOST_FORM_BYTES)
        try:
            given = parse_qs(body.decode(), max_num_fields=4)
        except ValueError as error:
            raise BadRequestError(f"the form cannot be read: {error}") from error
        response = web.Response(status=204)
        token, path = (given.get(name, [""])[0] for name in ("token", "path"))
        self._access.open_session(token, path, response, is_secure=_is_secure(request))
        return response

    async def _leave(self, request: web.Request) -> web.Response:
        response = web.Response(status=204)
        self._access.end_session(request, request.query.get("path", ""), response)
        return response


class Listener:
    """A port, with what is served there."""

    def __init__(self, app: web.Application, bounds: ConnectionBounds, bound_hit: BoundHit) -> None:
        self._connections = Connections(bounds, bound_hit)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)
        self._listening: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port. Raises OSError."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None  # noqa: S101 - it was just made
        server.request_handler = _acceptable(server.request_handler)
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Connection(server, self._connections), host, port)
        bound: int = self._listening.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close it, with every connection."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()


def _acceptable(routed: Responder) -> Responder:
    """The same for requests with a head that can be accepted; the connections of others are closed."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if (wrong := unacceptable(request)) is None:
            return await routed(request)
        response = problem(wrong.status, _TITLES.get(wrong.status, "Refused"), wrong.detail)
        response.force_close()
        return response

    return handle


def _probe_app(health: HealthCheck) -> web.Application:
    app = web.Application()
    app.on_response_prepare.append(_complete)
    add_probes(app, health)
    return app


async def _complete(_request: web.Request, response: web.StreamResponse) -> None:
    add_headers(response)


def _refused(request: web.Request, error: web.HTTPException) -> web.Response:
    """What aiohttp says of a request, as a problem."""
    response = problem(
        error.status, _TITLES.get(error.status, error.reason), f"{request.method} {request.path}: {error.reason}"
    )
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _is_secure(request: web.Request) -> bool:
    """Whether the browser speaks TLS, to this server or to a proxy before it."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"


def _advice(host: str, port: int, error: OSError, setting: str = "STREAM_APP_HTTP_PORT") -> str:
    if error.errno == errno.EADDRINUSE:
        else_0 = "to have one chosen" if setting == "STREAM_APP_HTTP_PORT" else "for none"
        return f"port {port} on {host} is in use: set {setting} to a free port, or to 0 {else_0}"
    return f"cannot listen on {host_port(host, port)} ({error.strerror}): check STREAM_APP_HTTP_HOST and {setting}"
