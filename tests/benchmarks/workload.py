"""The workload: events of many users by Zipf's law over 20 topics; the same bytes for the same seed."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stream_app.sources.recorded_event import RecordedEvent

USERS = 100_000
TOPICS = 20
HOUR_MS = 3_600_000
SPAN_MS = 48 * HOUR_MS
END_MS = 1_772_323_200_000
"""2026-03-01T00:00Z: every event is before it."""

TOPICS_PER_USER = 3
"""In the large state."""
STATE_SPAN_MS = 23 * HOUR_MS

_USER_EXPONENT = 1.1
_TOPIC_EXPONENT = 0.8
SHARE_FRACTION = 0.3
_AUDIENCE_MEDIAN = 200.0
_AUDIENCE_SIGMA = 1.6
_STATE_AUDIENCE_MEDIAN = 50.0
_STATE_AUDIENCE_SIGMA = 2.380  # 6.2 % of the users make 80 % of the impressions, as published
_CHUNK = 50_000
_IDS_EACH = 100_000_000
_CHANNELS = (b"forum", b"blog", b"video", b"photo", b"chat")

_POST = (
    b'{"event_id":"e%08x","ts":%d,"user_id":"%b","kind":"post","post_id":"p%08x","topics":["%b"],"audience":%d,'
    b'"channel":"%b","lang":"en","client":"web/12.4.1","reply_to":null}'
)
_SHARE = (
    b'{"event_id":"e%08x","ts":%d,"user_id":"%b","kind":"share","post_id":"p%08x","topics":["%b"],"audience":%d,'
    b'"channel":"%b","author_id":"%b","client":"web/12.4.1"}'
)


def bench_events(
    count: int = 1_000_000,
    seed: int = 1,
    *,
    end_ms: int = END_MS,
    span_ms: int = SPAN_MS,
    topics: int = TOPICS,
    share_fraction: float = SHARE_FRACTION,
) -> Iterator[RecordedEvent]:
    """Yield `count` events of about 200 bytes over `span_ms` of event time, which ends at `end_ms`, oldest first.

    Another seed gives other event ids. `topics`: how many there are, by Zipf's law. `share_fraction`: the part of the
    events that are shares, each of which names the author.
    """
    rng = np.random.default_rng(seed)
    user_odds, topic_odds = _zipf(USERS, _USER_EXPONENT), _zipf(topics, _TOPIC_EXPONENT)
    users = [b"u%06d" % number for number in rng.permutation(USERS).tolist()]
    first_id = (seed - 1) * _IDS_EACH
    names = [b"topic-%02d" % number for number in range(topics)]
    audiences = rng.lognormal(np.log(_AUDIENCE_MEDIAN), _AUDIENCE_SIGMA, USERS).astype(np.int64)
    for first in range(0, count, _CHUNK):
        numbers = np.arange(first, min(first + _CHUNK, count))
        actors = _draw(rng, user_odds, len(numbers))
        rows = zip(
            numbers.tolist(),
            (end_ms - span_ms + numbers * span_ms // count).tolist(),
            actors.tolist(),
            _draw(rng, topic_odds, len(numbers)).tolist(),
            audiences[actors].tolist(),
            (rng.random(len(numbers)) < share_fraction).tolist(),
            _draw(rng, user_odds, len(numbers)).tolist(),
            (numbers * rng.random(len(numbers))).astype(np.int64).tolist(),
            strict=True,
        )
        for number, ts_ms, actor, topic, audience, share, author, context in rows:
            user, channel = users[actor], _CHANNELS[actor % len(_CHANNELS)]
            if share:
                value = _SHARE % (
                    first_id + number,
                    ts_ms,
                    user,
                    context,
                    names[topic],
                    audience,
                    channel,
                    users[author],
                )
            else:
                value = _POST % (first_id + number, ts_ms, user, number, names[topic], audience, channel)
            yield RecordedEvent(share, user, value, ts_ms)


def state_events(users: int, topics_per_user: int = TOPICS_PER_USER, seed: int = 2) -> Iterator[RecordedEvent]:
    """Yield one post of each of `users` in each of some topics, oldest first, all of them within 23 h of event time.

    Every post makes a row, and every user has one more in `*`. The audiences follow the published distribution of
    impressions: few users are connectors.
    """
    rng = np.random.default_rng(seed)
    count = users * topics_per_user
    audiences = rng.lognormal(np.log(_STATE_AUDIENCE_MEDIAN), _STATE_AUDIENCE_SIGMA, users).astype(np.int64)
    first_topics = rng.integers(0, TOPICS, users)
    order = rng.permutation(count)
    actors, topics = order % users, (first_topics[order % users] + order // users) % TOPICS
    times_ms = END_MS - STATE_SPAN_MS + np.arange(count) * STATE_SPAN_MS // count
    rows = zip(actors.tolist(), topics.tolist(), audiences[actors].tolist(), times_ms.tolist(), strict=True)
    for number, (actor, topic, audience, ts_ms) in enumerate(rows):
        user, channel = b"u%06d" % actor, _CHANNELS[actor % len(_CHANNELS)]
        value = _POST % (number, ts_ms, user, number, b"topic-%02d" % topic, audience, channel)
        yield RecordedEvent(share=False, key=user, value=value, ts_ms=ts_ms)


def _zipf(size: int, exponent: float) -> npt.NDArray[np.float64]:
    """Cumulated odds of the ranks 1 … size."""
    odds: npt.NDArray[np.float64] = np.cumsum(np.arange(1, size + 1, dtype=np.float64) ** -exponent)
    odds /= odds[-1]
    return odds


def _draw(rng: np.random.Generator, odds: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]:
    return np.searchsorted(odds, rng.random(count), side="right").astype(np.int64)
