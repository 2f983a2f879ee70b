"""Throughput: how fast one worker counts the records that lie on Kafka, and what that costs."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.bulk_producer import produce_in_batches
from tests.benchmarks.process import BenchError
from tests.benchmarks.progress import OnProgress
from tests.benchmarks.worker import following_statuses, start_worker


class Throughput(NamedTuple):
    """One worker, and the events that lay on Kafka when it started."""

    events: int
    seconds: float
    """Wall time from the last poll that saw nothing counted to the first that saw everything counted."""
    cpu_s: float
    """CPU time from the same poll until every count is durable on Kafka."""
    durable_after_s: float
    """Wall time from the end of `seconds` until then."""
    start_cpu_s: float
    """CPU time before the first event."""
    peak_rss_mb: float
    rows: int
    """Rows (scope, user) in the window at the end, those of `*` included."""


def measure_throughput(
    events: Iterable[RecordedEvent], count: int, settings: Settings, folder: Path, on_progress: OnProgress
) -> Throughput:
    """Produce `count` events, then start one worker and poll it until it has counted them. Raises BenchError."""
    produce_in_batches(events, settings.brokers, settings, lambda done: on_progress("producing events", done, count))
    worker = start_worker(settings, folder)
    with worker.process as process, following_statuses(settings) as statuses:
        on_progress("the tracker counts", 0, count)
        zero_s, zero_cpu_s, end_s = 0.0, 0.0, 0.0

        def is_counted() -> bool:
            nonlocal zero_s, zero_cpu_s, end_s
            counted = worker.counted()
            end_s = time.monotonic()
            if not counted:
                zero_s, zero_cpu_s = end_s, process.cpu_s()
            on_progress("the tracker counts", counted, count)
            return counted >= count

        worker.until("done counting", is_counted)
        durable_s = worker.until("done writing its counts to Kafka", lambda: statuses.totals().read >= count)
        cpu_s = process.cpu_s() - zero_cpu_s
        totals = statuses.totals()
        if totals.applied != count:
            raise BenchError(f"{totals.applied} of {count} events were counted: {totals}")
        return Throughput(
            events=count,
            seconds=end_s - zero_s,
            cpu_s=cpu_s,
            durable_after_s=durable_s - end_s,
            start_cpu_s=zero_cpu_s,
            peak_rss_mb=process.peak_rss_mb(),
            rows=totals.rows,
        )
