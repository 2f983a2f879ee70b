"""The tracker and its peers, measured on the same records: a loop written by hand, and Kafka Streams where Java is."""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.benchmarks.counting import until_counted
from tests.benchmarks.process import MeasuredProcess
from tests.benchmarks.progress import OnProgress
from tests.benchmarks.throughput import measure_throughput
from tests.fetched import java_libraries

HERE = Path(__file__).parent
_POLL_S = 0.05
_PATIENCE_S = 60.0
"""Without progress."""


class PeerCost(NamedTuple):
    """What the tracker or a peer took for the events that lay on Kafka when it started."""

    name: str
    events: int
    seconds: float
    """Wall time from the last poll that saw nothing counted to the first that saw everything counted."""
    cpu_s: float
    """Over the same time."""
    peak_rss_mb: float


def measure_with_peers(
    events: Iterable[RecordedEvent], count: int, settings: Settings, folder: Path, on_progress: OnProgress
) -> Iterator[PeerCost]:
    """Yield the cost of one worker, and of each peer that runs here. Raises BenchError, FetchError."""
    own = measure_throughput(events, count, settings, folder, on_progress)
    yield PeerCost("tracker, 1 worker", count, own.seconds, own.cpu_s, own.peak_rss_mb)
    for name, command in _peers():
        yield _measured(name, command, settings.brokers, count, folder, on_progress)


def _peers() -> Iterator[tuple[str, list[str]]]:
    """Yield name and command of each peer that runs here."""
    yield "loop written by hand", [sys.executable, str(HERE / "loop.py")]
    java = shutil.which("java")
    if java is None or not all(map(shutil.which, ("javac", "mvn"))):
        return
    libraries = java_libraries("streams", HERE / "pom.xml")
    yield "Kafka Streams, pane ring", [java, "-cp", f"{libraries}/*", str(HERE / "PaneRing.java")]


def _measured(
    name: str, command: list[str], brokers: str, count: int, folder: Path, on_progress: OnProgress
) -> PeerCost:
    """Start a peer and poll it until it has counted the `count` events on Kafka."""
    progress = folder / f"{name}.count"
    variables = {"PEER_BROKERS": brokers, "PEER_PROGRESS": str(progress)}

    def counted() -> int:
        time.sleep(_POLL_S)
        return _number_in(progress)

    with MeasuredProcess(name, command, variables, folder) as process:
        took = until_counted(process, counted, count, _PATIENCE_S, on_progress)
        return PeerCost(name, count, took.seconds, took.cpu_s, process.peak_rss_mb())


def _number_in(file: Path) -> int:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # not written yet, or just now
        return 0
