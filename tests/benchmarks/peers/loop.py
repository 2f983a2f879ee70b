"""A peer: the loop one would write by hand, totals of a window in dicts, without anything that survives a crash.

It counts posts and impressions by topic and user (and `*`) over 24 hours in panes of 15 minutes. It has no
deduplication, cuts, flags, or state on Kafka.

    PEER_BROKERS=127.0.0.1:9092 PEER_PROGRESS=count.txt python tests/benchmarks/peers/loop.py
"""

import asyncio
import os
from collections import defaultdict
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer

PANE_MS, PANES = 15 * 60 * 1000, 96
TOPICS = ("influence.posts", "influence.shares")

Counts = list[int]
"""Posts and impressions."""


class Event(msgspec.Struct, gc=False):
    """A post or a share; other fields of the JSON are ignored."""

    ts: int
    user_id: str
    topics: tuple[str, ...] = ()
    audience: int = 0


class Window:
    """Totals by topic and user, and what each pane has added to them."""

    def __init__(self) -> None:
        self.totals: dict[tuple[str, str], Counts] = {}
        self._panes: dict[int, dict[tuple[str, str], Counts]] = defaultdict(dict)
        self._newest = 0

    def add(self, event: Event, posts: int) -> None:
        """Count an event in each of its topics, and in `*`."""
        pane = event.ts // PANE_MS
        if pane > self._newest:
            self._newest = pane
            self._expire()
        if pane <= self._newest - PANES:
            return
        added = self._panes[pane]
        for topic in ("*", *event.topics):
            key = (topic, event.user_id)
            for counts in (self.totals.setdefault(key, [0, 0]), added.setdefault(key, [0, 0])):
                counts[0] += posts
                counts[1] += event.audience

    def _expire(self) -> None:
        for pane in [pane for pane in self._panes if pane <= self._newest - PANES]:
            for key, (posts, impressions) in self._panes.pop(pane).items():
                counts = self.totals[key]
                counts[0] -= posts
                counts[1] -= impressions
                if counts == [0, 0] and not any(key in added for added in self._panes.values()):
                    del self.totals[key]


async def main() -> None:
    """Count until ended; the number of events goes to the file PEER_PROGRESS."""
    progress, decode = Path(os.environ["PEER_PROGRESS"]), msgspec.json.Decoder(Event).decode
    windows: dict[int, Window] = defaultdict(Window)
    consumer = AIOKafkaConsumer(
        *TOPICS,
        bootstrap_servers=os.environ["PEER_BROKERS"],
        group_id="peer-loop",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )
    count = 0
    await consumer.start()
    try:
        while True:
            for place, records in (await consumer.getmany(timeout_ms=100, max_records=10_000)).items():
                window, posts = windows[place.partition], int(place.topic == TOPICS[0])
                for record in records:
                    window.add(decode(record.value), posts)
                count += len(records)
            progress.write_text(str(count))  # noqa: ASYNC240 - nothing else waits
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main())
