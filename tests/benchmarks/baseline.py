"""The baseline, measured on the same records: an idiomatic Faust app, in baseline_app.py."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition

from stream_app.kafka.clients import quiet_kafka
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.bulk_producer import produce_in_batches
from tests.benchmarks.counting import until_counted
from tests.benchmarks.process import MeasuredProcess
from tests.benchmarks.progress import OnProgress

APP_FILE = Path(__file__).parent / "baseline_app.py"
TOPICS = ("influence.posts", "influence.shares")
"""The topics that it reads."""
PARTITIONS = 8

_CHANGELOG = "idiomatic-impressions-changelog"
_POLL_MS = 50
_MOST_RECORDS = 5000
_PATIENCE_S = 20.0


class Baseline(NamedTuple):
    """Throughput, CPU time and memory of the baseline."""

    events: int
    seconds: float
    """Wall time from the last poll that saw nothing counted to the first that saw everything counted."""
    cpu_s: float
    """Over the same time."""
    peak_rss_mb: float


def measure_baseline(
    events: Iterable[RecordedEvent], count: int, settings: Settings, folder: Path, on_progress: OnProgress
) -> Baseline:
    """Produce `count` events, then start the app and poll it until it has counted them. Raises BenchError.

    Each event must be about one topic: then it is one record in the changelog of impressions, by which its progress can
    be read from outside.
    """
    produce_in_batches(events, settings.brokers, settings, lambda done: on_progress("producing events", done, count))
    command = [sys.executable, str(APP_FILE), "worker", "--loglevel", "info", "--without-web"]
    with (
        MeasuredProcess(
            "idiomatic Faust app", command, {"IDIOMATIC_BROKER": f"kafka://{settings.brokers}"}, folder
        ) as process,
        _written(_CHANGELOG, settings.brokers) as written,
    ):
        took = until_counted(process, written, count, _PATIENCE_S, on_progress)
        return Baseline(count, took.seconds, took.cpu_s, process.peak_rss_mb())


@contextmanager
def _written(changelog: str, brokers: str) -> Iterator[Callable[[], int]]:
    """Counts the records written to a topic, for the length of the block; 0 before it exists.

    By reading them: the end offset of the embedded broker may be a record short.
    """
    with quiet_kafka():
        consumer = KafkaConsumer(
            bootstrap_servers=brokers.split(","),
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            metrics_enabled=False,
        )
    count = 0

    def written() -> int:
        nonlocal count
        if not consumer.assignment():
            known = consumer.partitions_for_topic(changelog) or ()
            if len(known) < PARTITIONS:
                return 0
            consumer.assign([TopicPartition(changelog, partition) for partition in known])
        count += sum(map(len, consumer.poll(timeout_ms=_POLL_MS, max_records=_MOST_RECORDS).values()))
        return count

    with closing(consumer):
        yield written
