"""The HTTP side of a worker: the page, the API, metrics, liveness and readiness on one port."""

import errno
import logging
import socket
from collections.abc import Callable

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry

from stream_app.serving.api.routes import PREFIX, BadRequestError, problem
from stream_app.serving.http.auth import COOKIE, Access, Handler, RefusedError
from stream_app.serving.http.probes import HealthCheck, add_probes
from stream_app.serving.metrics import render

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 1.0
_TITLES = {400: "Bad request", 401: "No token", 403: "Not allowed", 404: "Not found", 405: "Not for this method"}


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

    def __init__(self, registry: CollectorRegistry, health: HealthCheck, access: Access) -> None:
        self._registry = registry
        self._access = access
        self._app = web.Application(middlewares=[self._guard])
        self._app.router.add_get("/metrics", self._metrics)
        add_probes(self._app, health)
        self._app.router.add_post(f"{PREFIX}/session", self._enter)
        self._app.router.add_delete(f"{PREFIX}/session", self._leave)
        logging.getLogger("aiohttp.server").addFilter(_is_our_fault)
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)

    def add(self, *adders: Callable[[web.Application], None]) -> None:
        """Have it serve more."""
        for add in adders:
            add(self._app)

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port, chosen by the system when `port` is 0. Raises AddressUnavailableError."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise AddressUnavailableError(error.errno, _advice(host, port, error)) from error
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Close the port and every connection, within STOP_TIMEOUT_S or so."""
        await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in who may ask, and say why where there is no answer."""
        try:
            self._access.check(request)
            return await handler(request)
        except RefusedError as refused:
            return problem(refused.status, _TITLES[refused.status], str(refused))
        except BadRequestError as error:
            return problem(400, _TITLES[400], str(error))
        except web.HTTPException as error:
            return _refused(request, error)
        except ConnectionResetError:
            return problem(400, _TITLES[400], "the client is gone")  # which nobody will see, nor any log
        except Exception:
            logger.exception("%s could not be answered", request.path)
            return problem(500, "Failed", "the worker's log says why")

    async def _metrics(self, _request: web.Request) -> web.Response:
        body, content_type = render(self._registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _enter(self, request: web.Request) -> web.Response:
        try:
            given = await request.post()
        except (ValueError, LookupError) as error:  # of no known encoding, or not what it says it is
            raise BadRequestError(f"the form cannot be read: {error}") from error
        response = web.Response(status=204)
        self._access.session(str(given.get("token", "")), response, is_secure=_is_secure(request))
        return response

    async def _leave(self, _request: web.Request) -> web.Response:
        response = web.Response(status=204)
        response.del_cookie(COOKIE, path="/")
        return response


def _is_our_fault(record: logging.LogRecord) -> bool:
    """Whether to log it: what is no HTTP is answered with 400, and anybody could fill the log with it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


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


def _advice(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: set STREAM_APP_HTTP_PORT to a free port, or to 0 to have one chosen"
    return f"cannot listen on {host}:{port} ({error.strerror}): check STREAM_APP_HTTP_HOST and STREAM_APP_HTTP_PORT"
