"""A bot and a person beside it: one is to be marked, the other is not."""

import numpy as np

from stream_app.core.events.schema import Post, Share

MINUTE_MS = 60_000
START_MS = 1_475_280_000_000
BOT, PERSON = "bot", "person"


def planted() -> list[Post | Share]:
    """80 shares of one post, a minute apart, and 30 posts of somebody whose pauses are what pauses are."""
    shares = [
        Share(event_id=n, ts=START_MS + n * MINUTE_MS, user_id=BOT, post_id="p", author_id="a", audience=100)
        for n in range(80)
    ]
    pauses_ms = np.random.default_rng(1).exponential(3 * MINUTE_MS, 30).astype(int).cumsum()
    posts = [Post(event_id=n, ts=START_MS + ms, user_id=PERSON, audience=50) for n, ms in enumerate(pauses_ms.tolist())]
    later = [Post(event_id="later", ts=START_MS + 110 * MINUTE_MS, user_id="other")]
    return sorted([*shares, *posts, *later], key=lambda event: event.ts)
