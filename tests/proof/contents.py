"""What a proof is fed with: records in the order of delivery, and what must come of them. No code of the core."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from kafka.partitioner.default import murmur2
from numpy.typing import NDArray

from tests.naive import NaiveCut, naive_cut

Ints = NDArray[np.int64]

HOUR_MS = 3_600_000
START_MS = 1_704_067_200_000
"""2024-01-01T00:00Z."""
SPAN_MS = 36 * HOUR_MS
WINDOW_HOURS = 24
PARTITIONS = 8
TOPICS = ("phone", "car", "bank", "food", "film", "game")
OVERSIZED = 70_000
_DELAY_MS = HOUR_MS // 2
_CLOCK = b"clock"
_CLOCK_STEPS_MS = [SPAN_MS + minutes * 60_000 for minutes in range(5, 60, 5)]
"""Until then all steps of event time have ended in which anything happened, and the dwell time is over."""
_TEN_YEARS_MS = 10 * 365 * 24 * HOUR_MS
_EVENT = b'{"event_id":"e%d","ts":%d,"user_id":"%b","kind":"%b","topics":["%b"],"audience":%d}'

Totals = Mapping[tuple[str, str], tuple[int, int]]
"""Posts and impressions in the window, by (topic, user); topic `*` is all."""
Cuts = Mapping[tuple[str, str], tuple[int, ...]]
"""Users, total, k, θ and ties, by (topic, role)."""


class Record(NamedTuple):
    """One record to produce."""

    source: int
    """Which of `Settings.source_topics` it goes to: posts, shares, or retractions."""
    partition: int
    key: bytes | None
    value: bytes | None


class Recipe(NamedTuple):
    """What the contents consist of; the same recipe gives the same contents."""

    events: int
    """Distinct events that count."""
    repeats: int = 0
    late: int = 0
    bad: int = 0
    strays: int = 0
    """Events of 1970 and of ten years ahead, in turn."""
    users: int = 5_000
    seed: int = 1
    window_hours: int = WINDOW_HOURS


class Contents(NamedTuple):
    """Records, and what they come to."""

    records: list[Record]
    results: Mapping[str, int]
    """Of all records: applied, duplicate, late, rejected."""
    totals: Totals
    rejected: list[Record]
    newest_ms: int
    """The newest event that counts."""

    def cuts(self, share: float = 0.8) -> Cuts:
        """The exact cuts, from sorted lists."""
        scopes: dict[tuple[str, str], list[int]] = {}
        for (topic, _), (posts, impressions) in self.totals.items():
            scopes.setdefault((topic, "maven"), []).append(posts)
            scopes.setdefault((topic, "connector"), []).append(impressions)
        found = {scope: naive_cut(values, share) for scope, values in scopes.items()}
        return {scope: answer(cut) for scope, cut in found.items() if cut}


def answer(cut: NaiveCut) -> tuple[int, ...]:
    """What must be equal of a cut."""
    return cut.users, cut.total, cut.k, cut.threshold, cut.ties


def home_of(user: bytes) -> int:
    """The partition of a user, as Kafka's default partitioner says."""
    return (int(murmur2(user)) & 0x7FFF_FFFF) % PARTITIONS


def made(recipe: Recipe) -> Contents:
    """The contents of a recipe."""
    rng = np.random.default_rng(recipe.seed)
    names = [b"u%d" % number for number in range(recipe.users)]
    homes = [home_of(name) for name in names]
    users = (recipe.users * rng.random(recipe.events) ** 2).astype(np.int64)
    topics = (len(TOPICS) * rng.random(recipe.events) ** 2).astype(np.int64)
    ts_ms = START_MS + rng.integers(0, SPAN_MS, recipe.events)
    shares = rng.random(recipe.events) < 0.5
    audiences = rng.lognormal(4, 2, recipe.events).astype(np.int64)
    rows = zip(*(column.tolist() for column in (users, topics, ts_ms, shares, audiences)), strict=True)
    names_of_topics = [topic.encode() for topic in TOPICS]
    events = [
        Record(
            share,
            homes[user],
            names[user],
            _EVENT % (number, ts, names[user], b"share" if share else b"post", names_of_topics[topic], audience),
        )
        for number, (user, topic, ts, share, audience) in enumerate(rows)
    ]
    twice = rng.choice(recipe.events, recipe.repeats, replace=False)
    extra = _late(recipe.late, names, homes) + _strays(recipe.strays, names, homes)
    bad = _bad(recipe.bad, names, homes)
    rejected = bad + extra[recipe.late :]
    # Nothing is late before a partition has read anything: the first tenth has neither late events nor bad ones.
    others_ms = START_MS + rng.integers(SPAN_MS // 10, SPAN_MS, len(extra) + len(bad))
    arrivals = [
        ts_ms + rng.integers(0, _DELAY_MS, recipe.events),
        ts_ms[twice] + rng.integers(_DELAY_MS, 4 * _DELAY_MS, recipe.repeats),
        others_ms,
    ]
    together = [*events, *(events[place] for place in twice.tolist()), *extra, *bad]
    order = np.argsort(np.concatenate(arrivals), kind="stable").tolist()
    clocks = _clocks()
    return Contents(
        records=[*(together[place] for place in order), *clocks],
        results={
            "applied": recipe.events + len(clocks),
            "duplicate": recipe.repeats,
            "late": recipe.late,
            "rejected": len(rejected),
        },
        totals=_totals(users, topics, ts_ms // HOUR_MS, shares, audiences, recipe.window_hours),
        rejected=rejected,
        newest_ms=START_MS + _CLOCK_STEPS_MS[-1],
    )


def _clocks() -> list[Record]:
    """Shares that nobody saw, after everything else: standings hang on the ends of steps."""
    home = home_of(_CLOCK)
    values = [
        _EVENT % (number, START_MS + after_ms, _CLOCK, b"share", TOPICS[0].encode(), 0)
        for number, after_ms in enumerate(_CLOCK_STEPS_MS)
    ]
    return [Record(True, home, _CLOCK, value.replace(b':"e', b':"c', 1)) for value in values]


def _totals(
    users: Ints, topics: Ints, hours: Ints, shares: NDArray[np.bool_], audiences: Ints, window_hours: int
) -> Totals:
    """What is in the window at the end: the last hours."""
    inside = hours > (START_MS + _CLOCK_STEPS_MS[-1]) // HOUR_MS - window_hours
    posts: Counter[tuple[str, str]] = Counter()
    impressions: Counter[tuple[str, str]] = Counter()
    rows = zip(*(column[inside].tolist() for column in (users, topics, shares, audiences)), strict=True)
    for user, topic, share, audience in rows:
        for scope in ("*", TOPICS[topic]):
            posts[scope, f"u{user}"] += not share
            impressions[scope, f"u{user}"] += audience
    return {key: (posts[key], impressions[key]) for key in impressions if posts[key] or impressions[key]}


def _late(count: int, names: list[bytes], homes: list[int]) -> list[Record]:
    found = []
    for number in range(count):
        user = number % len(names)
        value = _EVENT % (number, START_MS - 30 * 24 * HOUR_MS + number, names[user], b"post", b"phone", 9)
        found.append(Record(False, homes[user], names[user], value.replace(b':"e', b':"l', 1)))
    return found


def _strays(count: int, names: list[bytes], homes: list[int]) -> list[Record]:
    """By turns of 1970 and of ten years ahead."""
    found = []
    ahead_ms = round(time.time() * 1000) + _TEN_YEARS_MS
    for number in range(count):
        user, ts_ms = number % len(names), (ahead_ms if number % 2 else 0) + number
        value = _EVENT % (number, ts_ms, names[user], b"share", b"phone", 10**6)
        found.append(Record(True, homes[user], names[user], value.replace(b':"e', b':"y', 1)))
    return found


BAD_VALUES: tuple[bytes | None, ...] = (
    None,
    b"",
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"%b"',
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"%b","audience":NaN}',
    b'{"event_id":"b%d\xff","ts":1704067200000,"user_id":"%b"}',
    b'{"event_id":"b%d","ts":1704067200000}',
    b'{"event_id":"b%d","ts":"yesterday","user_id":"%b"}',
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"%b","topics":"phone"}',
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"%b","audience":"many"}',
    b'["b%d",1704067200000,"%b"]',
    b"[" * 5000,
    b'{"event_id":"b%d","ts":1704067200000,"user_id":"%b","text":"' + b"x" * OVERSIZED + b'"}',
    b"\x00\x00\x00\x00\x07avro?",
    b'{"event_id":"b%d","ts":4102444800000,"user_id":"%b"}',
)
KEY_IS_ANOTHERS, PARTITION_IS_ANOTHERS, NO_KEY = range(len(BAD_VALUES), len(BAD_VALUES) + 3)
WAYS = len(BAD_VALUES) + 3
"""Ways in which a record is bad."""


def _bad(count: int, names: list[bytes], homes: list[int]) -> list[Record]:
    found = []
    for number in range(count):
        user, way = number % min(50, len(names)), number % WAYS
        name, home = names[user], homes[user]
        good = b'{"event_id":"b%d","ts":1704067200000,"user_id":"%b"}' % (number, name)
        share = number // WAYS % 2 == 1
        if way == KEY_IS_ANOTHERS:
            found.append(Record(share, home_of(b"another"), b"another", good))
        elif way == PARTITION_IS_ANOTHERS:
            found.append(Record(share, (home + 1) % PARTITIONS, name, good))
        elif way == NO_KEY:
            found.append(Record(share, number % PARTITIONS, None, good))
        else:
            found.append(Record(share, home, name, _filled(BAD_VALUES[way], number, name)))
    return found


def _filled(value: bytes | None, number: int, name: bytes) -> bytes | None:
    if value is None or b"%" not in value:
        return value
    return value % ((number, name) if b"%b" in value else (number,))
