"""Server-sent events: flags as they are raised, and what the page shows as it changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from aiohttp import web

from stream_app.serving.api import params
from stream_app.serving.api.flags.flag_log import FlagLog, LoggedFlag, fits
from stream_app.serving.api.look_log import LookLog
from stream_app.serving.api.push.fair_share import FairShares, OwnSelectionsError
from stream_app.serving.api.push.page_updates import PageUpdates, TooManySelectionsError, UnknownScopeError
from stream_app.serving.api.routes import PREFIX, parsed
from stream_app.serving.api.views import View
from stream_app.serving.http.auth import Access
from stream_app.serving.http.connections import BoundHit, network_of
from stream_app.serving.http.problems import BadRequestError, problem
from stream_app.settings import Settings

LetsIn = Callable[[web.Request], bool]

PING_S = 15.0
STALLED_S = 20.0
"""A reader that takes nothing for so long is cut off: it comes again with the position it has reached."""
CATCH_UP_S = 10.0
"""How long a reader that has read more flags than this worker waits for it."""
_END_S = 1.0
_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_PING = b"event: ping\ndata:\n\n"


class _Stream:
    """What is sent to one reader."""

    def __init__(self, request: web.Request, lets_in: LetsIn) -> None:
        self._request = request
        self._lets_in = lets_in
        self.response = web.StreamResponse(headers=_HEADERS)

    async def begin(self) -> None:
        """Send what a reader sees at once."""
        await self.response.prepare(self._request)
        await self.send(b": open\n\n")

    async def send(self, events: bytes) -> None:
        """Send some events. Raises ConnectionResetError where the reader is gone, or does not take them."""
        if not events:
            return
        if not self._lets_in(self._request):
            if self._request.transport is not None:
                self._request.transport.close()
            raise ConnectionResetError("the session has ended")
        try:
            async with asyncio.timeout(STALLED_S):
                await self.response.write(events)
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the reader takes nothing") from None


class _StreamsOfClients:
    """The streams that each client has open, known until their connection is gone."""

    def __init__(self) -> None:
        self._requests: dict[str, list[web.Request]] = {}

    def of(self, client: str) -> int:
        """How many a client has."""
        return sum(request.transport is not None for request in self._requests.get(client, ()))

    @contextmanager
    def one_more(self, client: str, request: web.Request) -> Iterator[None]:
        """Count it for the length of the block."""
        there = self._requests.setdefault(client, [])
        there.append(request)
        try:
            yield
        finally:
            there.remove(request)
            if not there:
                self._requests.pop(client, None)


class EventStreams:
    """Sends until somebody goes or may not ask any more, or the server stops."""

    def __init__(
        self,
        flags: FlagLog,
        updates: PageUpdates,
        access: Access,
        settings: Settings,
        bound_hit: BoundHit = lambda _bound: None,
        looks: LookLog | None = None,
    ) -> None:
        self._looks = looks or LookLog(settings)
        self._flags = flags
        self._updates = updates
        self._access = access
        self._most_per_client = settings.http_max_streams_per_client
        self._bound_hit = bound_hit
        self._streams = _StreamsOfClients()
        # An address has the same part of the selections as of the connections: more behind a proxy, where that is set.
        address_share = settings.http_max_connections_per_address / settings.http_max_connections
        self._shares = FairShares(updates.is_known, min(address_share, 1.0))
        self._open: dict[asyncio.Task[object], web.Request] = {}

    def add_routes(self, app: web.Application) -> None:
        """Have `app` serve them."""
        for path, handle in (("/flags/stream", self._flag_stream), ("/live", self._page_stream)):
            app.router.add_get(PREFIX + path, self._counted(handle), allow_head=False)
        app.on_shutdown.append(self._end)

    async def _flag_stream(self, request: web.Request) -> web.StreamResponse:
        asked = View.of(request).within(parsed(params.FlagStreamParams, request))
        position = request.headers.get("Last-Event-ID", "")
        self._resumed(position, asked)  # a position that is none is refused before anything is sent
        await self._looks.record(request, [])
        stream = await self._opened(request)
        if position:
            await self._caught_up(position)
        with self._flags.subscription() as subscriber:
            seen: set[str] = set()
            missed, entries = self._resumed(position, asked)
            await self._audit(request, entries, seen)
            await stream.send(missed + b"".join(entry.event for entry in entries))
            while not subscriber.is_lagging:
                entry = await subscriber.take(PING_S)
                if entry is None:
                    await stream.send(_PING)
                elif fits(entry.flag, asked) and not self._flags.hides(entry):
                    await self._audit(request, [entry], seen)
                    await stream.send(entry.event)
        return stream.response

    async def _caught_up(self, position: str) -> None:
        """Wait until this worker has read what the reader has from another one, or it would be sent again."""
        with self._flags.subscription() as subscriber, suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                while self._flags.is_behind(position):
                    await subscriber.take(PING_S)

    async def _audit(self, request: web.Request, entries: Sequence[LoggedFlag], seen: set[str]) -> None:
        """Record who is named for the first time. Raises RefusedError, which ends the stream."""
        if not self._looks.is_on:
            return
        if named := dict.fromkeys(entry.flag.user_id for entry in entries if entry.flag.user_id not in seen):
            await self._looks.record(request, list(named))
            seen.update(named)

    def _resumed(self, position: str, asked: params.FlagStreamParams) -> tuple[bytes, list[LoggedFlag]]:
        """What came after the position that a reader has reached; nothing where it gives none."""
        if not position:
            return b"", []
        try:
            missing, entries = self._flags.after(position)
        except ValueError:
            raise BadRequestError(f"Last-Event-ID {position!r} is no position: give the id of an event") from None
        gap = b'event: gap\ndata: {"flags": %d}\n\n' % missing if missing else b""
        return gap, [entry for entry in entries if fits(entry.flag, asked) and not self._flags.hides(entry)]

    async def _page_stream(self, request: web.Request) -> web.StreamResponse:
        view = View.of(request)
        asked = view.within(parsed(params.ScopeParams, request))
        address, client = network_of(request.remote), self._access.client_of(request)
        await self._end_abandoned()
        await self._looks.record(request, [])
        watching = self._updates.watching(asked, view, is_audited=self._looks.is_on)
        try:
            with self._shares.one_more(asked, address, client), watching as watcher:
                stream = _Stream(request, self._access.lets_in)
                await stream.begin()
                while True:
                    events = await watcher.take(PING_S)
                    if named := watcher.take_named():
                        await self._looks.record(request, named)
                    await stream.send(events or _PING)
        except OwnSelectionsError as error:
            return self._refused(429, "Too many selections", str(error))
        except TooManySelectionsError as error:
            return self._refused(503, "Too many selections", str(error))
        except UnknownScopeError as error:
            return self._refused(404, "Unknown topic", str(error))

    async def _end_abandoned(self) -> None:
        """End the streams whose reader is gone: they would keep their places until something is sent to them."""
        abandoned = [task for task, request in self._open.items() if request.transport is None]
        for task in abandoned:
            task.cancel()
        if abandoned:
            await asyncio.wait(abandoned, timeout=_END_S)

    def _refused(self, status: int, title: str, detail: str) -> web.Response:
        self._bound_hit("http_streams")
        return problem(status, title, detail)

    async def _opened(self, request: web.Request) -> _Stream:
        """A stream that has begun: once it is known which flags are old ones."""
        stream = _Stream(request, self._access.lets_in)
        await stream.begin()
        while not self._flags.is_complete.is_set():
            try:
                async with asyncio.timeout(PING_S):
                    await self._flags.is_complete.wait()
            except TimeoutError:
                await stream.send(_PING)
        return stream

    def _counted(
        self, handle: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Streams never end by themselves: those that are open are known, to be ended with the server."""

        async def counted(request: web.Request) -> web.StreamResponse:
            task, client = asyncio.current_task(), self._access.client_of(request)
            assert task is not None  # noqa: S101 - a handler runs in a task
            if self._streams.of(client) >= self._most_per_client:
                many = (
                    f"you have {self._most_per_client} streams open (STREAM_APP_HTTP_MAX_STREAMS_PER_CLIENT): end some"
                )
                return self._refused(429, "Too many streams", many)
            self._open[task] = request
            with self._streams.one_more(client, request):
                try:
                    return await handle(request)
                finally:
                    del self._open[task]

        return counted

    async def _end(self, _app: web.Application) -> None:
        for task in list(self._open):
            task.cancel()
