"""The liveness and readiness probes of a worker."""

import json
from typing import Any, Protocol

from aiohttp import web


class HealthCheck(Protocol):
    """The details are JSON values; when not well, they give the reason."""

    def live(self) -> tuple[bool, dict[str, Any]]:
        """(counting makes progress, details)."""
        ...

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """(assigned and restored, details)."""
        ...


def add_probes(app: web.Application, health: HealthCheck) -> None:
    """Serve them at /livez and /readyz."""

    async def livez(_request: web.Request) -> web.Response:
        return _verdict("live", health.live())

    async def readyz(_request: web.Request) -> web.Response:
        return _verdict("ready", health.ready())

    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)


def _verdict(probe: str, answer: tuple[bool, dict[str, Any]]) -> web.Response:
    well, details = answer
    text = json.dumps({probe: well, **details})
    return web.Response(text=text, status=200 if well else 503, content_type="application/json")
