"""Posts and shares that name whom they come from, some of them taken back: records, and what must come of them."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tests.naive import naive_cut
from tests.proof.contents import HOUR_MS, PARTITIONS, SPAN_MS, START_MS, TOPICS, Cuts, Record, answer, home_of
from tests.unit.core.funnel.naive_funnel import Action, NaiveScope, naive_funnel

GAP_HOURS = 6
_DELAY_MS = HOUR_MS // 2
_CLOCKS_AFTER_MS = 4 * HOUR_MS
RETRACTIONS = 2

Credited = tuple[int, int, int, int, int]
"""Recruits, amplified, shares, sharers, and the sum of the squares of the shares of each sharer."""


class NamedShares(NamedTuple):
    """Records, and what they come to."""

    records: list[Record]
    repeats: int
    stages: dict[str, tuple[int, ...]]
    """By topic, as `FunnelSums`."""
    credited: dict[str, list[Credited]]
    """By topic: what each person was credited with who was, sorted."""
    cuts: Cuts
    """Of recruiters."""


def made(events: int, repeats: int, taken_back: int, users: int = 3_000, seed: int = 1) -> NamedShares:
    """So many events, some of them delivered twice, some taken back, and a last one in each partition.

    They are taken back within ten hours, some before they come; the last events are of other people, and end all panes.
    """
    rng = np.random.default_rng(seed)
    actions = _actions(events, users, rng)
    ts_ms = np.array([action.ts_ms for action in actions])
    twice = rng.choice(events, repeats, replace=False)
    back = rng.choice(events, taken_back, replace=False)
    arrival_ms = np.concatenate(
        [
            ts_ms + rng.integers(0, _DELAY_MS, events),
            ts_ms[twice] + rng.integers(_DELAY_MS, 4 * _DELAY_MS, repeats),
            ts_ms[back] + rng.integers(0, 20 * _DELAY_MS, taken_back),
        ]
    )
    deliveries = [
        *map(_record, actions),
        *(_record(actions[place]) for place in twice.tolist()),
        *(_retraction(actions[place]) for place in back.tolist()),
    ]
    records = [deliveries[place] for place in np.argsort(arrival_ms, kind="stable").tolist()]
    are_back = {*back.tolist()}
    left = [action for place, action in enumerate(actions) if place not in are_back]
    found = naive_funnel(left, GAP_HOURS * HOUR_MS)
    cuts = {topic: naive_cut(scope.recruits().values(), 0.8) for topic, scope in found.items()}
    return NamedShares(
        records=[*records, *(_record(clock, "clocks") for clock in _clocks())],
        repeats=repeats,
        stages={topic: scope.stages() for topic, scope in found.items()},
        credited={topic: _credited(scope) for topic, scope in found.items()},
        cuts={(topic, "recruiter"): answer(cut) for topic, cut in cuts.items() if cut},
    )


def _actions(events: int, users: int, rng: np.random.Generator) -> list[Action]:
    """Two of five are shares that name an author; some of these name somebody else too, some shares nobody."""
    who, author, via = (_few(users, events, rng) for _ in range(3))
    kinds = rng.random(events)
    columns = zip(
        *(who, author, via, kinds.tolist(), _few(len(TOPICS), events, rng)),
        (START_MS + rng.integers(0, SPAN_MS, events)).tolist(),
        rng.integers(0, 5, events).tolist(),
        rng.lognormal(4, 2, events).astype(np.int64).tolist(),
        strict=True,
    )
    return [
        Action(
            event_id=f"e{number}",
            ts_ms=ts_ms,
            user=f"u{user}",
            is_share=kind < 0.5,
            author=f"u{of}" if kind < 0.4 else None,
            via=f"u{through}" if kind < 0.1 else None,
            post=f"p{post}" if kind < 0.4 else None,
            impressions=impressions,
            topics=(TOPICS[topic],),
        )
        for number, (user, of, through, kind, topic, ts_ms, post, impressions) in enumerate(columns)
    ]


def _few(most: int, events: int, rng: np.random.Generator) -> list[int]:
    """Numbers below `most`, the low ones more often."""
    found: list[int] = (most * rng.random(events) ** 2).astype(np.int64).tolist()
    return found


def _clocks() -> list[Action]:
    names: dict[int, str] = {}
    number = 0
    while len(names) < PARTITIONS:
        names.setdefault(home_of(b"clock%d" % number), f"clock{number}")
        number += 1
    return [Action(name, START_MS + SPAN_MS + _CLOCKS_AFTER_MS, name) for name in names.values()]


def _record(action: Action, population: str | None = None) -> Record:
    key = action.user.encode()
    event = {
        "event_id": action.event_id,
        "ts": action.ts_ms,
        "user_id": action.user,
        "population": population,
        "topics": action.topics,
        "impressions": action.impressions,
    }
    if action.is_share:
        event |= {"author_id": action.author, "via_id": action.via, "post_id": action.post}
    return Record(action.is_share, home_of(key), key, json.dumps(event).encode())


def _retraction(action: Action) -> Record:
    key, of = action.user.encode(), "share" if action.is_share else "post"
    retract = {"kind": "retract", "of": of, "event_id": action.event_id, "user_id": action.user, "ts": action.ts_ms}
    return Record(RETRACTIONS, home_of(key), key, json.dumps(retract).encode())


def _credited(scope: NaiveScope) -> list[Credited]:
    people: Sequence[str] = [*{*scope.recruits(), *(share.author for share in scope.shares if share.author)}]
    return sorted(map(scope.credited, people))
