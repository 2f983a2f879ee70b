"""The consumers of deploy/examples as processes, and the places that they read flags from."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Protocol

import msgspec
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from stream_app.core.messages import Flag
from stream_app.serving.redis.layout import Layout

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"
DEADLINE_S = 40.0


def line_of(flag: Flag) -> str:
    return f"{flag.type.value} {flag.user_id} {flag.role.value} of {flag.topic} {flag.value} / {flag.threshold}"


@contextmanager
def running(example: str, folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """An example as a process in `folder`, which ends with the block or after DEADLINE_S."""
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / example],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    deadline = threading.Timer(DEADLINE_S, process.kill)
    deadline.start()
    try:
        yield process
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def printed(process: subprocess.Popen[str], lines: int) -> list[str]:
    """The next lines that an example prints; fewer where it ends before."""
    return list(islice(_lines(process), lines))


def printed_until(process: subprocess.Popen[str], last: str) -> list[str]:
    """The next lines that it prints before `last`; all where it ends without it."""
    return list(takewhile(lambda line: line != last, _lines(process)))


def printed_until_killed(process: subprocess.Popen[str]) -> list[str]:
    """Kill it and return the lines that it had printed."""
    process.kill()
    return list(_lines(process))


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return (line.rstrip() for line in process.stdout)


class Source(Protocol):
    """Where a consumer reads flags, and where it remembers what it has read."""

    example: str
    environment: dict[str, str]

    def flags_before(self, last: Flag) -> list[Flag]:
        """All that it holds before `last`, repeats too."""

    def send(self, *flags: Flag) -> None:
        """Append flags, as the tracker does."""

    def knows_place(self, count: int) -> bool:
        """Whether the consumer would go on behind the first `count` flags."""

    def seen(self) -> int:
        """How many flags the consumer remembers."""

    def forget_seen(self) -> None:
        """Take that memory away, so that only its place is left."""


class KafkaSource:
    """influence.flags."""

    example = "consume_flags.py"

    def __init__(self, brokers: str, folder: Path) -> None:
        self.environment = {"STREAM_APP_BROKERS": brokers}
        self._brokers = brokers
        self._memory = folder / "flags-seen.db"

    def flags_before(self, last: Flag) -> list[Flag]:
        with closing(
            KafkaConsumer("influence.flags", bootstrap_servers=self._brokers, auto_offset_reset="earliest")
        ) as consumer:
            flags = (msgspec.json.decode(record.value, type=Flag) for record in consumer)
            return list(takewhile(lambda flag: flag != last, flags))

    def send(self, *flags: Flag) -> None:
        with closing(KafkaProducer(bootstrap_servers=self._brokers)) as producer:
            for flag in flags:
                key, value = flag.user_id.encode(), msgspec.json.encode(flag)
                producer.send("influence.flags", key=key, value=value, partition=0).get(DEADLINE_S)

    def knows_place(self, count: int) -> bool:
        with closing(KafkaAdminClient(bootstrap_servers=self._brokers)) as admin:
            places = admin.list_group_offsets("flags-example")["flags-example"]
        place = places.get(TopicPartition("influence.flags", 0))
        return place is not None and place.offset == count

    def seen(self) -> int:
        with closing(sqlite3.connect(self._memory)) as memory:
            (count,) = memory.execute("SELECT count(*) FROM flags").fetchone()
        return int(count)

    def forget_seen(self) -> None:
        self._memory.unlink()


class RedisSource:
    """influence:flags."""

    example = "consume_flags_redis.py"

    def __init__(self, url: str) -> None:
        self.environment = {"STREAM_APP_REDIS_URL": url}
        self._redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self._layout = Layout(prefix="influence", top=1, expiry_ms=1, partitions=1)

    def flags_before(self, last: Flag) -> list[Flag]:
        entries = self._redis.xrange("influence:flags")
        flags = (
            msgspec.convert({"eta_s": None} | fields | {"signals": []}, Flag, strict=False) for _, fields in entries
        )
        return list(takewhile(lambda flag: flag != last, flags))

    def send(self, *flags: Flag) -> None:
        for flag in flags:
            for command in self._layout.flag_group(flag):
                self._redis.execute_command(*command)

    def knows_place(self, count: int) -> bool:
        entries = self._redis.xrange("influence:flags", "-", "+", count)
        return bool(self._redis.get("flags-example:place") == entries[-1][0])

    def seen(self) -> int:
        return int(self._redis.scard("flags-example:seen"))

    def forget_seen(self) -> None:
        self._redis.delete("flags-example:seen")

    def close(self) -> None:
        self._redis.close()
