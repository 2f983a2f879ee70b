"""Scale: what many topics and several workers cost, catching up, idle and at a rate."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from stream_app.kafka.clients import open_consumer, quiet_kafka
from stream_app.kafka.topic_scan import Span, Spans, partitions_of, read, spans
from stream_app.kafka.topics import changelogs_of
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.bulk_producer import produce_in_batches
from tests.benchmarks.paced_producer import produce_at_rate
from tests.benchmarks.progress import OnProgress
from tests.benchmarks.worker import PATIENCE_S, Worker, start_worker
from tests.benchmarks.workload import END_MS, bench_events

_SETTLE_S = 20.0
_IDLE_S = 20.0
_RATE_S = 40.0
_BUCKET = re.compile(r'^influence_flag_latency_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


class Scenario(NamedTuple):
    """What is measured."""

    events: int
    topics: int
    workers: int
    rates: tuple[int, ...]
    """Events per second of the everyday loads."""


class CatchingUp(NamedTuple):
    """All workers together, with the events that lay on Kafka when they started."""

    seconds: float
    cpu_s: float
    rss_mb: list[float]
    """Of each worker, once it is quiet."""
    peak_rss_mb: list[float]


class EverydayLoad(NamedTuple):
    """All workers together, at a rate."""

    rate: int
    events: int
    cores: float
    flags: int
    flag_p50_s: float
    flag_p99_s: float
    written_bytes: dict[str, int]
    """By topic: keys and values, before they are compressed."""


class ScaleCost(NamedTuple):
    """The figures of a scenario."""

    scenario: Scenario
    catching_up: CatchingUp
    idle_cores: float
    idle_bytes: int
    """Written in the time in which nothing came in."""
    loads: list[EverydayLoad]


def measure_scale(scenario: Scenario, settings: Settings, folder: Path, on_progress: OnProgress) -> ScaleCost:
    """Measure on a new Kafka that has the topics. Raises BenchError, KafkaError."""
    events = bench_events(scenario.events, topics=scenario.topics)
    produce_in_batches(
        events, settings.brokers, settings, lambda done: on_progress("producing events", done, scenario.events)
    )
    with ExitStack() as ending:
        workers = [start_worker(settings, folder, f"worker {number}") for number in range(scenario.workers)]
        for worker in workers:
            ending.enter_context(worker.process)
        catching_up = _catch_up(workers, scenario.events, on_progress)
        ends = _ends(settings)
        on_progress("nothing comes in", 0, 0)
        idle_cores = _cores(workers, _IDLE_S)
        idle_bytes = sum(_written(settings, ends).values())
        loads = [_load(workers, rate, live, settings, on_progress) for rate, live in _live(scenario)]
    return ScaleCost(scenario, catching_up, idle_cores, idle_bytes, loads)


def _catch_up(workers: Sequence[Worker], events: int, on_progress: OnProgress) -> CatchingUp:
    zero_s, zero_cpu_s, end_s = 0.0, 0.0, 0.0

    def is_counted() -> bool:
        nonlocal zero_s, zero_cpu_s, end_s
        counted = sum(worker.counted() for worker in workers)
        end_s = time.monotonic()
        if not counted:
            zero_s, zero_cpu_s = end_s, _cpu_s(workers)
        on_progress("the workers count", counted, events)
        return counted >= events

    workers[0].until("done counting", is_counted, patience_s=PATIENCE_S + events / 5000)
    seconds, counted_cpu_s = end_s - zero_s, _cpu_s(workers)
    on_progress("they settle", 0, 0)
    time.sleep(_SETTLE_S)
    return CatchingUp(
        seconds=seconds,
        cpu_s=counted_cpu_s - zero_cpu_s,
        rss_mb=[worker.process.rss_mb() for worker in workers],
        peak_rss_mb=[worker.process.peak_rss_mb() for worker in workers],
    )


def _live(scenario: Scenario) -> Iterator[tuple[int, Iterator[RecordedEvent]]]:
    """The rates, each with the events that follow in event time."""
    for place, rate in enumerate(scenario.rates, start=1):
        end_ms = END_MS + round(place * _RATE_S * 1000)
        count = round(rate * _RATE_S) + rate
        yield (
            rate,
            bench_events(count, seed=10 + place, end_ms=end_ms, span_ms=round(_RATE_S * 1000), topics=scenario.topics),
        )


def _load(
    workers: Sequence[Worker],
    rate: int,
    events: Iterator[RecordedEvent],
    settings: Settings,
    on_progress: OnProgress,
) -> EverydayLoad:
    on_progress(f"{rate:,} events a second", 0, 0)
    ends, before, began_s, cpu_s = _ends(settings), _latencies(workers), time.monotonic(), _cpu_s(workers)
    sent = produce_at_rate(events, rate, _RATE_S, settings)
    cores = (_cpu_s(workers) - cpu_s) / (time.monotonic() - began_s)
    latencies = _latencies(workers)
    latencies.subtract(before)
    return EverydayLoad(
        rate=rate,
        events=sent,
        cores=cores,
        flags=max(latencies.values(), default=0),
        flag_p50_s=_quantile(latencies, 0.5),
        flag_p99_s=_quantile(latencies, 0.99),
        written_bytes=_written(settings, ends),
    )


def _cores(workers: Sequence[Worker], seconds: float) -> float:
    began_s, cpu_s = time.monotonic(), _cpu_s(workers)
    time.sleep(seconds)
    return (_cpu_s(workers) - cpu_s) / (time.monotonic() - began_s)


def _cpu_s(workers: Sequence[Worker]) -> float:
    return sum(worker.process.cpu_s() for worker in workers)


def _latencies(workers: Sequence[Worker]) -> Counter[float]:
    """Flags that came within so many seconds, by upper bound."""
    found: Counter[float] = Counter()
    for worker in workers:
        for bound, count in _BUCKET.findall(worker.metrics()):
            found[float(bound)] += int(float(count))
    return found


def _quantile(within: Mapping[float, int], part: float) -> float:
    """By linear interpolation in its bucket, as Prometheus does; NaN without any."""
    bounds = sorted(within)
    wanted, low_s, before = part * within[bounds[-1]] if bounds else 0.0, 0.0, 0
    for bound in bounds:
        if within[bound] >= wanted and within[bound] > before:
            return low_s + (min(bound, 2 * low_s) - low_s) * (wanted - before) / (within[bound] - before)
        low_s, before = bound, within[bound]
    return float("nan")


def _outputs(settings: Settings) -> tuple[str, ...]:
    internal = (settings.curves_topic, settings.additions_topic, *changelogs_of(settings))
    return (settings.flags_topic, settings.cuts_topic, *internal)


def _ends(settings: Settings) -> Spans:
    with quiet_kafka(), open_consumer(settings) as consumer:
        return spans(consumer, partitions_of(consumer, _outputs(settings)))


def _written(settings: Settings, before: Spans) -> dict[str, int]:
    """Bytes of keys and values that were written to each topic since then."""
    found = dict.fromkeys(_outputs(settings), 0)
    with quiet_kafka(), open_consumer(settings) as consumer:
        now = spans(consumer, list(before))
        since = {place: Span(max(before[place].end, span.start), span.end) for place, span in now.items()}
        for record in read(consumer, since):
            found[record.topic] += len(record.key or b"") + len(record.value or b"")
    return found
