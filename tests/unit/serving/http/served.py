"""The server of a worker without a worker, on a real socket, and bytes that are sent to it as they are."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from unittest.mock import MagicMock, Mock

from aiohttp import web
from prometheus_client import CollectorRegistry

from stream_app.serving.api.server import Api
from stream_app.serving.http.auth import Access
from stream_app.serving.http.connections import ConnectionBounds
from stream_app.serving.http.server import BOUNDS, HttpServer
from stream_app.serving.page import add_page
from stream_app.settings import Settings
from stream_app.settings.secret import Secret

LOCALHOST = "127.0.0.1"
TOKEN = "planted-token-of-this-test"
GUARDED = Settings(http_token=Secret(TOKEN))
WAIT_S = 5.0


class Served(NamedTuple):
    """A server that listens."""

    port: int
    access: Access
    bounds_hit: Counter[str]
    server: HttpServer

    async def raw(self, request: bytes, *, within_s: float = WAIT_S) -> bytes:
        """All that comes back until the server closes the connection; a request may be cut off by that."""
        reader, writer = await asyncio.open_connection(LOCALHOST, self.port)
        with suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        answer = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(within_s):
                while part := await reader.read(65_536):
                    answer += part
        await close(writer)
        return answer

    async def get(self, path: str, *headers: str, method: str = "GET", body: str = "") -> bytes:
        """The answer to a request after which the connection is closed."""
        lines = [f"{method} {path} HTTP/1.1", "Connection: close", *headers]
        if not any(line.lower().startswith("host:") for line in headers):
            lines.append(f"Host: {LOCALHOST}:{self.port}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return await self.raw(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


async def close(writer: asyncio.StreamWriter) -> None:
    """Close the side of a client, whatever became of the other one."""
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


def status(answer: bytes) -> int:
    """The status of an answer; 0 where there is none."""
    return int(answer.split()[1]) if answer else 0


def head(answer: bytes) -> dict[str, str]:
    """The headers of an answer, by their names in small letters."""
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@asynccontextmanager
async def serving(
    settings: Settings = GUARDED, bounds: ConnectionBounds = BOUNDS, *routes: web.RouteDef, state: object = None
) -> AsyncIterator[Served]:
    """A server with these settings, the whole API, the page, and some routes of the test."""
    hits: Counter[str] = Counter()
    access = Access(settings)
    health = Mock(live=lambda: (True, {}), ready=lambda: (True, {}))

    def bound_hit(bound: str) -> None:
        hits[bound] += 1

    server = HttpServer(CollectorRegistry(), health, access, bounds, bound_hit)
    state = state or Mock(erasures=MagicMock(), partitions=[], statuses={})
    server.add(Api(settings, state, health, lambda: None, access, bound_hit).add_routes, add_page)  # type: ignore[arg-type]
    server._app.add_routes(routes)
    port = await server.start(LOCALHOST, 0)
    access.peers.address = f"{LOCALHOST}:{port}"
    try:
        yield Served(port, access, hits, server)
    finally:
        await server.stop()
