"""The demo stream as it would be delivered: late, twice, out of order, and some of it unreadable."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.demo.generator.activity import HOUR_MS, UNKNOWN, Activity
from stream_app.sources.files import recorded
from stream_app.sources.recorded_event import RecordedEvent

_DAY_MS = 24 * HOUR_MS
_MEAN_DELAY_MS = 15_000
_DELAYED = 1000
"""Events that arrive hours after they happened, and are still counted."""
_TWICE = 300
_TOO_LATE = 60
_BROKEN = 60

_POST = b'{"event_id":"d%07x","ts":%d,"user_id":"%b","kind":"%b","topics":["%b"],"audience":%b,"channel":"%b"}'
_SHARE = b'{"event_id":"d%07x","ts":%d,"user_id":"%b","kind":"share","author_id":"%b","topics":["%b"],"audience":%b}'
_POST_KINDS = (b"post", b"post", b"post", b"comment", b"comment", b"reply", b"review")
_CHANNELS = (b"forum", b"blog", b"video", b"photo")
_ODDLY_SPELLED = 0.01
_UNKNOWN_AUDIENCES = (b"null", b"-1")

_UNREADABLE = (
    b'{"event_id":"x%d","ts":%d,"user_id":"u00001","topics":["phone"',
    b'{"event_id":"x%d","ts":%d,"kind":"post","topics":["phone"]}',
    b'{"event_id":"x%d","ts":"about %d","user_id":"u00002"}',
    b'{"event_id":"x%d","ts":%d,"user_id":"u00003","audience":NaN}',
    b'{"event_id":"x%d","ts":%d,"user_id":"u\xff0004"}',
    b'{"event_id":"x%d","ts":%d,"user_id":"u00005","topics":"phone"}',
    b'{"event":"x%d","ts":%d,"user_id":"u00006"}',
    b'["x%d",%d,"u00007"]',
)
_WRONG_KEY = b'{"event_id":"x%d","ts":%d,"user_id":"u00008","topics":["phone"],"audience":5}'
_WRONG_CLOCK = b'{"event_id":"x%d","ts":%d,"user_id":"u00009","topics":["phone"],"audience":5}'


class Tally(NamedTuple):
    """The outcomes of the records of the demo stream: read = applied + duplicate + late + rejected."""

    read: int
    applied: int
    duplicate: int
    late: int
    rejected: int
    unknown: int
    """Applied events whose audience is unknown."""


def delivered(
    activity: Activity, names: list[str], products: list[str], rng: np.random.Generator
) -> tuple[list[RecordedEvent], Tally]:
    """The events of `activity` as records in the order they arrive in, and what the tracker should make of them."""
    size = len(activity.ts_ms)
    arrivals = activity.ts_ms + rng.exponential(_MEAN_DELAY_MS, size).astype(np.int64)
    delayed = rng.choice(size, min(_DELAYED, size), replace=False)
    arrivals[delayed] += rng.integers(HOUR_MS, 3 * HOUR_MS, len(delayed))
    twice = rng.choice(size, min(_TWICE, size), replace=False)
    again = arrivals[twice] + rng.integers(60_000, 20 * 60_000, len(twice))
    extra_ms = rng.integers(int(np.median(arrivals)), int(activity.ts_ms.max()), _TOO_LATE + _BROKEN)
    records = _records(activity, [name.encode() for name in names], [name.encode() for name in products], rng)
    records += [records[place] for place in twice.tolist()]
    records += [_too_late(number, arrival, rng) for number, arrival in enumerate(extra_ms[:_TOO_LATE].tolist())]
    records += [_broken(number, arrival) for number, arrival in enumerate(extra_ms[_TOO_LATE:].tolist())]
    order = np.argsort(np.concatenate([arrivals, again, extra_ms]), kind="stable")
    unknown = int(np.count_nonzero(activity.audiences == UNKNOWN))
    tally = Tally(len(records), size, len(twice), _TOO_LATE, _BROKEN, unknown)
    return [records[place] for place in order.tolist()], tally


def _records(
    activity: Activity, names: list[bytes], products: list[bytes], rng: np.random.Generator
) -> list[RecordedEvent]:
    odd = (rng.random(len(activity.ts_ms)) < _ODDLY_SPELLED).tolist()
    rows = zip(*(column.tolist() for column in activity), _authors(activity, rng).tolist(), odd, strict=True)
    records = []
    for number, (user, topic, ts_ms, share, people, author, is_odd) in enumerate(rows):
        key = names[user]
        spelling = b" %b " % products[topic].upper() if is_odd else products[topic]
        audience = b"%d" % people if people >= 0 else _UNKNOWN_AUDIENCES[number % len(_UNKNOWN_AUDIENCES)]
        if share:
            value = _SHARE % (number, ts_ms, key, names[author], spelling, audience)
        else:
            kind, channel = _POST_KINDS[number % len(_POST_KINDS)], _CHANNELS[user % len(_CHANNELS)]
            value = _POST % (number, ts_ms, key, kind, spelling, audience, channel)
        records.append(RecordedEvent(share, key, value, ts_ms))
    return records


def _authors(activity: Activity, rng: np.random.Generator) -> Ints:
    """Draw for every event a user who is active in the same topic, in proportion to activity."""
    by_topic = np.argsort(activity.topics, kind="stable")
    counts = np.bincount(activity.topics)
    firsts = np.cumsum(counts) - counts
    drawn = firsts[activity.topics] + (rng.random(len(by_topic)) * counts[activity.topics]).astype(np.int64)
    authors: Ints = activity.users[by_topic[drawn]]
    return authors


def _too_late(number: int, arrival_ms: int, rng: np.random.Generator) -> RecordedEvent:
    ts_ms = arrival_ms - int(rng.integers(3 * _DAY_MS, 5 * _DAY_MS))
    return recorded(
        b'{"event_id":"l%d","ts":%d,"user_id":"u%05d","topics":["phone"],"audience":9}' % (number, ts_ms, number)
    )


def _broken(number: int, arrival_ms: int) -> RecordedEvent:
    variety = number % (len(_UNREADABLE) + 2)
    if variety < len(_UNREADABLE):
        return recorded(_UNREADABLE[variety] % (number, arrival_ms))
    if variety == len(_UNREADABLE):
        return recorded(_WRONG_KEY % (number, arrival_ms))._replace(key=b"somebody-else")
    return recorded(_WRONG_CLOCK % (number, arrival_ms + 3652 * _DAY_MS))
