"""A worker that is not one: it serves the page, and answers the API from what a test says the world is."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from stream_app.core.messages import Flag, FlagType, Role
from stream_app.serving.api.params import FlagFilter
from stream_app.serving.api.responses import Problem
from stream_app.serving.page import add_page
from tests.e2e.page.brought import recruits
from tests.e2e.page.world import Selection, World

LOCALHOST = "127.0.0.1"
_COOKIE = "session"
_SHUTDOWN_S = 0.2
_LAST_FLAGS = 30

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Connection:
    """One browser that listens: what it looks at, what it was sent last, and what it is still to be sent."""

    def __init__(self, chosen: Selection) -> None:
        self.chosen = chosen
        self.outbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._sent: dict[str, bytes] = {}

    def offer(self, name: str, answer: object) -> None:
        """Send it if it is not what was sent last."""
        data = msgspec.json.encode(answer)
        if self._sent.get(name) != data:
            self._sent[name] = data
            self.outbox.put_nowait(b"event: %s\ndata: %s\n\n" % (name.encode(), data))

    def flag(self, flag: Flag, position: int) -> None:
        """Send a flag."""
        self.outbox.put_nowait(b"event: flag\nid: %d\ndata: %s\n\n" % (position, msgspec.json.encode(flag)))


class FakeTracker:
    """The API over a real socket."""

    def __init__(self) -> None:
        self.world = World()
        self.token: str | None = None
        """Where there is one, a request without it is answered 401."""
        self.is_down = False
        """Nothing but the page itself is answered."""
        self.connections: list[Connection] = []
        self._changed = asyncio.Condition()
        self.paths: list[object] = []
        """Where the page says that it is, when a session begins and ends."""
        self.asked: list[str] = []
        """Path and query of every request to the API, the oldest first."""
        app = web.Application(middlewares=[self._guard])
        add_page(app)
        app.router.add_get("/api/v1/about", self._about)
        app.router.add_get("/api/v1/topics", self._topics)
        app.router.add_get("/api/v1/influencers", self._influencers)
        app.router.add_get("/api/v1/flags", self._flags)
        app.router.add_get("/api/v1/users/why", self._why)
        app.router.add_get("/api/v1/users/recruits", self._recruits)
        app.router.add_get("/api/v1/live", self._live)
        app.router.add_post("/api/v1/session", self._begin)
        app.router.add_delete("/api/v1/session", self._end)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)

    async def start(self) -> str:
        """Listen, and return the address."""
        await self._runner.setup()
        await web.TCPSite(self._runner, LOCALHOST, 0).start()
        return f"http://{LOCALHOST}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close every connection."""
        self.drop()
        await self._runner.cleanup()

    def refresh(self) -> None:
        """The world has changed: send everybody what is new for them."""
        for connection in self.connections:
            self._offer(connection)

    def flag(self, flag: Flag) -> None:
        """A flag is raised."""
        self.world.flags.append(flag)
        for connection in self.connections:
            connection.flag(flag, len(self.world.flags))

    def drop(self) -> None:
        """Every live connection ends."""
        for connection in self.connections:
            connection.outbox.put_nowait(None)

    async def has_connections(self, count: int) -> None:
        """Wait until so many browsers listen."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.connections) == count)

    def _offer(self, connection: Connection) -> None:
        world, chosen = self.world, connection.chosen
        connection.offer("about", world.about)
        connection.offer("health", world.health)
        connection.offer("quality", world.quality)
        connection.offer("topics", world.topics(chosen.population))
        connection.offer("curve", world.curve(chosen))
        connection.offer("history", world.history(chosen))
        connection.offer("funnel", world.funnel(chosen))
        connection.offer("influencers", world.influencers(chosen))
        connection.offer("emerging", world.influencers(chosen, standing=["emerging"], order="emerging", limit=30))

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
            return await handler(request)
        self.asked.append(request.path_qs)
        if self.is_down:
            return _problem(503, "The worker is stopping.")
        is_public = self.token is None or request.path.endswith("/session")
        if not is_public and request.cookies.get(_COOKIE) != self.token:
            return _problem(401, "A token is needed.")
        return await handler(request)

    async def _about(self, _request: web.Request) -> web.Response:
        return _json(self.world.about)

    async def _topics(self, request: web.Request) -> web.Response:
        return _json(self.world.topics(request.query["population"], request.query.get("search", "")))

    async def _influencers(self, request: web.Request) -> web.Response:
        query = request.query
        answer = self.world.influencers(
            _selection(request),
            standing=query.getall("standing", []),
            search=query.get("search", ""),
            marked=query.get("marked", "any"),
            order=query.get("order", "rank"),
            limit=int(query.get("limit", "50")),
            offset=int(query.get("offset", "0")),
        )
        return _json(answer)

    async def _flags(self, request: web.Request) -> web.Response:
        names = {name: request.query.get(name) for name in ("topic", "population")}
        kind, role = request.query.get("type"), request.query.get("role")
        wanted = FlagFilter(**names, type=FlagType(kind) if kind else None, role=Role(role) if role else None)
        return _json(self.world.last_flags(wanted, int(request.query["limit"])))

    async def _why(self, request: web.Request) -> web.Response:
        why = self.world.why(request.query["id"], _selection(request))
        return _json(why) if why else _problem(404, "This user has no value here in the window.")

    async def _recruits(self, request: web.Request) -> web.Response:
        return _json(recruits(request.query["id"], _selection(request), self.world.brought))

    async def _live(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        connection = Connection(_selection(request))
        self._offer(connection)
        first = max(0, len(self.world.flags) - _LAST_FLAGS)
        for position, flag in enumerate(self.world.flags[first:], first + 1):
            connection.flag(flag, position)
        await self._connect(connection)
        with contextlib.suppress(ConnectionResetError):
            while (event := await connection.outbox.get()) is not None:
                await response.write(event)
        await self._disconnect(connection)
        return response

    async def _connect(self, connection: Connection) -> None:
        async with self._changed:
            self.connections.append(connection)
            self._changed.notify_all()

    async def _disconnect(self, connection: Connection) -> None:
        async with self._changed:
            self.connections.remove(connection)
            self._changed.notify_all()

    async def _begin(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form["token"] != self.token:
            return _problem(401, "This is not the token.")
        response = web.Response(status=204)
        self.paths.append(form["path"])
        response.set_cookie(_COOKIE, str(self.token), httponly=True, samesite="Strict", path=str(form["path"]))
        return response

    async def _end(self, request: web.Request) -> web.Response:
        response = web.Response(status=204)
        self.paths.append(request.query["path"])
        response.del_cookie(_COOKIE, path=request.query["path"])
        return response


def _selection(request: web.Request) -> Selection:
    query = request.query
    return Selection(query.get("topic", "*"), query.get("population", "all"), Role(query.get("role", "connector")))


def _json(answer: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def _problem(status: int, detail: str) -> web.Response:
    body = msgspec.json.encode(Problem(title="No answer", status=status, detail=detail))
    return web.Response(body=body, status=status, content_type="application/problem+json")
