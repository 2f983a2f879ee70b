"""Synthetic load with a known outcome: events with repeats, late ones and bad ones, and what must come of them."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from stream_app.core.messages import ROLES
from stream_app.sources.recorded_event import RecordedEvent
from tests.naive import NaiveCut, naive_cut

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000
"""2024-01-01T00:00Z."""
SPAN_MS = 36 * HOUR_MS
WINDOW_HOURS = 24
EVENTS, REPEATS, LATE, BAD = 90_000, 6_000, 2_000, 2_000
RECORDS = EVENTS + REPEATS + LATE + BAD
USERS = 2_000
TOPICS = ("phone", "car", "bank", "food", "film", "game")
_OLD_MS = START_MS - 30 * 24 * HOUR_MS
_SEED = 7

BAD_VALUES = (
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"u1"',
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"u1","audience":NaN}',
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"u\xff"}',
    b'{"event_id":"b%d","ts":1704067200000}',
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"somebody-else"}',
    b'{"event_id":"b%d","ts":4102444800000,"user_id":"u1"}',
)


class Event(NamedTuple):
    """One event that counts."""

    share: bool
    user: str
    ts_ms: int
    topic: str
    audience: int
    record: RecordedEvent


def made() -> tuple[list[Event], list[RecordedEvent]]:
    """The distinct events that count, and all records in the order of delivery."""
    rng = random.Random(_SEED)
    events = [_event(rng, number) for number in range(EVENTS)]
    arrivals = [(event.ts_ms + rng.randrange(HOUR_MS // 2), event.record) for event in events]
    arrivals += [
        (event.ts_ms + rng.randrange(HOUR_MS // 2, 2 * HOUR_MS), event.record) for event in rng.sample(events, REPEATS)
    ]
    # The first tenth has no late events: before a partition has read anything nothing can be late.
    later = [START_MS + rng.randrange(SPAN_MS // 10, SPAN_MS) for _ in range(LATE + BAD)]
    arrivals += [(at_ms, _late(number, at_ms)) for number, at_ms in enumerate(later[:LATE])]
    arrivals += [(at_ms, _bad(number, at_ms)) for number, at_ms in enumerate(later[LATE:])]
    return events, [record for _, record in sorted(arrivals, key=lambda arrival: arrival[0])]


def cuts(events: list[Event], share: float) -> dict[tuple[str, str], NaiveCut]:
    """The cuts of the last 24 hours, by topic and role."""
    first_hour = max(event.ts_ms for event in events) // HOUR_MS - WINDOW_HOURS + 1
    values: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for event in events:
        if event.ts_ms // HOUR_MS >= first_hour:
            for topic in ("*", event.topic):
                values[topic, ROLES[0]][event.user] += not event.share
                values[topic, ROLES[1]][event.user] += event.audience
    found = {scope: naive_cut(made.values(), share) for scope, made in values.items()}
    return {scope: cut for scope, cut in found.items() if cut}


def portions(records: list[RecordedEvent], count: int) -> Iterator[list[RecordedEvent]]:
    """The records in `count` pieces."""
    size = -(-len(records) // count)
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _event(rng: random.Random, number: int) -> Event:
    share = rng.random() < 0.5
    user = f"u{int(USERS * rng.random() ** 2)}"
    ts_ms = START_MS + rng.randrange(SPAN_MS)
    topic = TOPICS[int(len(TOPICS) * rng.random() ** 2)]
    audience = int(rng.lognormvariate(4, 2))
    value = {
        "event_id": f"e{number}",
        "ts": ts_ms,
        "user_id": user,
        "kind": "share" if share else "post",
        "topics": [topic],
        "audience": audience,
    }
    record = RecordedEvent(share, user.encode(), msgspec.json.encode(value), ts_ms)
    return Event(share, user, ts_ms, topic, audience, record)


def _late(number: int, at_ms: int) -> RecordedEvent:
    user = f"u{number % USERS}"
    value = {"event_id": f"l{number}", "ts": _OLD_MS + number, "user_id": user, "topics": ["phone"], "audience": 9}
    return RecordedEvent(False, user.encode(), msgspec.json.encode(value), at_ms)


def _bad(number: int, at_ms: int) -> RecordedEvent:
    return RecordedEvent(number % 7 == 0, b"u%d" % (number % 50), BAD_VALUES[number % len(BAD_VALUES)] % number, at_ms)
