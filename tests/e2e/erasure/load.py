"""Events of many, and of one who will be erased: with late and bad records of both, and what must be counted."""

import random
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stream_app.core.messages import OWN_ROLES, ROLES
from stream_app.sources.recorded_event import RecordedEvent
from tests.naive import NaiveCut, naive_cut

VICTIM = "victim-7f3a"
START_MS = 1_704_067_200_000
"""2024-01-01T00:00Z."""
SPAN_MS = 3 * 3_600_000
EVENTS = 16_000
USERS = 300
TOPICS = ("phone", "car", "bank")
_OLD_MS = START_MS - 30 * 86_400_000
_SEED = 11

Counts = dict[tuple[str, str], tuple[int, int]]
"""Posts and impressions by topic and user."""


class Event(NamedTuple):
    """One event that counts."""

    share: bool
    user: str
    topic: str
    audience: int


class Load(NamedTuple):
    """Records in the order of delivery, and the events among them that count."""

    records: list[RecordedEvent]
    events: list[Event]


def made(name: str, *, context: bool = True) -> Load:
    """The load; the ids of its events begin with `name`, all else is always the same.

    In the first quarter others share what the victim wrote, where that is `context`.
    """
    rng = random.Random(_SEED)
    records, events = [], []
    for number in range(EVENTS):
        user = VICTIM if rng.random() < 0.03 else f"u{int(USERS * rng.random() ** 2)}"
        event = Event(rng.random() < 0.5, user, rng.choice(TOPICS), int(rng.lognormvariate(4, 2)))
        at_ms = START_MS + SPAN_MS * number // EVENTS
        fields = {"event_id": f"{name}{number}", "ts": at_ms, "user_id": user, "topics": [event.topic]}
        author = {"author_id": VICTIM} if context and event.share and number < EVENTS // 4 else {}
        kind = "share" if event.share else "post"
        value = {**fields, "kind": kind, "audience": event.audience, **author}
        records.append(RecordedEvent(event.share, user.encode(), msgspec.json.encode(value), at_ms))
        events.append(event)
        if number % 40 == 0:
            records += _uncountable(f"{name}-odd-{number}", VICTIM if number % 80 == 0 else user, at_ms, author)
    return Load(records, events)


def counts(events: Iterable[Event]) -> Counts:
    """What everybody made, the victim left out."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for event in events:
        for topic in ("*", event.topic) if event.user != VICTIM else ():
            sums[topic, event.user][0] += not event.share
            sums[topic, event.user][1] += event.audience
    return {key: (posts, impressions) for key, (posts, impressions) in sums.items() if posts or impressions}


def cuts(made_by: Counts, share: float) -> dict[tuple[str, str], NaiveCut]:
    """The cuts by topic and role."""
    values: dict[tuple[str, str], list[int]] = defaultdict(list)
    for (topic, _), made_ in made_by.items():
        for role, value in zip(ROLES[:OWN_ROLES], made_, strict=True):
            values[topic, role].append(value)
    return {scope: cut for scope, of_all in values.items() if (cut := naive_cut(of_all, share))}


def _uncountable(name: str, user: str, at_ms: int, author: dict[str, str]) -> list[RecordedEvent]:
    """A late event, a broken one, and one with the key of another."""
    key = user.encode()
    late = {"event_id": name, "ts": _OLD_MS, "user_id": user, "kind": "share", **author}
    other = {"event_id": f"{name}-other", "ts": at_ms, "user_id": user}
    return [
        RecordedEvent(True, key, msgspec.json.encode(late), at_ms),
        RecordedEvent(False, key, b'{"user_id": "%s", "event_id": ' % key, at_ms),
        RecordedEvent(False, b"somebody", msgspec.json.encode(other), at_ms),
    ]
