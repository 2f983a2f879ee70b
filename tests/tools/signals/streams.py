"""Streams of events as the signals see them: files of recorded events, the demo stream, and a stream of crowds."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stream_app.core.events.credit import ViewRates, credit_all
from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.signals.own_events import UNKNOWN_AUDIENCE
from stream_app.demo.generator.population import demo_population
from stream_app.sources.files import read_events
from stream_app.sources.recorded_event import RecordedEvent

_MOST_BYTES = 65_536
_WRONG_CLOCK_MS = 86_400_000 * 366
"""Events that are so much older or newer than 99 % of the others."""


class Happened(NamedTuple):
    """An event, duplicates taken out."""

    ts_ms: int
    user: str
    event: str
    author: str = ""
    """Of a share, like `post`; empty where it is not known."""
    post: str = ""
    audience: int = UNKNOWN_AUDIENCE
    impressions: int = 0


def of_records(records: Iterable[RecordedEvent]) -> list[Happened]:
    """Return the events of records, the first of each identity; those with a wrong clock are left out."""
    chosen: tuple[list[bytes], list[bytes]] = ([], [])
    for record in records:
        chosen[record.share].append(record.value)
    kinds: tuple[type[Event], ...] = (Post, Share)
    found: dict[tuple[str, str], Happened] = {}
    for kind, values in zip(kinds, chosen, strict=True):
        made, decoded = credit_all(decode(values, kind, _MOST_BYTES), kind, ViewRates())
        columns = (made.ts_ms.tolist(), made.users, decoded.events, made.impressions.tolist(), made.unknown.tolist())
        for ts_ms, user, event, impressions, unknown in zip(*columns, strict=True):
            author, post = (event.author_id, event.post_id) if isinstance(event, Share) else (None, None)
            audience = UNKNOWN_AUDIENCE if unknown else int(event.audience or 0)
            one = Happened(ts_ms, user, str(event.event_id), _text(author), _text(post), audience, impressions)
            found.setdefault((user, one.event), one)
    middle = np.quantile([one.ts_ms for one in found.values()], [0.005, 0.995])
    first_ms, last_ms = middle[0] - _WRONG_CLOCK_MS, middle[1] + _WRONG_CLOCK_MS
    return sorted(one for one in found.values() if first_ms <= one.ts_ms <= last_ms)


def of_file(path: Path) -> list[Happened]:
    """Return the events of a file."""
    return of_records(read_events([path]))


def of_demo(users: int, seed: int) -> list[Happened]:
    """Return the events of the demo stream."""
    return of_records(demo_population(seed, users).events)


def of_crowds(seed: int, authors: int = 100, posts: int = 3000, users: int = 30_000, days: int = 3) -> list[Happened]:
    """Return shares of posts that go round, which no file here has many of: up to thousands of shares of a post.

    Every fifth person is quick: shares half a minute after a post, for which a crowd looks most like a pod.
    """
    rng = np.random.default_rng(seed)
    fame = np.arange(1, authors + 1) ** -0.9
    activity = rng.pareto(1.3, users) + 0.2
    quick, slow = rng.lognormal(np.log(40), 0.6, users), rng.lognormal(np.log(1500), 1.0, users)
    delay_s = np.where(rng.random(users) < 0.2, quick, slow)
    fans = [rng.choice(users, min(users, int(200 + 20_000 * part)), replace=False) for part in fame / fame.sum()]
    found: list[Happened] = []
    for number, author in enumerate(rng.choice(authors, posts, p=fame / fame.sum()).tolist()):
        chance = np.minimum(1, activity[fans[author]] * rng.pareto(1.2) * 0.01)
        who = fans[author][rng.random(len(chance)) < chance][:5000]
        after_s = delay_s[who] * rng.lognormal(0, 1.2, len(who)) * rng.lognormal(0, 0.8)
        posted_s = rng.uniform(0, days * 86_400)
        for person, ts_s in zip(who.tolist(), (posted_s + after_s).astype(int).tolist(), strict=True):
            found.append(Happened(ts_s * 1000, f"u{person}", f"e{len(found)}", f"a{author}", f"p{number}"))
    return sorted(found)


def _text(name: str | int | None) -> str:
    return "" if name is None else str(name)
