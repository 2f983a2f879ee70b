"""A worker under measurement: started as in production, polled over HTTP and through its statuses on Kafka."""

import http.client
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.state.watermark import NO_TIME
from stream_app.demo.embedded.process import LOCALHOST, free_port
from stream_app.kafka.clients import quiet_kafka
from stream_app.kafka.options import kafka_python_options
from stream_app.settings import Settings
from stream_app.settings.text import as_environment
from stream_app.until import until
from tests.benchmarks.process import BenchError, MeasuredProcess

POLL_S = 0.1
"""Between polls: each one costs the worker about 2 ms of the CPU time that is measured."""

PATIENCE_S = 120.0
"""The measurement fails after this long without the state that it waits for."""

_HTTP_TIMEOUT_S = 10.0
_COUNTED = re.compile(r'^influence_events_total\{[^}]*topic="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)
_POLL_MS = 20


class Worker:
    """A running worker and its HTTP port."""

    def __init__(self, process: MeasuredProcess, port: int, topics: Sequence[str]) -> None:
        """`topics`: of posts and shares."""
        self.process = process
        self.port = port
        self._topics = topics

    def counted(self) -> int:
        """Posts and shares it has counted or set aside since it started; 0 before it answers."""
        return sum(int(float(value)) for topic, value in _COUNTED.findall(self.metrics()) if topic in self._topics)

    def is_ready(self) -> bool:
        """Whether it holds its partitions and has rebuilt their ledgers."""
        answer = self._get("/readyz")
        return answer is not None and answer[0] == http.client.OK

    def metrics(self) -> str:
        """Its metrics as text; empty before it answers."""
        answer = self._get("/metrics")
        return answer[1] if answer else ""

    def until(self, what: str, is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> float:
        """Wait until `is_so` and return when that was seen, as time.monotonic(). Raises BenchError."""

        def is_seen() -> bool:
            self.process.check()
            return is_so()

        if not until(is_seen, patience_s, every_s=POLL_S):
            raise BenchError(
                f"the worker was not {what} within {patience_s:g} s; the end of its log:\n{self.process.log_tail()}"
            )
        return time.monotonic()

    def _get(self, path: str) -> tuple[int, str] | None:
        """Status and text, or None while the port is closed."""
        with closing(http.client.HTTPConnection(LOCALHOST, self.port, timeout=_HTTP_TIMEOUT_S)) as connection:
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                return response.status, response.read().decode()
            except OSError:
                return None


def start_worker(settings: Settings, folder: Path, name: str = "worker") -> Worker:
    """Start `python -m stream_app worker`; enter its process as a block, which ends it."""
    port = free_port()
    own = msgspec.structs.replace(settings, http_host=LOCALHOST, http_port=port)
    command = [sys.executable, "-m", "stream_app", "worker"]
    return Worker(MeasuredProcess(name, command, as_environment(own), folder), port, settings.input_topics)


class Totals(NamedTuple):
    """The sums over all partitions."""

    read: int
    applied: int
    rows: int
    users: int
    segments: int
    partitions: int
    lagging: bool


class Statuses:
    """The statuses of the partitions on the curves topic: their counters are durable when they are published."""

    def __init__(self, consumer: Any, source: TopicPartition) -> None:
        self._consumer = consumer
        self._source = source
        self._statuses: dict[int, Status] = {}

    def forget(self) -> None:
        """Drop what was read; only statuses published from now on count."""
        self._statuses.clear()
        self._consumer.seek_to_end(self._source)
        self._consumer.position(self._source)

    def totals(self) -> Totals:
        """As of now."""
        for records in self._consumer.poll(timeout_ms=_POLL_MS).values():
            for record in records:
                status.read_into(self._statuses, record.key, record.value)
        every = (source for known in self._statuses.values() for source in known.sources.values())
        sources = [source for source in every if source.watermark > NO_TIME]  # credits have none
        return Totals(
            read=sum(source.read for source in sources),
            applied=sum(source.applied for source in sources),
            rows=sum(known.rows for known in self._statuses.values()),
            users=sum(known.users for known in self._statuses.values()),
            segments=sum(known.segments for known in self._statuses.values()),
            partitions=len(self._statuses),
            lagging=any(known.lagging for known in self._statuses.values()),
        )


@contextmanager
def following_statuses(settings: Settings) -> Iterator[Statuses]:
    """Read the curves topic from its beginning, for the length of the block."""
    source = TopicPartition(settings.curves_topic, 0)
    with quiet_kafka():
        consumer = KafkaConsumer(
            **kafka_python_options(settings),
            group_id=None,
            enable_auto_commit=False,
            metrics_enabled=False,
        )
    with closing(consumer):
        consumer.assign([source])
        consumer.seek_to_beginning(source)
        yield Statuses(consumer, source)
