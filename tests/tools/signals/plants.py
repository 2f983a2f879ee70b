"""What is planted into a stream: pods, a bot and a person beside it, bought followers, somebody who never sleeps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tests.tools.signals.streams import Happened

POD, BOT, PERSON, BOUGHT, SLEEPLESS = "pod", "bot", "person", "bought", "sleepless"
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000


class Pods(NamedTuple):
    """Accounts that share the same posts at nearly the same time."""

    pods: int = 20
    accounts: int = 10
    posts: int = 12
    part: float = 0.8
    """Of the accounts that join a post."""
    jitter_s: float = 20.0
    of_others: bool = False
    """Whether they share posts that others share too, within an hour after one of them did."""

    def planted(self, stream: Sequence[Happened], seed: int) -> list[Happened]:
        """Return the shares of all pods, at random times of the stream."""
        rng = np.random.default_rng(seed)
        shares = [one for one in stream if one.post]
        joining = round(self.part * self.accounts)
        found: list[Happened] = []
        for pod in range(self.pods):
            for post in range(self.posts):
                at = stream[int(rng.integers(len(stream)))]
                start_ms, author, name = at.ts_ms, f"{POD}-author-{pod}", f"{POD}-post-{pod}-{post}"
                if self.of_others and shares:
                    other = shares[int(rng.integers(len(shares)))]
                    start_ms, author, name = other.ts_ms + int(rng.integers(_HOUR_MS)), other.author, other.post
                for account in rng.choice(self.accounts, joining, replace=False).tolist():
                    ts_ms = start_ms + int(rng.uniform(0, self.jitter_s * 1000))
                    user = f"{POD}-{pod}-{account}"
                    found.append(Happened(ts_ms, user, f"{POD}{len(found)}", author or "somebody", name, 100, 100))
        return found


def others_planted(stream: Sequence[Happened]) -> list[Happened]:
    """Return a bot and three people, all from the middle of the stream on, each the only one of the kind."""
    start_ms = stream[len(stream) // 2].ts_ms
    rng = np.random.default_rng(1)
    minutes = np.sort(rng.choice(1400, 30, replace=False)).tolist()
    found = [
        Happened(start_ms + number * _MINUTE_MS, BOT, f"bot{number}", "somebody", "one post", 500, 500)
        for number in range(80)
    ]
    found += [
        Happened(start_ms + minute * _MINUTE_MS, PERSON, f"own{number}", "", "", 500, 500)
        for number, minute in enumerate(minutes)
    ]
    found += [
        Happened(start_ms + minute * _MINUTE_MS, BOUGHT, f"bought{number}", "", "", people, people)
        for number, minute in enumerate(minutes)
        for people in [24_000 if number >= 15 else 1000]
    ]
    found += [
        Happened(start_ms + hour * _HOUR_MS + minute * _MINUTE_MS, SLEEPLESS, f"hour{hour}-{minute}", "", "", 500, 500)
        for hour in range(26)
        for minute in rng.choice(60, 2, replace=False).tolist()
    ]
    return found
