"""The load of open pages: a worker's CPU time at a steady rate of events, in turns without and with open pages."""

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
from tests.benchmarks.bulk_producer import produce_in_batches
from tests.benchmarks.process import BenchError, MeasuredProcess
from tests.benchmarks.progress import OnProgress
from tests.benchmarks.worker import start_worker
from tests.benchmarks.workload import bench_events

TURNS = 6
TURN_S = 30.0
"""Each turn opens all pages anew, which costs more than keeping them open: a turn is long enough for both."""
TOPICS = ("*", "topic-00", "topic-01", "topic-02", "topic-03", "topic-04")
"""Some pages show the same, but not all."""
EVENTS_PER_S = 200
"""Produced meanwhile: enough to change most answers between two refreshes. With many more, the cost of counting varies
from turn to turn by more than the pages cost."""
TICK_S = 2.0
"""Evaluations are as rare as refreshes of a page, for the same reason."""
DAY_MS = 86_400_000
_LOAD_MS = round((2 * TURNS + 4) * TURN_S * 1000)
_OPEN_WITHIN_S = 20.0
_MOST_BYTES = 1_000_000


class PageCost(NamedTuple):
    """The cost of open pages."""

    browsers: int
    events_per_s: float
    """The rate of events."""
    with_s: list[float]
    """CPU seconds of the worker per second while they are open, turn by turn."""
    without_s: list[float]
    """And while none is."""
    kb_per_s: float
    """Read by each of them, in KB (10^3 bytes)."""

    @property
    def percent(self) -> float:
        """Of a core, by which a busy worker's throughput falls: the median of the turns."""
        pairs = zip(self.with_s, self.without_s, strict=True)
        return 100 * statistics.median(there - away for there, away in pairs)


def measure_page_load(
    events: int, browsers: int, settings: Settings, folder: Path, on_progress: OnProgress
) -> PageCost:
    """Count `events` events of the last day, then further ones while pages open and close. Raises BenchError."""
    past = bench_events(events, end_ms=_now_ms(), span_ms=DAY_MS)
    produce_in_batches(past, settings.brokers, settings, lambda done: on_progress("producing events", done, events))
    worker = start_worker(msgspec.structs.replace(settings, tick_s=TICK_S), folder)
    with worker.process as process:
        worker.until("done with the events of the last day", lambda: worker.counted() >= events)
        pages = _Pages(worker.port, browsers)
        with_s, without_s = [], []
        with _producing(settings):
            for turn in range(TURNS):
                on_progress(f"{browsers} pages open and close", turn, TURNS)
                # Alternating: the state grows meanwhile, so that the second of two turns always costs more.
                if turn % 2:
                    without_s.append(_busy(process, nullcontext()))
                with_s.append(_busy(process, pages.open()))
                if not turn % 2:
                    without_s.append(_busy(process, nullcontext()))
    read_kb = pages.read_bytes / 1000 / max(browsers, 1)
    return PageCost(browsers, EVENTS_PER_S, with_s, without_s, read_kb / (TURNS * TURN_S))


def _busy(process: MeasuredProcess, pages: AbstractContextManager[None]) -> float:
    """CPU seconds per second over one turn, opening and closing of the pages included."""
    start_s, start_cpu_s = time.monotonic(), process.cpu_s()
    with pages:
        time.sleep(max(start_s + TURN_S - time.monotonic(), 0.0))
    return (process.cpu_s() - start_cpu_s) / (time.monotonic() - start_s)


@contextmanager
def _producing(settings: Settings) -> Iterator[None]:
    """Produce events at a steady rate for the length of the block."""
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
    """Open pages, as the worker sees them: streams of server-sent events."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._count = count
        self._opened = threading.Semaphore(0)
        self.read_bytes = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        """Keep them open for the length of the block. Raises BenchError where one shows nothing."""
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
