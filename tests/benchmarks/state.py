"""State: the memory that a large state takes, and how long a new worker takes to restore it."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.bulk_producer import produce_in_batches
from tests.benchmarks.process import MB
from tests.benchmarks.progress import OnProgress
from tests.benchmarks.worker import Statuses, Worker, following_statuses, start_worker

_QUIET_S = 16.0
"""Longer than a worker needs after its last event: it compacts segments, writes the whole board to Redis (30 MB for
some seconds) and returns that memory to the system."""
_IDLE_S = 2.0


class StateCost(NamedTuple):
    """Memory of a large state, and the time to restore it."""

    rows: int
    users: int
    idle_rss_mb: float
    """Of a ready worker with an empty state."""
    loaded_rss_mb: float
    """Of the worker that counted the events, once it is quiet."""
    bytes_per_row: float
    restart_s: float
    """From the start of a process, right after kill -9 of the one before, until /readyz and every row is restored."""
    start_s: float
    """The same after an orderly stop: Kafka does not wait for the session of the dead worker to time out."""
    restarted_rss_mb: float


def measure_state(
    events: Iterable[RecordedEvent], count: int, settings: Settings, folder: Path, on_progress: OnProgress
) -> StateCost:
    """Have a worker count `count` events that stay in its window, kill it, start two others. Raises BenchError."""
    with following_statuses(settings) as statuses:
        worker = start_worker(settings, folder)
        with worker.process as process:
            on_progress("a worker starts, idle", 0, 0)
            worker.until("ready", worker.is_ready)
            time.sleep(_IDLE_S)
            idle_mb = process.rss_mb()
            produce_in_batches(
                events, settings.brokers, settings, lambda done: on_progress("producing a large state", done, count)
            )
            _settle(worker, statuses, count, on_progress)
            totals, loaded_mb = statuses.totals(), process.rss_mb()
            process.kill()
        restart_s, restarted_mb = _restart(settings, folder, statuses, totals.rows, on_progress)
        start_s, _ = _restart(settings, folder, statuses, totals.rows, on_progress)
    return StateCost(
        rows=totals.rows,
        users=totals.users,
        idle_rss_mb=idle_mb,
        loaded_rss_mb=loaded_mb,
        bytes_per_row=(loaded_mb - idle_mb) * MB / max(totals.rows, 1),
        restart_s=restart_s,
        start_s=start_s,
        restarted_rss_mb=restarted_mb,
    )


def _settle(worker: Worker, statuses: Statuses, count: int, on_progress: OnProgress) -> None:
    """Wait until everything is counted and no status has changed for a while."""
    last = statuses.totals()
    since_s = time.monotonic()

    def is_quiet() -> bool:
        nonlocal last, since_s
        totals = statuses.totals()
        if totals != last or totals.read < count or totals.lagging:
            last, since_s = totals, time.monotonic()
        on_progress("the tracker counts the large state", totals.read, count)
        return time.monotonic() - since_s > _QUIET_S

    worker.until("quiet", is_quiet)


def _restart(
    settings: Settings, folder: Path, statuses: Statuses, rows: int, on_progress: OnProgress
) -> tuple[float, float]:
    """Start a worker and stop it once it has restored `rows`; returns the seconds until then and its memory in MB."""
    on_progress("another worker takes over", 0, 0)
    statuses.forget()
    began_s = time.monotonic()
    worker = start_worker(settings, folder)

    def is_restored() -> bool:
        """Whether every partition has published a new status with its rows."""
        totals = statuses.totals()
        return totals.partitions == settings.partitions and totals.rows == rows

    with worker.process as process:
        worker.until("ready", worker.is_ready)
        restored_s = worker.until(f"done restoring {rows} rows", is_restored) - began_s
        return restored_s, process.rss_mb()
