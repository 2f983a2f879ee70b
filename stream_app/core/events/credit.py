"""Credit: turns decoded events into columns, with the influence posts and impressions each event is worth."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask
from stream_app.core.events.identity import UNKEYED, HashingPlan, event_hashes, id_hashes
from stream_app.core.events.schema import Event, Post

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


class ViewRates(NamedTuple):
    """The fraction of an audience that sees a post, by channel; `default` for all other channels."""

    default: float = 1.0
    by_channel: Mapping[str, float] = {}


class Credits(NamedTuple):
    """One batch of events as columns of equal length n."""

    users: Sequence[str]
    hashes: Hashes
    """64-bit hash of each event's identity: kind, user and event id."""
    ts_ms: Ints
    """Event times, epoch ms."""
    posts: Ints
    """1 for a post, 0 for a share."""
    impressions: Ints
    unknown: Mask
    """Neither audience nor impressions is known: the event adds 0 and is counted as unknown."""
    topics: Sequence[tuple[str, ...]]
    populations: Sequence[str]
    id_hashes: Hashes | None = None
    """64-bit hash of each event id alone, if the ledger holds events of a release that compared only these."""

    def only(self, places: Sequence[int]) -> "Credits":
        """Return only the events at `places`."""

        def chosen(column: Any) -> Any:
            if column is None:
                return None
            return column[places] if isinstance(column, np.ndarray) else [column[place] for place in places]

        return Credits(*map(chosen, self))


def credit(events: Sequence[Event], kind: type[Event], rates: ViewRates, hashing: HashingPlan = UNKEYED) -> Credits:
    """Credit each of the `events` (all of one `kind`) to the user who posts or shares."""
    people = _people(events, rates)
    known = people >= 0
    # Integer ids become decimal strings, so that 5 and "5" are the same user or event.
    users = [user if type(user := event.user_id) is str else str(user) for event in events]
    return Credits(
        users=users,
        hashes=event_hashes(kind, users, events, hashing.key),
        ts_ms=_times_ms([event.ts for event in events]),
        posts=np.full(len(events), int(kind is Post), np.int64),
        impressions=np.rint(np.where(known, people, 0)).astype(np.int64),
        unknown=~known,
        topics=[event.topics for event in events],
        populations=[event.population for event in events],
        id_hashes=id_hashes(events) if hashing.by_id else None,
    )


def _times_ms(times: Sequence[int | dt.datetime]) -> Ints:
    try:
        return np.array(times, np.int64)
    except TypeError:
        return np.array([t if type(t) is int else (t - _EPOCH) // _MS for t in times], np.int64)  # type: ignore[operator]


def _people(events: Sequence[Event], rates: ViewRates) -> Floats:
    """Return the impressions of each event, negative or NaN if unknown."""
    reached = np.array([event.audience for event in events], np.float64) * _rates(events, rates)  # None becomes NaN
    measured = [event.impressions for event in events]
    if measured.count(None) == len(measured):
        return reached
    seen = np.array(measured, np.float64)
    return np.where(seen >= 0, seen, reached)


def _rates(events: Sequence[Event], rates: ViewRates) -> float | Floats:
    if not rates.by_channel:
        return rates.default
    by_channel, default = rates.by_channel, rates.default
    return np.array([by_channel.get(event.channel or "", default) for event in events], np.float64)
