"""What each client takes of a worker's event loop, which belongs to counting: no client takes all of it."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from aiohttp import web

from stream_app.serving.http.auth import Access, Handler
from stream_app.serving.http.connections import BoundHit
from stream_app.serving.http.problems import RefusedError

SHARE = 0.5
"""Of the event loop, which a client may take for as long as it likes."""
BURST_S = 10.0
"""And so much more before it has to wait."""
_MOST_CLIENTS = 10_000


class Clients:
    """What every client has taken."""

    def __init__(self, access: Access, bound_hit: BoundHit, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._bound_hit = bound_hit
        self._clock_s = clock_s
        self._debts: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """(seconds taken beyond the share, when that was so), the client that took last at the end."""

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, if its client has not taken too much. Raises RefusedError."""
        client = self._access.client_of(request)
        if self._debt_s(client) > BURST_S:
            self._bound_hit("http_client_time")
            raise RefusedError(429, "answering you has taken too much time: ask again in some seconds, and less often")
        return await _Timed(handler(request), lambda seconds: self._take(client, seconds))

    def _debt_s(self, client: str) -> float:
        taken_s, since_s = self._debts.get(client, (0.0, 0.0))
        return max(taken_s - (self._clock_s() - since_s) * SHARE, 0.0)

    def _take(self, client: str, seconds: float) -> None:
        self._debts[client] = (self._debt_s(client) + seconds, self._clock_s())
        self._debts.move_to_end(client)
        if len(self._debts) > _MOST_CLIENTS:
            self._debts.popitem(last=False)


class _Timed:
    """A coroutine of which each step is timed: only then does it hold the event loop."""

    def __init__(self, coroutine: Awaitable[web.StreamResponse], take: Callable[[float], None]) -> None:
        self._coroutine = coroutine
        self._take = take

    def __await__(self) -> Generator[Any, Any, web.StreamResponse]:
        steps = self._coroutine.__await__()
        resume, given = next, None
        while True:
            started = time.perf_counter()
            try:
                waits_for = resume(steps) if given is None else steps.throw(given)
            except StopIteration as stop:
                answer: web.StreamResponse = stop.value
                return answer
            finally:
                self._take(time.perf_counter() - started)
            given = None
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the coroutine's
                given = error
