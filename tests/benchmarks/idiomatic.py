"""The idiomatic Faust app measured, on the same records: the code is in idiomatic_app.py."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from kafka import KafkaConsumer, TopicPartition

from stream_app.kafka.clients import quiet_kafka
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.fill import fill
from tests.benchmarks.process import BenchError, Measured
from tests.benchmarks.tracker import Tell

APP_FILE = Path(__file__).parent / "idiomatic_app.py"
TOPICS = ("influence.posts", "influence.shares")
"""What it reads; it has 8 partitions."""
PARTITIONS = 8

_CHANGELOG = "idiomatic-impressions-changelog"
_POLL_MS = 50
_MOST_RECORDS = 5000
_PATIENCE_S = 20.0


class Idiomatic(NamedTuple):
    """How the idiomatic app did."""

    events: int
    seconds: float
    """Wall time from the last look at which nothing was counted to the first at which everything was."""
    cpu_s: float
    """Over the same time."""
    peak_rss_mb: float


def measure_idiomatic(
    events: Iterable[RecordedEvent], count: int, settings: Settings, folder: Path, tell: Tell
) -> Idiomatic:
    """Fill the input topics, then start the idiomatic app and watch it count them. Raises BenchError.

    Each event must be about one topic: then each one is one write to the changelog of impressions, which tells from
    outside how far it has come.
    """
    fill(events, settings.brokers, settings, lambda done: tell("filling Kafka", done, count))
    command = [sys.executable, str(APP_FILE), "worker", "--loglevel", "info", "--without-web"]
    with (
        Measured(
            "idiomatic Faust app", command, {"IDIOMATIC_BROKER": f"kafka://{settings.brokers}"}, folder
        ) as process,
        _written(_CHANGELOG, settings.brokers) as written,
    ):
        zero_s = done_s = time.monotonic()
        zero_cpu_s = now_cpu_s = 0.0
        done = 0
        while done < count:
            before, done = done, written()
            now_s, now_cpu_s = time.monotonic(), process.cpu_s()
            if not done:
                zero_s, zero_cpu_s = now_s, now_cpu_s
            if done > before:
                done_s = now_s
            elif now_s - done_s > _PATIENCE_S:
                raise BenchError(f"the idiomatic app stands still at event {done}:\n{process.last_words()}")
            tell("the idiomatic Faust app counts", done, count)
        return Idiomatic(count, done_s - zero_s, now_cpu_s - zero_cpu_s, process.peak_rss_mb())


@contextmanager
def _written(changelog: str, brokers: str) -> Iterator[Callable[[], int]]:
    """Counts the records written to a topic, for the length of the block; 0 before it exists.

    By reading them: the end that the embedded broker tells may be a record short.
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
