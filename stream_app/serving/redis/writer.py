"""The loop that keeps the Redis board fresh: never in the way of counting, whatever Redis does."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from stream_app.core.messages import Flag
from stream_app.serving.redis.board import Board, BoardUnavailableError
from stream_app.serving.redis.layout import BoardSnapshot

FLAGS_PENDING = 10_000
MAX_PAUSE_S = 3.0
BUSY_FRACTION = 0.05
"""Part of its time that the loop may spend refreshing: the rest of the event loop belongs to counting …"""
MAX_BUSY_PAUSE_S = 10.0
"""… but the board is never much older than this."""

FULL_PER_EXPIRY = 3
"""Full snapshots per expiry: what does not change must not expire."""


class BoardWriter:
    """Keeps the board fresh from a task of its own: whatever Redis does, `submit` returns at once.

    `on_state(up, reason)` is called after the first attempt and whenever Redis goes down (with the reason) or comes
    back; `on_dropped(n)` when n flags were given up because more than FLAGS_PENDING waited.
    """

    def __init__(
        self,
        board: Board,
        refresh_s: float,
        expiry_s: float,
        on_state: Callable[[bool, str], None],
        on_dropped: Callable[[int], None],
    ) -> None:
        self._board = board
        self._refresh_s = refresh_s
        self._full_every_s = expiry_s / FULL_PER_EXPIRY
        self._on_state = on_state
        self._on_dropped = on_dropped
        self._pending: list[Flag] = []
        self._writing: list[Flag] = []
        self._stop = asyncio.Event()
        self._up: bool | None = None
        self._failures = 0
        self._elapsed_s = 0.0
        self._full_wanted = True
        self._full_due_s = 0.0

    def submit(self, flags: Iterable[Flag]) -> None:
        """Queue flags for the stream; the oldest give way when too many wait."""
        self._pending.extend(flags)
        self._drop_oldest()

    def forget(self, users: Collection[str]) -> None:
        """Users were erased: their flags that still wait are not written."""
        for waiting in (self._pending, self._writing):
            waiting[:] = [flag for flag in waiting if flag.user_id not in users]

    @property
    def wants_full(self) -> bool:
        """Whether the next snapshot is a full one, so that nobody need remember what changed until then."""
        return self._full_wanted

    def request_full(self) -> None:
        """Make the next snapshot full, as after a rebalance."""
        self._full_wanted = True

    def stop(self) -> None:
        """Let run() write one last time and return."""
        self._stop.set()

    async def run(self, provider: Callable[[bool], BoardSnapshot]) -> None:
        """Refresh every `refresh_s` until stop(). `provider(full)` gives the snapshot; what it raises ends the loop."""
        try:
            while not self._stop.is_set():
                await self._refresh(provider)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s()):
                        await self._stop.wait()
            await self._refresh(provider)
        finally:
            await self._board.close()

    async def _refresh(self, provider: Callable[[bool], BoardSnapshot]) -> None:
        begin_s = asyncio.get_running_loop().time()
        full = self._full_wanted or begin_s >= self._full_due_s
        try:
            if full:
                await self._board.ping()  # a full snapshot is dear: build none while Redis is down
            self._full_wanted = False
            self._writing, self._pending = self._pending, []
            kept = await self._board.refresh(provider(full), tuple(self._writing))
        except BoardUnavailableError as error:
            self._pending, self._writing = self._writing + self._pending, []
            self._drop_oldest()
            self._full_wanted = True
            self._failures += 1
            self._report(up=False, reason=str(error))
            return
        self._failures, self._writing = 0, []
        self._elapsed_s = asyncio.get_running_loop().time() - begin_s
        self._full_wanted |= not kept
        if full:
            self._full_due_s = begin_s + self._full_every_s
        self._report(up=True, reason="")

    def _pause_s(self) -> float:
        if not self._failures:
            return max(self._refresh_s, min(self._elapsed_s * (1 / BUSY_FRACTION - 1), MAX_BUSY_PAUSE_S))
        return max(self._refresh_s, min(self._refresh_s * 2.0**self._failures, MAX_PAUSE_S))

    def _drop_oldest(self) -> None:
        too_many = len(self._pending) - FLAGS_PENDING
        if too_many > 0:
            del self._pending[:too_many]
            self._on_dropped(too_many)

    def _report(self, *, up: bool, reason: str) -> None:
        if up != self._up:
            self._up = up
            self._on_state(up, reason)
