"""The connections of an HTTP server: how many there may be, of one address too, and how long each may take.

A new connection is not refused because others wait without a request: the one that has waited longest makes room. So a
thousand half-open connections keep nobody out; refused is only what comes while so many requests are being answered.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from aiohttp import web

from stream_app.serving.http.problems import problem

HEAD_S = 10.0
"""From a connection's first moment, or the first byte of a further request, to the end of the request's headers."""
IDLE_S = 75.0
"""Between two requests: longer than proxies and browsers keep a connection that they might use again."""
ANSWER_S = 30.0
"""In which a client has to take an answer."""
MOST_HEAD_BYTES = 32_768
MOST_HEADERS = 64
_DRAIN_S = 1.0
_MOST_DRAINED_BYTES = 4_000_000
"""A client that is still sending what nobody reads sees the answer only if it may send a little more."""
_FILES_SHARE = 0.5
"""Of the files that the process may open: the rest is for Kafka, Redis, and connections about to be refused."""

BoundHit = Callable[[str], None]


class ConnectionBounds(NamedTuple):
    """How many connections there may be."""

    most: int
    most_per_address: int

    def within_files(self) -> "ConnectionBounds":
        """The same, or fewer where the process may not open as many files."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = min(self.most, max(int(files * _FILES_SHARE), 1)) if files > 0 else self.most
        return ConnectionBounds(most, min(self.most_per_address, most))


class Connections:
    """All connections of a server, the oldest first."""

    def __init__(self, bounds: ConnectionBounds, bound_hit: BoundHit) -> None:
        """`bound_hit` takes the name of a bound each time that it refuses or ends something."""
        self.bound_hit = bound_hit
        self._bounds = bounds
        self._open: dict[Connection, str] = {}
        self._of_address: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def admit(self, connection: "Connection", address: str) -> bool:
        """Whether it may stay; another one may have to go for it."""
        if self._of_address[address] >= self._bounds.most_per_address:
            self.bound_hit("http_connections_per_address")
            if not self._make_room(address):
                return False
        elif len(self._open) >= self._bounds.most:
            self.bound_hit("http_connections")
            if not self._make_room(None):
                return False
        self._open[connection] = address
        self._of_address[address] += 1
        return True

    def remove(self, connection: "Connection") -> None:
        """It is gone."""
        if (address := self._open.pop(connection, None)) is None:
            return
        self._of_address[address] -= 1
        if not self._of_address[address]:
            del self._of_address[address]

    def _make_room(self, address: str | None) -> bool:
        waiting = (one for one, there in self._open.items() if one.is_waiting and address in {None, there})
        longest = min(waiting, key=lambda one: one.waiting_since_s, default=None)
        if longest is None:
            return False
        self.remove(longest)
        longest.force_close()
        return True


class Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_answered", "_connections", "_deadline", "_head_bytes", "waiting_since_s")

    def __init__(self, server: web.Server, connections: Connections) -> None:
        self._connections = connections
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._answered = 0
        self.waiting_since_s = 0.0
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to have none
            keepalive_timeout=IDLE_S,
            lingering_time=0,  # what is not read is not wanted: see _drain
            auto_decompress=False,  # or a few bytes from anybody would be unpacked to gigabytes
            max_headers=MOST_HEADERS,
        )

    @property
    def is_waiting(self) -> bool:
        """Whether it has no request to be answered."""
        return self._request_count == self._answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or refuse it."""
        super().connection_made(transport)
        self.waiting_since_s = self._loop.time()
        if self._connections.admit(self, network_of(_host(transport.get_extra_info("peername")))):
            self._expect_head()
        else:
            self._hang_up(b"503 Service Unavailable")

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone."""
        self._connections.remove(self)
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes of a head or a body."""
        known = self._request_count
        super().data_received(data)
        if self._request_count > known:
            self._head_bytes = 0
            self._stop_deadline()
        elif self.is_waiting:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._connections.bound_hit("http_head_bytes")
                self._hang_up(b"431 Request Header Fields Too Large")
            elif self._deadline is None:
                self._expect_head()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the rest of an answer, for as long as the client takes it."""
        try:
            async with asyncio.timeout(ANSWER_S):
                finished = await super().finish_response(request, resp, start_time)
            if not request.content.is_eof():
                await self._drain(request)
        except TimeoutError:
            self._connections.bound_hit("http_answer_time")
            if self.transport is not None:
                self.transport.abort()
            return resp, True
        finally:
            self._answered += 1
            self.waiting_since_s = self._loop.time()
        return finished

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is answered, and the connection closed; anybody could fill a log with it."""
        if status >= 500:
            self.log_exception("a request could not be answered", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer was sent already")
        response = problem(status, "Bad request" if status < 500 else "Failed", _first_line(message) or "no HTTP/1.1")
        response.force_close()
        return response

    async def _drain(self, request: web.BaseRequest) -> None:
        """Let a client that sends what nobody reads see the answer, and close."""
        self.keep_alive(False)  # noqa: FBT003 - aiohttp's
        drained = 0
        with suppress(Exception):  # a body that is none, or a client that is gone
            if self.transport is not None and self.transport.can_write_eof():
                self.transport.write_eof()
            async with asyncio.timeout(_DRAIN_S):
                while drained < _MOST_DRAINED_BYTES and not request.content.is_eof():
                    drained += len(await request.content.readany())
        self.force_close()

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self._loop.call_later(HEAD_S, self._head_is_late)

    def _head_is_late(self) -> None:
        self._deadline = None
        if self.is_waiting:
            self._connections.bound_hit("http_head_time")
            self._hang_up(b"408 Request Timeout")

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self, status: bytes) -> None:
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status)
        self.force_close()


def network_of(host: str | None) -> str:
    """Who a connection is from; of IPv6 the network, which one machine can have to itself."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return host or ""
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or int(address) >> 64)
    return str(address)


def _host(peer: object) -> str:
    """The host in the name of a peer; a socket in the file system has none."""
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


def _first_line(message: str | None) -> str:
    return (message or "").partition("\n")[0][:200]
