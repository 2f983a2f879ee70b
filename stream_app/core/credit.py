"""Credit: decoded events to columns, and how many influence posts and impressions each one is worth."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from stream_app.core.events import Event

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


class ViewRates(NamedTuple):
    """Which part of an audience sees a post: by channel, else `default`."""

    default: float = 1.0
    by_channel: Mapping[str, float] = {}


class Credits(NamedTuple):
    """One batch of events as columns of equal length n."""

    users: Sequence[str]
    hashes: NDArray[np.uint64]
    """64-bit xxHash of each event id."""
    ts_ms: Ints
    posts: Ints
    """1 for a post, 0 for a share."""
    impressions: Ints
    unknown: NDArray[np.bool_]
    """Neither audience nor impressions is known: such an event adds 0, and is counted as unknown."""
    topics: Sequence[tuple[str, ...]]
    populations: Sequence[str]


def user_ids(events: Sequence[Event]) -> list[str]:
    """The users as text: integers in decimal, so that 5 and "5" are one user."""
    return [user if type(user := event.user_id) is str else str(user) for event in events]


def times_ms(events: Sequence[Event]) -> Ints:
    """Event times, epoch ms."""
    times = [event.ts for event in events]
    try:
        return np.array(times, np.int64)
    except TypeError:
        return np.array([t if type(t) is int else (t - _EPOCH) // _MS for t in times], np.int64)  # type: ignore[operator]


def credit(events: Sequence[Event], users: Sequence[str], ts_ms: Ints, *, posts: bool, rates: ViewRates) -> Credits:
    """What each event adds, to the one who posts or shares. `posts`: are they posts (else shares)."""
    measured = np.array([event.impressions for event in events], np.float64)  # None becomes NaN
    reached = np.array([event.audience for event in events], np.float64) * _rates(events, rates)
    people = np.where(measured >= 0, measured, reached)
    known = people >= 0
    return Credits(
        users=users,
        hashes=np.array([xxh3_64_intdigest(str(event.event_id).encode()) for event in events], np.uint64),
        ts_ms=ts_ms,
        posts=np.full(len(events), int(posts), np.int64),
        impressions=np.rint(np.where(known, people, 0)).astype(np.int64),
        unknown=~known,
        topics=[event.topics for event in events],
        populations=[event.population for event in events],
    )


def _rates(events: Sequence[Event], rates: ViewRates) -> float | Floats:
    if not rates.by_channel:
        return rates.default
    by_channel, default = rates.by_channel, rates.default
    return np.array([by_channel.get(event.channel or "", default) for event in events], np.float64)
