"""What open pages cost a worker: its CPU time under a steady load, by turns without and with browsers that look."""

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import cycle, islice, product
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec

from stream_app.core.messages import ROLES
from stream_app.settings import Settings
from stream_app.sources.replay import replay
from tests.benchmarks.fill import fill
from tests.benchmarks.process import BenchError, Measured
from tests.benchmarks.stream import bench_events
from tests.benchmarks.tracker import Tell
from tests.benchmarks.worker import start_worker

TURNS = 6
TURN_S = 30.0
"""All pages are opened anew in each, which costs more than their staying open: it is long enough for both."""
TOPICS = ("*", "topic-00", "topic-01", "topic-02", "topic-03", "topic-04")
"""Some browsers look at the same, and not all."""
EVENTS_PER_S = 200
"""That happen meanwhile: enough to change most answers between two looks. With many more, what counting costs from
turn to turn differs by more than what pages cost."""
TICK_S = 2.0
"""Evaluations are as rare as pages are refreshed, for the same reason."""
DAY_MS = 86_400_000
_LOAD_MS = round((2 * TURNS + 4) * TURN_S * 1000)
_OPEN_WITHIN_S = 20.0
_MOST_BYTES = 1_000_000


class PageCost(NamedTuple):
    """What open pages cost."""

    browsers: int
    events_per_s: float
    """The load."""
    with_s: list[float]
    """CPU seconds of the worker per second while they are open, turn by turn."""
    without_s: list[float]
    """And while none is."""
    kb_per_s: float
    """Read by each of them, in KB (10^3 bytes)."""

    @property
    def percent(self) -> float:
        """Of a core, which is what a busy worker's throughput loses: the median of the turns."""
        pairs = zip(self.with_s, self.without_s, strict=True)
        return 100 * statistics.median(there - away for there, away in pairs)


def measure_page(events: int, browsers: int, settings: Settings, folder: Path, tell: Tell) -> PageCost:
    """Count `events` events of the last day, then as they happen, while browsers come and go. Raises BenchError."""
    past = bench_events(events, end_ms=_now_ms(), span_ms=DAY_MS)
    fill(past, settings.brokers, settings, lambda done: tell("filling Kafka", done, events))
    worker = start_worker(msgspec.structs.replace(settings, tick_s=TICK_S), folder)
    with worker.process as process:
        worker.until("through with what came before", lambda: worker.counted() >= events)
        pages = _Pages(worker.port, browsers)
        with_s, without_s = [], []
        with _happening(settings):
            for turn in range(TURNS):
                tell(f"{browsers} browsers come and go", turn, TURNS)
                # In turn, as the state grows meanwhile: whichever comes second would be told to cost more.
                if turn % 2:
                    without_s.append(_busy(process, nullcontext()))
                with_s.append(_busy(process, pages.open()))
                if not turn % 2:
                    without_s.append(_busy(process, nullcontext()))
    read_kb = pages.read_bytes / 1000 / max(browsers, 1)
    return PageCost(browsers, EVENTS_PER_S, with_s, without_s, read_kb / (TURNS * TURN_S))


def _busy(process: Measured, looking: AbstractContextManager[None]) -> float:
    """CPU seconds per second over one turn, opening and closing of the pages included."""
    start_s, start_cpu_s = time.monotonic(), process.cpu_s()
    with looking:
        time.sleep(max(start_s + TURN_S - time.monotonic(), 0.0))
    return (process.cpu_s() - start_cpu_s) / (time.monotonic() - start_s)


@contextmanager
def _happening(settings: Settings) -> Iterator[None]:
    """Have events happen and come at a steady pace, for the length of the block."""
    stop = threading.Event()
    live = bench_events(EVENTS_PER_S * _LOAD_MS // 1000, 2, end_ms=_now_ms() + _LOAD_MS, span_ms=_LOAD_MS)
    pace = {"speed": 1.0, "stop": stop}
    thread = threading.Thread(target=replay, args=(live, settings.brokers, settings), kwargs=pace, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_OPEN_WITHIN_S)


def _now_ms() -> int:
    return round(time.time() * 1000)


class _Pages:
    """Browsers with the page open, as the worker sees them."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._count = count
        self._opened = threading.Semaphore(0)
        self.read_bytes = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        """Have them look for the length of the block. Raises BenchError where they are shown nothing."""
        close = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._look(close)), daemon=True)
        thread.start()
        try:
            for _ in range(self._count):
                if not self._opened.acquire(timeout=_OPEN_WITHIN_S):
                    raise BenchError("a page that was opened shows nothing")
            yield
        finally:
            close.set()
            thread.join(_OPEN_WITHIN_S)

    async def _look(self, close: threading.Event) -> None:
        selections = islice(cycle(product(TOPICS, ROLES)), self._count)
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{self._port}", connector=connector, timeout=timeout, read_bufsize=_MOST_BYTES
        ) as one:
            looking = asyncio.gather(*(self._watch(one, topic, role) for topic, role in selections))
            await asyncio.to_thread(close.wait)
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _watch(self, session: aiohttp.ClientSession, topic: str, role: str) -> None:
        async with session.get("/api/v1/live", params={"topic": topic, "role": str(role)}) as events:
            is_open = False
            async for line in events.content:
                self.read_bytes += len(line)
                if not is_open and line.startswith(b"event: influencers"):
                    is_open = True
                    self._opened.release()
