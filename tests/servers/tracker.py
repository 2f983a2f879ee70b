"""A tracker under test: topics of its own on a shared broker, and worker processes that always end."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kafka import KafkaConsumer, TopicPartition

from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.messages import Cut
from stream_app.demo.embedded import process
from stream_app.kafka import topics
from stream_app.settings import Settings, load
from tests.servers.reading import up_to_the_end

ROOT = Path(__file__).parents[2]

WORKER_PROGRAM = """
import json, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as `stream-app worker` does
from stream_app.settings import load
from stream_app.worker import run_worker
sys.exit(run_worker(load(json.loads(sys.argv[1]))))
"""
WORKER = (sys.executable, "-c", WORKER_PROGRAM)
_TOPICS = (
    "posts",
    "shares",
    "flags",
    "cuts",
    "standings",
    "curves",
    "additions",
    "retractions",
    "credits",
    "dead_letters",
    "late",
    "erasures",
    "alerts",
    "undelivered",
    "audit",
)
_STOP_S = 10.0
_POLL_MS = 100
_LOG_TAIL = 4000


def variables(brokers: str, name: str, **given: str) -> dict[str, str]:
    """The environment of a tracker called `name`: its own topics and group, no board, any free port."""
    own = {f"{topic}_topic": f"{name}.{topic}" for topic in _TOPICS}
    values = {"brokers": brokers, "app_id": name, "redis_url": "", "http_port": "0", "session_timeout_s": "3s", **own}
    return {f"STREAM_APP_{setting.upper()}": value for setting, value in {**values, **given}.items()}


class Worker:
    """One worker process; it ends with the test process at the latest."""

    def __init__(self, environment: Mapping[str, str], log: IO[bytes], command: Sequence[str]) -> None:
        self.log = log
        self.process = process.spawn([*command, json.dumps(dict(environment))], log)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.wait(_STOP_S)

    def has_said(self, words: str) -> bool:
        """Whether its log holds these words."""
        return words in Path(self.log.name).read_text(errors="replace")

    def times_said(self, words: str) -> int:
        """How often its log holds these words."""
        return Path(self.log.name).read_text(errors="replace").count(words)

    def said(self) -> str:
        """The end of its log."""
        return Path(self.log.name).read_text(errors="replace")[-_LOG_TAIL:]

    def said_of_itself(self, words: str) -> str | None:
        """What follows `words` in its log, up to the next blank; None where it has not said them."""
        _, found, rest = Path(self.log.name).read_text(errors="replace").partition(words)
        return rest.split(maxsplit=1)[0] if found else None


class Tracker:
    """Topics, workers, and what they publish; `follow` reads it."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self.environment = environment
        self.settings: Settings = load(environment)
        self.workers: list[Worker] = []
        self._logs = logs

    def start(self, command: Sequence[str] = WORKER, **other: str) -> Worker:
        """Start one more worker; `command` is followed by the environment of the tracker as JSON.

        `other`: settings that it has in place of those of the tracker.
        """
        log = (self._logs / f"worker-{len(self.workers)}.log").open("wb")
        given = {f"STREAM_APP_{setting.upper()}": value for setting, value in other.items()}
        self.workers.append(Worker({**self.environment, **given}, log, command))
        return self.workers[-1]

    def stop(self) -> None:
        """End every worker."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(_STOP_S)
            worker.process.kill()
            worker.process.wait(_STOP_S)
            worker.log.close()


@contextmanager
def tracker(environment: Mapping[str, str], logs: Path, workers: int) -> Iterator[Tracker]:
    """Create the topics and run the workers for the length of the block."""
    run = Tracker(environment, logs)
    problems = [found.problem for found in topics.create(run.settings) if found.problem]
    assert not problems
    try:
        for _ in range(workers):
            run.start()
        yield run
    finally:
        run.stop()


@dataclass
class Seen:
    """What was read of a tracker's topics so far."""

    settings: Settings
    statuses: dict[int, Status] = field(default_factory=dict)
    regressions: list[str] = field(default_factory=list)
    """Counters of a partition that went back."""
    cuts: dict[tuple[str, str], Cut] = field(default_factory=dict)
    """By topic and role."""
    records: dict[str, list[Any]] = field(default_factory=dict)
    """All records, by topic."""

    def take(self, record: Any) -> None:
        """One record."""
        self.records.setdefault(record.topic, []).append(record)
        if record.topic == self.settings.curves_topic:
            self._take_status(record)
        if record.topic == self.settings.cuts_topic:
            self._take_cut(record.key, record.value)

    def total(self, counter: str) -> int:
        """Sum of a counter over all partitions, of all that comes from outside."""
        return sum(self.of_topic(topic, counter) for topic in self.settings.source_topics)

    def of_topic(self, topic: str, counter: str) -> int:
        """Sum of a counter over the partitions of a topic."""
        found = (known.sources.get(topic) for known in self.statuses.values())
        return sum(getattr(source, counter) for source in found if source is not None)

    def _take_status(self, record: Any) -> None:
        former = dict(self.statuses)
        status.read_into(self.statuses, record.key, record.value)
        for partition, before in former.items():
            now = self.statuses[partition].sources
            for topic, source in before.sources.items():
                if topic in now and now[topic].position < source.position:  # an older release reads fewer topics
                    self.regressions.append(f"{topic}-{partition}: {source} became {now[topic]}")

    def _take_cut(self, key: bytes, value: bytes | None) -> None:
        topic, _, role = json.loads(key)
        if value is None:
            self.cuts.pop((topic, role), None)
            return
        self.cuts[topic, role] = Cut(**json.loads(value))


class Follower:
    """Reads topics of a tracker from the beginning, in the thread of the test."""

    def __init__(self, run: Tracker, names: list[str]) -> None:
        self._run = run
        self.seen = Seen(run.settings)
        self._consumer = KafkaConsumer(
            bootstrap_servers=run.settings.brokers, auto_offset_reset="earliest", enable_auto_commit=False
        )
        wanted = [
            TopicPartition(name, number) for name in names for number in self._consumer.partitions_for_topic(name)
        ]
        self._consumer.assign(wanted)
        self._consumer.seek_to_beginning()

    def until(self, condition: Callable[[Seen], bool], what: str, deadline_s: float) -> Seen:
        """Read until `condition` holds. Fails when a worker ends by itself, or after `deadline_s`."""
        deadline = time.monotonic() + deadline_s
        while not condition(self.seen):
            ended = [w for w in self._run.workers if w.process.poll() not in {None, -9}]
            assert not ended, f"a worker ended by itself with {ended[0].process.returncode}: {ended[0].said()}"
            assert time.monotonic() < deadline, f"not within {deadline_s:g} s: {what}; {self._run.workers[-1].said()}"
            self.poll()
        return self.seen

    def until_read(self, records: int, deadline_s: float) -> Seen:
        """Read until the tracker has counted so many records."""
        return self.until(lambda seen: seen.total("read") >= records, f"{records} records counted", deadline_s)

    def poll(self) -> int:
        """Read what is there; returns how many records came."""
        batches = self._consumer.poll(timeout_ms=_POLL_MS)
        for records in batches.values():
            for record in records:
                self.seen.take(record)
        return sum(map(len, batches.values()))

    def during(self, seconds: float) -> None:
        """Read for so long."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.poll()

    def drain(self) -> Seen:
        """Read all that is on the topics now."""
        for record in up_to_the_end(self._consumer):
            self.seen.take(record)
        return self.seen

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


@contextmanager
def following(run: Tracker, *names: str) -> Iterator[Follower]:
    """Follow the named topics for the length of the block."""
    follower = Follower(run, list(names))
    try:
        yield follower
    finally:
        follower.close()
