"""Planted users of the demo stream: risers, who take off at a known time, and decoys, who only seem to."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.messages import Role
from stream_app.core.state.window import Window
from stream_app.demo.generator.activity import DAY, HOUR_MS, Activity, joined, smallest_set, values_at

_CROSSES_AT = 0.8
"""Part of its growth after which a riser is made to reach the threshold."""
_EVENTS_TO_CROSS = 25
_QUIET_EVENTS = 2
_QUIET_AUDIENCE = 20
_VIRAL_BEFORE_END_H = 6.3
_VIRAL_THRESHOLDS = 10
_STEADY_PER_HOUR = 12


class Plan(NamedTuple):
    """A riser to plant."""

    topic: str
    role: Role
    onset_before_end_h: float
    growth_h: float
    """For so long its rate grows with the square of time; then it is constant."""


class Riser(NamedTuple):
    """A riser as planted."""

    user_id: str
    topic: str
    role: Role
    onset_ms: int
    """Event time at which it takes off."""
    crossing_ms: int
    """Event time of the event with which it truly reaches the threshold of its topic."""


PLANS = (
    Plan("phone", Role.CONNECTOR, 9.0, 4.0),
    Plan("phone", Role.CONNECTOR, 7.5, 3.0),
    Plan("phone", Role.CONNECTOR, 6.0, 2.0),
    Plan("console", Role.CONNECTOR, 8.0, 5.0),
    Plan("running-shoes", Role.CONNECTOR, 5.0, 2.0),
    Plan("coffee", Role.CONNECTOR, 7.0, 4.0),
    Plan("console", Role.MAVEN, 9.0, 6.0),
    Plan("console", Role.MAVEN, 6.5, 3.0),
    Plan("console", Role.MAVEN, 5.0, 2.0),
    Plan("running-shoes", Role.MAVEN, 8.0, 5.0),
    Plan("running-shoes", Role.MAVEN, 6.0, 3.0),
    Plan("coffee", Role.MAVEN, 7.0, 4.0),
)
DECOYS = ("viral-01", "steady-01")
"""One single event with a huge audience; the same high rate all the time."""


def riser_ids() -> list[str]:
    """The user id of each plan's riser."""
    return [f"riser-{number:02}" for number in range(1, len(PLANS) + 1)]


def planted(
    base: Activity, products: list[str], first_user: int, start_ms: int, end_ms: int, rng: np.random.Generator
) -> Activity:
    """What the risers and decoys do between `start_ms` and `end_ms`; their numbers begin with `first_user`."""
    parts = []
    for user, plan in enumerate(PLANS, first_user):
        topic = products.index(plan.topic)
        threshold = smallest_set(values_at(base, topic, plan.role, end_ms - 1))[1]
        parts.append(rise(plan, user, topic, threshold, end_ms, rng))
        quiet_ms = rng.integers(start_ms, end_ms - round(plan.onset_before_end_h * HOUR_MS), _QUIET_EVENTS)
        parts.append(events_of(user, topic, quiet_ms, share=plan.role is Role.CONNECTOR, audiences=_QUIET_AUDIENCE))
    viral, steady = first_user + len(PLANS), first_user + len(PLANS) + 1
    phone, console = products.index("phone"), products.index("console")
    audience = _VIRAL_THRESHOLDS * smallest_set(values_at(base, phone, Role.CONNECTOR, end_ms - 1))[1]
    burst_ms = np.array([end_ms - round(_VIRAL_BEFORE_END_H * HOUR_MS)])
    parts.append(events_of(viral, phone, burst_ms, share=True, audiences=audience))
    steady_ms = np.arange(start_ms, end_ms, HOUR_MS // _STEADY_PER_HOUR)
    parts.append(events_of(steady, console, steady_ms, share=False, audiences=_QUIET_AUDIENCE))
    return joined(parts)


def as_planted(whole: Activity, products: list[str], first_user: int, end_ms: int) -> list[Riser]:
    """The risers with the times at which they truly cross, given all that everybody does."""
    return [
        Riser(
            user_id,
            plan.topic,
            plan.role,
            onset_ms := end_ms - round(plan.onset_before_end_h * HOUR_MS),
            crossing_ms(whole, products.index(plan.topic), plan.role, user, onset_ms),
        )
        for user, (plan, user_id) in enumerate(zip(PLANS, riser_ids(), strict=True), first_user)
    ]


def rise(plan: Plan, user: int, topic: int, threshold: int, end_ms: int, rng: np.random.Generator) -> Activity:
    """Events at a growing rate that add up to `threshold` when _CROSSES_AT of the growth has passed.

    In units of the growth the rate is t² up to 1, then 1; so t³/3 events have come by t, then t − 2/3.
    """
    is_maven = plan.role is Role.MAVEN
    to_cross = threshold if is_maven else _EVENTS_TO_CROSS
    scale = to_cross / (_CROSSES_AT**3 / 3)
    events = int(scale * (plan.onset_before_end_h / plan.growth_h - 2 / 3))
    come = (np.arange(events) + rng.random(events)) / scale
    since = np.where(come < 1 / 3, np.cbrt(3 * come), come + 2 / 3)
    ts_ms = end_ms + np.rint((since * plan.growth_h - plan.onset_before_end_h) * HOUR_MS).astype(np.int64)
    people = _QUIET_AUDIENCE if is_maven else threshold / to_cross
    audiences = np.rint(people * rng.uniform(0.7, 1.3, events)).astype(np.int64)
    return events_of(user, topic, np.minimum(ts_ms, end_ms - 1), share=not is_maven, audiences=audiences)


def events_of(user: int, topic: int, ts_ms: Ints, *, share: bool, audiences: Ints | int) -> Activity:
    """What one user does at some times: shares or posts, each with its audience."""
    size = len(ts_ms)
    return Activity(
        users=np.full(size, user),
        topics=np.full(size, topic),
        ts_ms=ts_ms.astype(np.int64),
        shares=np.full(size, share),
        audiences=np.broadcast_to(np.asarray(audiences, np.int64), size),
    )


def crossing_ms(whole: Activity, topic: int, role: Role, user: int, onset_ms: int, window: Window = DAY) -> int:
    """Time of the first event since the onset with which the user has the threshold; its value only grows till then."""
    times = np.sort(whole.ts_ms[(whole.users == user) & (whole.ts_ms >= onset_ms)])
    low, high = 0, len(times) - 1
    while low < high:
        middle = (low + high) // 2
        values = values_at(whole, topic, role, int(times[middle]), window)
        low, high = (low, middle) if values[user] >= smallest_set(values)[1] else (middle + 1, high)
    return int(times[low])
