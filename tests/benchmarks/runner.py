"""The benchmark: the tracker and the baseline on the same events, in one run, on servers of its own."""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from rich.console import Console

from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.settings import Settings, environment_of_child
from stream_app.settings.secret import SecretUrl
from stream_app.settings.text import as_environment
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.baseline import PARTITIONS, TOPICS, Baseline, measure_baseline
from tests.benchmarks.page_load import measure_page_load
from tests.benchmarks.peers.measure import measure_with_peers
from tests.benchmarks.process import BenchError
from tests.benchmarks.progress import OnProgress, shown
from tests.benchmarks.report import Result, print_page_cost, print_peers, print_result, report_of
from tests.benchmarks.scale import Scenario, measure_scale
from tests.benchmarks.scale_report import print_scale, scale_report
from tests.benchmarks.state import measure_state
from tests.benchmarks.throughput import measure_throughput
from tests.benchmarks.workload import HOUR_MS, SPAN_MS, TOPICS_PER_USER, bench_events, state_events
from tests.servers.apache import apache_kafka

MOST_BASELINE_EVENTS = 30_000
"""The baseline gets the first of the same events, because it is so much slower."""
_SESSION_TIMEOUT_S = 3.0
"""The one setting that differs from its default. Kafka admits a worker once the session of the dead one has timed out.
The embedded broker makes every worker wait 3 s, and 8 s more if the dead one has not timed out by then: that happens
at random from 4 s on."""
_STATE_USERS_PER_EVENT = 0.3
_CREATE_TIMEOUT_S = 60
_PLAIN_WIDTH = 110


def run_bench(events: int, report: Path | None) -> None:
    """Measure with `events` events, print the figures, and write them to `report`. Raises BenchError.

    With a million events the large state has 1.2 million rows; with fewer, fewer.
    """
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    with shown(out) as on_progress:
        result = measure(events, on_progress)
    print_result(out, result)
    if report is not None:
        report.write_text(json.dumps(report_of(result), ensure_ascii=False, indent=2) + "\n")


def run_page_bench(events: int, browsers: int, report: Path | None) -> None:
    """Measure the CPU cost of `browsers` open pages, print it, and write it to `report`. Raises BenchError."""
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    with (
        shown(out) as on_progress,
        tempfile.TemporaryDirectory(prefix="stream-app-bench-") as name,
        _servers() as settings,
    ):
        cost = measure_page_load(events, browsers, settings, Path(name), on_progress)
    print_page_cost(out, cost)
    if report is not None:
        report.write_text(
            json.dumps({**cost._asdict(), "percent": cost.percent, "machine": _machine()}, indent=2) + "\n"
        )


def run_scale_bench(scenario: Scenario, kafka: str, report: Path | None) -> None:
    """Measure a scenario on the broker named, print the figures, and write them to `report`. Raises BenchError."""
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    with (
        shown(out) as on_progress,
        tempfile.TemporaryDirectory(prefix="stream-app-bench-") as name,
        _servers(kafka) as settings,
    ):
        found = {"kafka": kafka, **scale_report(measure_scale(scenario, settings, Path(name), on_progress))}
    print_scale(out, found, _machine())
    if report is not None:
        report.write_text(json.dumps({**found, "machine": _machine()}, indent=2) + "\n")


def run_peer_bench(events: int, kafka: str, report: Path | None) -> None:
    """Measure the tracker and its peers on the broker named, print the figures, and write them to `report`.

    Raises BenchError, FetchError, KafkaError.
    """
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _PLAIN_WIDTH)
    with (
        shown(out) as on_progress,
        tempfile.TemporaryDirectory(prefix="stream-app-bench-") as name,
        _servers(kafka) as settings,
    ):
        costs = list(measure_with_peers(_events(events), events, settings, Path(name), on_progress))
    print_peers(out, costs, kafka, _machine())
    if report is not None:
        found = {"kafka": kafka, "machine": _machine(), "peers": [cost._asdict() for cost in costs]}
        report.write_text(json.dumps(found, indent=2) + "\n")


def measure(events: int, on_progress: OnProgress) -> Result:
    """Measure each part on a new embedded Kafka; every process has ended when it returns.

    Raises BenchError and EmbeddedServerError.
    """
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="stream-app-bench-") as name:
        folder = Path(name)
        with _servers() as settings:
            counting = measure_throughput(_events(events), events, settings, folder, on_progress)
        with _servers() as settings:
            hour = bench_events(events, span_ms=HOUR_MS)
            of_an_hour = measure_throughput(hour, events, settings, folder, on_progress)
        with _servers() as settings:
            users = round(events * _STATE_USERS_PER_EVENT)
            state = measure_state(state_events(users), users * TOPICS_PER_USER, settings, folder, on_progress)
        return Result(
            settings, counting, of_an_hour, state, _baseline(events, folder, on_progress), _machine(), load_before
        )


def _baseline(events: int, folder: Path, on_progress: OnProgress) -> Baseline:
    first = min(events, MOST_BASELINE_EVENTS)
    with embedded_broker() as brokers:
        settings = Settings(brokers=brokers, posts_topic=TOPICS[0], shares_topic=TOPICS[1], partitions=PARTITIONS)
        _create_topics(settings)
        return measure_baseline(islice(_events(events), first), first, settings, folder, on_progress)


def _events(count: int) -> Iterator[RecordedEvent]:
    """Events at the same rate, whatever their number: a million in 48 h."""
    return bench_events(count, span_ms=round(SPAN_MS * count / 1_000_000))


@contextmanager
def _kafka(kind: str) -> Iterator[str]:
    """A new Kafka, embedded or apache, for the length of the block."""
    if kind == "embedded":
        with embedded_broker() as brokers:
            yield brokers
        return
    with tempfile.TemporaryDirectory(prefix="stream-app-bench-") as name, apache_kafka(Path(name)) as cluster:
        yield cluster.brokers


@contextmanager
def _servers(kafka: str = "embedded") -> Iterator[Settings]:
    """A new Kafka with the topics, and a new Redis, for the length of the block."""
    with _kafka(kafka) as brokers, embedded_redis() as redis_url:
        settings = Settings(brokers=brokers, redis_url=SecretUrl(redis_url), session_timeout_s=_SESSION_TIMEOUT_S)
        _create_topics(settings)
        yield settings


def _create_topics(settings: Settings) -> None:
    """As in production: `stream-app topics create`."""
    command = [sys.executable, "-m", "stream_app", "topics", "create"]
    created = subprocess.run(
        command,
        env=environment_of_child(as_environment(settings)),
        capture_output=True,
        check=False,
        text=True,
        timeout=_CREATE_TIMEOUT_S,
    )
    if created.returncode:
        raise BenchError(f"`stream-app topics create` failed: {created.stderr or created.stdout}")


def _machine() -> str:
    """Processor, cores, system and Python, in a line."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.machine(),
    )
    return f"{os.cpu_count()} × {model}, {platform.system()}, Python {platform.python_version()}"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
