"""Server-sent events: flags as they are raised, and what the page shows as it changes."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from stream_app.serving.api import queries
from stream_app.serving.api.flag_log import Entry, FlagLog, Subscriber, fits
from stream_app.serving.api.live import Live, TooManyError, Watcher
from stream_app.serving.api.routes import PREFIX, BadQuestionError, parsed, problem

PING_S = 15.0
FIRST_FLAGS = 30
"""Flags that a page begins with."""
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_PING = b"event: ping\ndata:\n\n"


class Streams:
    """Sends until somebody goes, or the server stops."""

    def __init__(self, flags: FlagLog, live: Live) -> None:
        self._flags = flags
        self._live = live
        self._open: set[asyncio.Task[object]] = set()

    def add_routes(self, app: web.Application) -> None:
        """Have `app` serve them."""
        app.router.add_get(f"{PREFIX}/flags/stream", self._counted(self._flag_stream))
        app.router.add_get(f"{PREFIX}/live", self._counted(self._page))
        app.on_shutdown.append(self._end)

    async def _flag_stream(self, request: web.Request) -> web.StreamResponse:
        asked = parsed(queries.OfFlagStream, request)
        with self._flags.subscription() as subscriber:
            first = self._resumed(request)
            response = await _opened(request)
            await _send(response, first)
            while not subscriber.is_lagging:
                entry = await subscriber.take(PING_S)
                if entry is None:
                    await response.write(_PING)
                elif fits(entry.flag, asked) and not self._flags.hides(entry):
                    await response.write(_event(entry))
        return response

    def _resumed(self, request: web.Request) -> bytes:
        """What came after the position that a reader has reached; nothing where it gives none."""
        asked = parsed(queries.OfFlagStream, request)
        position = request.headers.get("Last-Event-ID", "")
        if not position:
            return b""
        try:
            gone, entries = self._flags.after(position)
        except ValueError:
            raise BadQuestionError(f"Last-Event-ID {position!r} is no position: give the id of an event") from None
        told = b'event: gap\ndata: {"flags": %d}\n\n' % gone.flags if gone.flags else b""
        fitting = (entry for entry in entries if fits(entry.flag, asked) and not self._flags.hides(entry))
        return told + b"".join(map(_event, fitting))

    async def _page(self, request: web.Request) -> web.StreamResponse:
        asked = parsed(queries.OfScope, request)
        try:
            with self._live.watching(asked) as watcher, self._flags.subscription() as subscriber:
                response = await _opened(request)
                await _send(response, self._first_flags())
                await self._follow(response, watcher, subscriber)
                return response
        except TooManyError as error:
            return problem(503, "Too many selections", str(error))

    async def _follow(self, response: web.StreamResponse, watcher: Watcher, subscriber: Subscriber) -> None:
        flags = asyncio.ensure_future(self._forward(response, subscriber))
        try:
            while not flags.done():
                news = asyncio.ensure_future(watcher.some.wait())
                await asyncio.wait((news, flags), timeout=PING_S, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                await response.write(watcher.take() or _PING)
        finally:
            flags.cancel()

    async def _forward(self, response: web.StreamResponse, subscriber: Subscriber) -> None:
        while not subscriber.is_lagging:
            entry = await subscriber.take(PING_S)
            if entry is not None and not self._flags.hides(entry):
                await response.write(_event(entry))

    def _first_flags(self) -> bytes:
        return b"".join(_event(entry) for entry in self._flags.last(FIRST_FLAGS) if not self._flags.hides(entry))

    def _counted(
        self, handle: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Streams never end by themselves: those that are open are known, to be ended with the server."""

        async def counted(request: web.Request) -> web.StreamResponse:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a handler runs in a task
            self._open.add(task)
            try:
                return await handle(request)
            finally:
                self._open.discard(task)

        return counted

    async def _end(self, _app: web.Application) -> None:
        for task in list(self._open):
            task.cancel()


async def _opened(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    return response


async def _send(response: web.StreamResponse, events: bytes) -> None:
    await response.write(events or b": open\n\n")


def _event(entry: Entry) -> bytes:
    return b"event: flag\nid: %s\ndata: %s\n\n" % (entry.position.encode(), entry.json)
