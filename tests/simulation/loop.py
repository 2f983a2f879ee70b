"""Time and processes: one queue of things to come, and an event loop per process that runs on simulated time.

A simulated process is an asyncio event loop of its own. Nothing in it waits for a socket or a clock: a loop has
callbacks that are ready and timers on simulated time, and the simulation always runs whatever is due next, anywhere.
So one run is one sequence of steps, decided by the seed alone. To kill a process is to run its loop no more; to freeze
it (SIGSTOP) is to run it no more until it is thawed: its timers are overdue then, and whatever was sent to it is there.
"""

import asyncio
import contextvars
import heapq
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from typing import Any, cast

_STEPS_A_TURN = 5000


class Deadlock(Exception):
    """Nothing is left to happen, or the same moment never ends."""


class Agenda:
    """What will happen when. Everything by chance comes from `rng`."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.processes: list[Process] = []
        self.steps = 0
        self._number = count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    def after(self, delay_s: float, what: Callable[[], object]) -> None:
        """Have something happen later, outside of every process: on the broker, or to a process."""
        heapq.heappush(self._due, (self.now + delay_s, next(self._number), what))

    def run(self, until_s: float) -> None:
        """Let everything happen that is due before `until_s`."""
        while True:
            due, process = self._next()
            if due > until_s:
                self.now = until_s
                return
            self.now = max(self.now, due)
            self.steps += 1
            if process is None:
                heapq.heappop(self._due)[2]()
            else:
                process.loop.turn()

    def _next(self) -> tuple[float, "Process | None"]:
        first, chosen = (self._due[0][0] if self._due else float("inf")), None
        for process in self.processes:
            if process.running and (due := process.loop.due()) < first:
                first, chosen = due, process
        return first, chosen


class Process:
    """A process: it runs, is frozen, or is dead."""

    def __init__(self, agenda: Agenda, name: str) -> None:
        self.agenda = agenda
        self.name = name
        self.alive = True
        self.frozen = False
        self.loop = Loop(agenda, self)
        self.on_death: list[Callable[[], object]] = []
        self.steps_left: tuple[int, Callable[[], object]] | None = None
        """After so many more callbacks something happens to it."""
        agenda.processes.append(self)

    @property
    def running(self) -> bool:
        """Alive and not frozen."""
        return self.alive and not self.frozen

    def kill(self) -> None:
        """SIGKILL: not one step more."""
        if self.alive:
            self.alive = False
            self.agenda.processes.remove(self)
            for listener in self.on_death:
                listener()
            self.loop.abandon()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a coroutine in it; that it fails is noted."""
        task = self.loop.create_task(coroutine)
        task.add_done_callback(self._note)
        return task

    def _note(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()):
            self.loop.errors.append(error)


class Loop:
    """What asyncio needs of an event loop, on simulated time. Callbacks run in order, as in the real one."""

    def __init__(self, agenda: Agenda, process: Process) -> None:
        self.process = process
        self.errors: list[BaseException] = []
        self._agenda = agenda
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._as_loop = cast(asyncio.AbstractEventLoop, self)

    def due(self) -> float:
        """When its next callback is due."""
        if self._ready:
            return self._agenda.now
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else float("inf")

    def turn(self) -> None:
        """Run what is ready now; what that makes ready comes next time."""
        while self._timers and self._timers[0][0] <= self._agenda.now:
            self._ready.append(heapq.heappop(self._timers)[2])
        events._set_running_loop(self._as_loop)
        try:
            for _ in range(len(self._ready)):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    with suppress(SystemExit):
                        handle._run()
                if not self._goes_on():
                    return
        finally:
            events._set_running_loop(None)

    def abandon(self) -> None:
        """Forget everything that was under way."""
        self._ready.clear()
        self._timers.clear()
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._agenda.after(0.0, self._close)

    def _close(self) -> None:
        for task in list(self._tasks):
            if not task.done():
                with suppress(RuntimeError):  # it wants to wait once more
                    cast(Coroutine[Any, Any, None], task.get_coro()).close()
        self._tasks.clear()

    def _goes_on(self) -> bool:
        process = self.process
        if process.steps_left and process.running:
            left, what = process.steps_left
            process.steps_left = (left - 1, what) if left > 1 else None
            if left <= 1:
                what()
        return process.running

    # What asyncio calls.

    def time(self) -> float:
        return self._agenda.now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._as_loop, context)
        if self.process.alive:
            self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._agenda.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self._as_loop, context)
        if self.process.alive:
            heapq.heappush(self._timers, (when, next(self._number), handle))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self._as_loop)

    def create_task(self, coro: Any, **kwargs: Any) -> "asyncio.Task[Any]":
        kwargs.pop("eager_start", None)
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self._as_loop, **kwargs)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def run_in_executor(self, _executor: Any, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":
        future = self.create_future()
        future.set_result(func(*args))
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.process.alive and isinstance(error := context.get("exception"), BaseException):
            self.errors.append(error)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are dropped when they come to the front."""
