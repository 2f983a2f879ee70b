"""The tracker measured: how fast one worker counts what lies on Kafka, what it costs, and what its state costs."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.fill import fill
from tests.benchmarks.process import MB, BenchError
from tests.benchmarks.worker import Statuses, Worker, start_worker, told_by

Tell = Callable[[str, int, int], None]
"""(what is going on, done, of how many)."""

_QUIET_S = 16.0
"""Longer than the worker takes to merge segments, to delete what they replace, to write the whole board to Redis (which
takes 30 MB for some seconds) and to give back what that took."""
_SPARE_S = 2.0


class Counting(NamedTuple):
    """One worker counted a million events, say, that lay on Kafka when it started."""

    events: int
    seconds: float
    """Wall time from the last look at which nothing was counted to the first at which everything was."""
    cpu_s: float
    """Over the same time, and on until the counters told on Kafka say so too."""
    durable_after_s: float
    """How long that was."""
    start_cpu_s: float
    """CPU time before the first event."""
    peak_rss_mb: float
    rows: int
    """Rows (scope, user) in the window at the end, those of `*` included."""


class State(NamedTuple):
    """What a large state costs."""

    rows: int
    users: int
    idle_rss_mb: float
    """Of a ready worker without any."""
    loaded_rss_mb: float
    """Of the worker that counted it, settled."""
    bytes_per_row: float
    restart_s: float
    """From the start of a process, at once after kill -9 of the one before, until /readyz and every row is back."""
    start_s: float
    """The same after an ordinary end: Kafka does not wait for the session of the dead worker to time out."""
    restarted_rss_mb: float


def measure_counting(
    events: Iterable[RecordedEvent], count: int, settings: Settings, folder: Path, tell: Tell
) -> Counting:
    """Fill the input topics with `count` events, then start one worker and watch it count them. Raises BenchError."""
    fill(events, settings.brokers, settings, lambda done: tell("filling Kafka", done, count))
    worker = start_worker(settings, folder)
    with worker.process as process, told_by(settings) as statuses:
        tell("the tracker counts", 0, count)
        zero_s, zero_cpu_s, end_s = 0.0, 0.0, 0.0

        def is_counted() -> bool:
            nonlocal zero_s, zero_cpu_s, end_s
            counted = worker.counted()
            end_s = time.monotonic()
            if not counted:
                zero_s, zero_cpu_s = end_s, process.cpu_s()
            tell("the tracker counts", counted, count)
            return counted >= count

        worker.until("through with counting", is_counted)
        durable_s = worker.until("done with writing", lambda: statuses.totals().read >= count)
        cpu_s = process.cpu_s() - zero_cpu_s
        totals = statuses.totals()
        if totals.applied != count:
            raise BenchError(f"{totals.applied} of {count} events were counted: {totals}")
        return Counting(
            events=count,
            seconds=end_s - zero_s,
            cpu_s=cpu_s,
            durable_after_s=durable_s - end_s,
            start_cpu_s=zero_cpu_s,
            peak_rss_mb=process.peak_rss_mb(),
            rows=totals.rows,
        )


def measure_state(events: Iterable[RecordedEvent], count: int, settings: Settings, folder: Path, tell: Tell) -> State:
    """Load a worker with `count` events that stay in its window; kill it; start others. Raises BenchError."""
    with told_by(settings) as statuses:
        worker = start_worker(settings, folder)
        with worker.process as process:
            tell("a worker starts, idle", 0, 0)
            worker.until("ready", worker.is_ready)
            time.sleep(_SPARE_S)
            idle_mb = process.rss_mb()
            fill(events, settings.brokers, settings, lambda done: tell("loading a large state", done, count))
            _settle(worker, statuses, count, tell)
            totals, loaded_mb = statuses.totals(), process.rss_mb()
            process.kill()
        restart_s, restarted_mb = _restart(settings, folder, statuses, totals.rows, tell)
        start_s, _ = _restart(settings, folder, statuses, totals.rows, tell)
    return State(
        rows=totals.rows,
        users=totals.users,
        idle_rss_mb=idle_mb,
        loaded_rss_mb=loaded_mb,
        bytes_per_row=(loaded_mb - idle_mb) * MB / max(totals.rows, 1),
        restart_s=restart_s,
        start_s=start_s,
        restarted_rss_mb=restarted_mb,
    )


def _settle(worker: Worker, statuses: Statuses, count: int, tell: Tell) -> None:
    """Wait until everything is counted and the state has stopped changing."""
    last = statuses.totals()
    since_s = time.monotonic()

    def is_quiet() -> bool:
        nonlocal last, since_s
        totals = statuses.totals()
        if totals != last or totals.read < count or totals.lagging:
            last, since_s = totals, time.monotonic()
        tell("the tracker counts the large state", totals.read, count)
        return time.monotonic() - since_s > _QUIET_S

    worker.until("settled", is_quiet)


def _restart(settings: Settings, folder: Path, statuses: Statuses, rows: int, tell: Tell) -> tuple[float, float]:
    """Start a worker and end it once it is back; returns the seconds until then, and its memory then, in MB."""
    tell("another worker takes over", 0, 0)
    statuses.forget()
    began_s = time.monotonic()
    worker = start_worker(settings, folder)

    def is_back() -> bool:
        """Every partition has told anew of its rows."""
        totals = statuses.totals()
        return totals.partitions == settings.partitions and totals.rows == rows

    with worker.process as process:
        worker.until("ready", worker.is_ready)
        back_s = worker.until(f"back with {rows} rows", is_back) - began_s
        return back_s, process.rss_mb()
