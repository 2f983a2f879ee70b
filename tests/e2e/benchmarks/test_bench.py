"""The benchmark on few events: that it measures and reports, not how fast anything is."""

import io
import json
import sys
from itertools import islice, pairwise
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console

from stream_app.kafka import topics
from stream_app.settings import Settings
from stream_app.sources.replay import replay
from tests.benchmarks import page_load
from tests.benchmarks.baseline import Baseline
from tests.benchmarks.bulk_producer import produce_in_batches
from tests.benchmarks.process import BenchError, MeasuredProcess
from tests.benchmarks.report import Result, print_result, report_of
from tests.benchmarks.runner import run_bench, run_page_bench
from tests.benchmarks.state import StateCost
from tests.benchmarks.throughput import Throughput
from tests.benchmarks.workload import bench_events, state_events

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")

COUNTING = Throughput(1_000_000, 8.0, 7.0, 1.5, 2.0, 250.0, 170_000)
OF_AN_HOUR = COUNTING._replace(seconds=5.0, cpu_s=4.0)
STATE = StateCost(1_000_000, 300_000, 90.0, 240.0, 150.0, 9.0, 3.0, 230.0)
IDIOMATIC = Baseline(20_000, 10.0, 9.0, 80.0)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_small_benchmark_measures_both_and_writes_its_report(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    run_bench(1000, file)
    report = json.loads(file.read_text())
    figures = {"events_per_second", "cpu_s_per_million", "peak_rss_mb"}
    assert figures | {"bytes_per_row", "restart_s"} <= report["tracker"].keys()
    assert figures <= report["idiomatic_faust"].keys()
    assert report["tracker"]["events"] == report["idiomatic_faust"]["events"] == 1000
    assert report["tracker"]["state"]["rows"] == 300 * 3 + 300
    assert report["tracker"]["restart_s"] > 0
    assert report["tracker"]["events_per_second_of_an_hour"] > 0
    assert all(report[side][figure] > 0 for side in ("tracker", "idiomatic_faust") for figure in figures)
    assert report["ratio"] > 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_small_page_benchmark_has_pages_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_load, "TURNS", 2)
    monkeypatch.setattr(page_load, "TURN_S", 1.0)
    file = tmp_path / "report.json"
    run_page_bench(1000, 3, file)
    report = json.loads(file.read_text())
    assert report["browsers"] == 3
    assert len(report["with_s"]) == len(report["without_s"]) == 2
    assert all(cpu_s > 0 for cpu_s in report["with_s"])
    assert report["kb_per_s"] > 0
    assert -100 < report["percent"] < 100


def test_the_report_has_the_figures_asked_for() -> None:
    report = report_of(Result(Settings(), COUNTING, OF_AN_HOUR, STATE, IDIOMATIC, "a machine", 0.1))
    tracker = {"events_per_second": 125_000, "cpu_s_per_million": 7.0, "peak_rss_mb": 250.0}
    assert tracker.items() <= report["tracker"].items()
    of_an_hour = {"events_per_second_of_an_hour": 200_000, "cpu_s_per_million_of_an_hour": 4.0}
    assert of_an_hour.items() <= report["tracker"].items()
    assert {"bytes_per_row": 150.0, "restart_s": 9.0}.items() <= report["tracker"].items()
    idiomatic = {"events_per_second": 2000, "cpu_s_per_million": 450.0, "peak_rss_mb": 80.0}
    assert idiomatic.items() <= report["idiomatic_faust"].items()
    assert report["ratio"] == 62.5


def test_the_table_has_both_sides_and_says_that_the_machine_was_busy() -> None:
    out = Console(file=io.StringIO(), width=110)
    result = Result(Settings(), COUNTING, OF_AN_HOUR, STATE, IDIOMATIC, "a machine", 3.0)
    print_result(out, result)
    assert isinstance(out.file, io.StringIO)
    assert "125,000" in out.file.getvalue()
    assert "2,000" in out.file.getvalue()
    assert "The machine was busy" in out.file.getvalue()


def test_the_filled_topics_hold_what_a_replay_writes(brokers: str) -> None:
    events = list(islice(bench_events(1_000_000), 2000))
    filled, replayed = _settings(brokers, "filled"), _settings(brokers, "replayed")
    produce_in_batches(events, brokers, filled, lambda _done: None)
    replay(events, brokers, replayed)
    for one, other in zip(filled.input_topics, replayed.input_topics, strict=True):
        assert _records(brokers, one, filled.partitions) == _records(brokers, other, replayed.partitions)


def test_every_event_of_the_large_state_is_a_row_of_its_own() -> None:
    events = [json.loads(event.value) for event in state_events(200)]
    rows = {(event["user_id"], *event["topics"]) for event in events}
    assert len(rows) == len(events) == 600
    assert len({user for user, _ in rows}) == 200
    assert max(event["ts"] for event in events) - min(event["ts"] for event in events) < 24 * 3_600_000


def test_a_measured_process_reports_its_cpu_time_and_memory_until_it_has_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; sum(range(20_000_000)); print('done', flush=True); time.sleep(60)"]
    with MeasuredProcess("summer", command, {}, tmp_path) as process:
        while "done" not in process.log_tail():
            process.check()
        assert process.cpu_s() > 0.05
        assert 1 < process.rss_mb() <= process.peak_rss_mb() < 1000
        process.kill()
        with pytest.raises(BenchError, match=r"(?s)the summer ended with status -9.*done"):
            process.cpu_s()


def test_cpu_time_shorter_than_a_tick_of_the_kernel_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('busy', flush=True)\nwhile True: pass"]
    with MeasuredProcess("spinner", command, {}, tmp_path) as process:
        while "busy" not in process.log_tail():
            process.check()
        readings = [process.cpu_s() for _ in range(1000)]
    assert any(0 < later - earlier < 0.005 for earlier, later in pairwise(readings))


def _settings(brokers: str, name: str) -> Settings:
    settings = Settings(
        brokers=brokers, app_id=f"bench-{name}", posts_topic=f"bench-{name}.posts", shares_topic=f"bench-{name}.shares"
    )
    topics.create(settings)
    return settings


def _records(brokers: str, topic: str, partitions: int) -> dict[int, list[tuple[bytes, bytes]]]:
    """Key and value of every record, by partition."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", consumer_timeout_ms=2000)
    consumer.assign([TopicPartition(topic, partition) for partition in range(partitions)])
    found: dict[int, list[tuple[bytes, bytes]]] = {}
    for record in consumer:
        found.setdefault(record.partition, []).append((record.key, record.value))
    consumer.close()
    return found
