"""The HTTP side of a worker: metrics, liveness and readiness on one port."""

import errno
import json
import socket
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from stream_app import __version__
from stream_app.serving.metrics import render

STOP_TIMEOUT_S = 1.0
INDEX = f"""stream-app {__version__}

/metrics  for Prometheus
/livez    200 while counting makes progress, 503 when a partition with lag stands still
/readyz   200 once partitions are assigned and their ledgers rebuilt, 503 before
"""


class Health(Protocol):
    """What the engine knows of itself. The details are JSON values; when not well, they give the reason."""

    def live(self) -> tuple[bool, dict[str, Any]]:
        """(counting makes progress, details)."""
        ...

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """(assigned and recovered, details)."""
        ...


class AddressUnavailableError(OSError):
    """The server cannot listen where it should; the message names the setting to change."""


def require_free(host: str, port: int) -> None:
    """Return when a server could listen there. Raises AddressUnavailableError."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise AddressUnavailableError(error.errno, _advice(host, port, error)) from error


class HttpServer:
    """Serves one worker's registry and health."""

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        self._registry = registry
        self._health = health
        app = web.Application()
        app.router.add_get("/", self._index)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_TIMEOUT_S)

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

    async def _index(self, _request: web.Request) -> web.Response:
        return web.Response(text=INDEX)

    async def _metrics(self, _request: web.Request) -> web.Response:
        body, content_type = render(self._registry)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _livez(self, _request: web.Request) -> web.Response:
        return _verdict("live", self._health.live())

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _verdict("ready", self._health.ready())


def _verdict(question: str, answer: tuple[bool, dict[str, Any]]) -> web.Response:
    well, details = answer
    text = json.dumps({question: well, **details})
    return web.Response(text=text, status=200 if well else 503, content_type="application/json")


def _advice(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: set STREAM_APP_HTTP_PORT to a free port, or to 0 to have one chosen"
    return f"cannot listen on {host}:{port} ({error.strerror}): check STREAM_APP_HTTP_HOST and STREAM_APP_HTTP_PORT"
