"""Who did what when, as columns: what the demo stream is made of, and the exact answers about it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Ints, Mask
from stream_app.core.messages import ALL_TOPICS, OWN_ROLES, ROLES, Role
from stream_app.core.state.window import Window

UNKNOWN = -1
"""The audience of an event without one."""

HOUR_MS = 3_600_000
PANE_MS = 15 * 60_000
WINDOW_MS = 24 * HOUR_MS
DAY = Window(PANE_MS, WINDOW_MS // PANE_MS, HOUR_MS // PANE_MS)
SHARE = 0.8


class Activity(NamedTuple):
    """Events, each one once: columns of equal length."""

    users: Ints
    """Numbers of users."""
    topics: Ints
    """Indices in the list of products."""
    ts_ms: Ints
    shares: Mask
    audiences: Ints
    """People reached, or UNKNOWN."""

    def take(self, chosen: NDArray[Any]) -> "Activity":
        """The selected events, by mask or by index."""
        return Activity._make(column[chosen] for column in self)


class TrueCut(NamedTuple):
    """The true cut of a topic and role, computed in the plainest way."""

    topic: str
    role: Role
    users: int
    """Users with a value above zero in the window."""
    total: int
    k: int
    threshold: int
    percent_of_users: float
    percent_of_population: float


def joined(parts: list[Activity]) -> Activity:
    """The events of all parts."""
    return Activity._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def values_at(activity: Activity, topic: int | list[int] | None, role: Role, now_ms: int, window: Window = DAY) -> Ints:
    """What each user (by number) has in the window whose last pane holds `now_ms`, of the events up to then.

    `topic` None is all of them. Posts count for the maven, people reached by posts and shares for the connector.
    """
    inside = (activity.ts_ms >= window.start_ms(now_ms)) & (activity.ts_ms <= now_ms)
    if topic is not None:
        inside &= np.isin(activity.topics, topic)
    counted = activity.take(inside)
    worth = ~counted.shares if role is Role.MAVEN else np.maximum(counted.audiences, 0)
    return np.bincount(counted.users, worth).astype(np.int64)


def window_end_ms(now_ms: int) -> int:
    """The end of the pane that holds `now_ms`."""
    return now_ms - now_ms % PANE_MS + PANE_MS


def smallest_set(values: Ints, share: float = SHARE) -> tuple[int, int]:
    """k, the smallest number of users who make `share` of the total, and the value of the k-th."""
    ranked = np.sort(values)[::-1]
    reached = np.cumsum(ranked)
    wanted = -(-int(reached[-1]) * round(share * 10_000) // 10_000)
    k = int(np.searchsorted(reached, wanted)) + 1
    return k, int(ranked[k - 1])


def true_cuts(activity: Activity, products: list[str], now_ms: int, population: int) -> list[TrueCut]:
    """The cuts of every product and of all together, in both roles, as of `now_ms`."""
    topics = [(ALL_TOPICS, None), *((name, number) for number, name in enumerate(products))]
    return [
        _true_cut(activity, name, number, role, now_ms, population)
        for name, number in topics
        for role in ROLES[:OWN_ROLES]
    ]


def _true_cut(activity: Activity, name: str, topic: int | None, role: Role, now_ms: int, population: int) -> TrueCut:
    values = values_at(activity, topic, role, now_ms)
    k, threshold = smallest_set(values)
    users = int(np.count_nonzero(values))
    return TrueCut(
        topic=name,
        role=role,
        users=users,
        total=int(values.sum()),
        k=k,
        threshold=threshold,
        percent_of_users=100 * k / users,
        percent_of_population=100 * k / population,
    )
