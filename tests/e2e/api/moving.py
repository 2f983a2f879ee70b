"""A tracker whose window moves on when a test wants: people post, panes end, workers come and go."""

import json
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import replay
from tests.e2e.api.asking import address, asked, present_cut, reply
from tests.servers.reading import up_to_the_end
from tests.servers.tracker import Tracker, Worker
from tests.waiting import eventually

START_MS = 1_767_225_600_000
"""2026-01-01T00:00Z."""
PANE_MS = 300_000
PANES = 4
USERS = 40
WAIT_S = 40.0
GIVEN = {
    "partitions": "4",
    "window_s": "20m",
    "pane_s": "5m",
    "short_s": "5m",
    "tick_s": "100ms",
    "min_users": "5",
    "min_posts": "1",
    "min_impressions": "1",
    "dwell_s": "60s",
    "redis_refresh_s": "1h",
}
"""Settings for a window of PANES panes."""


class Moving:
    """What has been sent so far; panes are numbered from 0."""

    def __init__(self, run: Tracker) -> None:
        self.run = run
        self.pane = -1
        self.sent = 0

    @property
    def addresses(self) -> list[str]:
        """Of the workers that run."""
        return [address(worker) for worker in self.running()]

    def running(self) -> list[Worker]:
        return [worker for worker in self.run.workers if worker.process.poll() is None]

    def send(self, panes: int = 1) -> None:
        """Let event time go on by some panes; return when every worker has counted that."""
        for _ in range(panes):
            self.pane += 1
            events = [self._post(user) for user in range(USERS)]
            self.sent += replay(events, self.run.settings.brokers, self.run.settings).sent
            for where in self.addresses:
                self.until(lambda where=where: self.has_counted(where), f"pane {self.pane} counted")  # type: ignore[misc]

    def has_counted(self, where: str) -> bool:
        """Whether a worker knows that all was counted, and has cuts of it."""
        health = asked(where, "/health")
        if health["applied"] < self.sent or not health["ready"]:
            return False
        cut = present_cut(where, topic="tea")
        wanted = sum(self._impressions(user, pane) for user in range(USERS) for pane in self.window())
        return cut is not None and (cut["total"], cut["window_end"]) == (wanted, self.end_ms(self.pane))

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition."""
        assert eventually(condition, WAIT_S), (what, self.run.workers[-1].said())

    def start(self, workers: int) -> None:
        """Start more workers, and wait until each reaches everybody."""
        started = [self.run.start() for _ in range(workers)]
        for where in map(address, started):
            self.until(lambda where=where: self.is_complete(where), "complete")  # type: ignore[misc]

    def is_complete(self, where: str) -> bool:
        """Whether a worker reaches everybody."""
        if reply(where, "/readyz").status != 200:
            return False
        answer = asked(where, "/influencers", topic="tea")
        return bool(answer["missing_partitions"] == [] and answer["total"] == USERS)

    def window(self) -> range:
        """The panes in the window."""
        return range(max(self.pane - PANES + 1, 0), self.pane + 1)

    @staticmethod
    def end_ms(pane: int) -> int:
        """Where a pane ends."""
        return START_MS + (pane + 1) * PANE_MS

    def flag_ids(self, since: Iterable[int] | None = None) -> list[list[str]]:
        """By partition, the flags on Kafka from some offsets on, each once."""
        found = self.records(self.run.settings.flags_topic)
        flags = [
            [json.loads(one.value) for one in records if one.offset >= first and one.value and b"flag_id" in one.value]
            for first, records in zip(since or repeat(0), found, strict=False)
        ]
        return [list(dict.fromkeys(flag["flag_id"] for flag in of_one)) for of_one in flags]

    def flag_ends(self) -> list[int]:
        """By partition, the offset after the last flag on Kafka."""
        found = self.records(self.run.settings.flags_topic)
        return [records[-1].offset + 1 if records else 0 for records in found]

    def records(self, topic: str) -> list[list[Any]]:
        """All that is on a topic, by partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.run.settings.brokers, auto_offset_reset="earliest")
        try:
            places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
            consumer.assign(places)
            consumer.seek_to_beginning()
            records: list[list[Any]] = [[] for _ in places]
            for record in up_to_the_end(consumer):
                records[record.partition].append(record)
            return records
        finally:
            consumer.close()

    def _post(self, user: int) -> RecordedEvent:
        at_ms = START_MS + self.pane * PANE_MS + 1000 + user
        event = {
            "event_id": f"{self.pane}-{user}",
            "ts": at_ms,
            "user_id": f"u{user}",
            "topics": ["tea"],
            "impressions": self._impressions(user, self.pane),
        }
        return RecordedEvent(False, f"u{user}".encode(), msgspec.json.encode(event), at_ms)

    @staticmethod
    def _impressions(user: int, pane: int) -> int:
        """Few people make most of it, and others in every pane, so that standings come and go."""
        return 1 << 12 - (user + 7 * pane) % USERS // 4
