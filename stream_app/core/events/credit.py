"""Credit: turns decoded events into columns, with the influence posts and impressions each event is worth."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask, together
from stream_app.core.events.decode import Decoded, Rejected
from stream_app.core.events.identity import UNKEYED, HashingPlan, event_hashes, id_hashes
from stream_app.core.events.limits import MAX_ID_DIGITS, is_short, long_integer
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.messages import DEFAULT_POPULATION, OTHER

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
    recruits: Ints | None = None
    """What others' entries add to a user, or take back: negative. With `amplified`, or neither.

    These are not events of the user but credits for those of others. Each counts in just the topics that it names, as a
    ledger names them: `*` is among them where it counts for everybody.
    """
    amplified: Ints | None = None
    """Impressions of others' shares of the user's posts; negative where they are taken back."""
    event_ids: Sequence[str] | None = None
    """Like the next three: what the funnel asks of events; None in credits for those of others."""
    authors: Sequence[str | None] | None = None
    vias: Sequence[str | None] | None = None
    post_ids: Sequence[str | None] | None = None

    @property
    def add_something(self) -> Mask:
        """Which events change any count."""
        own = (self.posts > 0) | (self.impressions > 0)
        if self.recruits is None or self.amplified is None:
            return own
        mask: Mask = own | (self.recruits != 0) | (self.amplified != 0)
        return mask

    def only(self, places: Sequence[int]) -> "Credits":
        """Return only the events at `places`."""

        def chosen(column: Any) -> Any:
            if column is None:
                return None
            return column[places] if isinstance(column, np.ndarray) else [column[place] for place in places]

        return Credits(*map(chosen, self))

    def between(self, first: int, last: int) -> "Credits":
        """Return the events from `first` on, up to `last` (exclusive)."""
        columns: list[Any] = [None if column is None else column[first:last] for column in self]
        return Credits(*columns)


def joined(parts: Sequence[Credits]) -> Credits:
    """Return several batches as one; without hashes of event ids alone."""

    def united(columns: Sequence[Any]) -> Any:
        if isinstance(columns[0], list | tuple):
            return [value for column in columns for value in column]
        return together(columns, sizes)

    sizes = [len(part.ts_ms) for part in parts]
    return Credits(*map(united, zip(*(part._replace(id_hashes=None) for part in parts), strict=True)))


class LongIntegerError(ValueError):
    """An id is an integer of too many digits."""


def credit_all(
    decoded: Decoded[Event], kind: type[Event], rates: ViewRates, hashing: HashingPlan = UNKEYED
) -> tuple[Credits, Decoded[Event]]:
    """Credit all events that can be credited; the others are rejected too."""
    try:
        credits_ = credit(decoded.events, kind, rates, hashing)
        if OTHER not in credits_.populations:
            return credits_, decoded
    except LongIntegerError:
        pass
    decoded = decoded.without(
        [
            Rejected(index, "invalid", why)
            for event, index in zip(decoded.events, decoded.indices, strict=True)
            if (why := uncountable(event))
        ]
    )
    return credit(decoded.events, kind, rates, hashing), decoded


def credit(events: Sequence[Event], kind: type[Event], rates: ViewRates, hashing: HashingPlan = UNKEYED) -> Credits:
    """Credit each of the `events` (all of one `kind`) to the user who posts or shares.

    Raises LongIntegerError if an id is an integer of over 38 digits.
    """
    people = _people(events, rates)
    known = people >= 0
    users = texts([event.user_id for event in events])
    ids = texts([event.event_id for event in events])
    return Credits(
        users=users,
        hashes=event_hashes(kind, users, ids, hashing.key),
        ts_ms=times_ms([event.ts for event in events]),
        posts=np.full(len(events), int(kind is Post), np.int64),
        impressions=np.rint(np.where(known, people, 0)).astype(np.int64),
        unknown=~known,
        topics=[event.topics or () for event in events],
        populations=[event.population or DEFAULT_POPULATION for event in events],
        id_hashes=id_hashes(ids) if hashing.by_id else None,
        event_ids=ids,
        authors=_optional([event.author_id for event in events]) if kind is Share else None,  # type: ignore[union-attr]
        vias=_optional([event.via_id for event in events]) if kind is Share else None,  # type: ignore[union-attr]
        post_ids=_optional([event.post_id for event in events]) if kind is Share else None,
    )


def uncountable(event: Event) -> str:
    """Return why a decoded event cannot be credited, and what to do; empty if it can."""
    if event.population == OTHER:
        return f"the population {OTHER} is reserved: give it another name"
    return long_integer(event)


def texts(ids: list[str | int]) -> list[str]:
    """Return ids as text: integers become decimal strings, so that 5 and "5" are the same user or event."""
    try:
        "".join(ids)  # type: ignore[arg-type]  # the fastest way to learn that none is an integer
    except TypeError:
        return list(map(_decimal, ids))
    return cast(list[str], ids)


def _optional(ids: Sequence[str | int | None]) -> Sequence[str | None]:
    """Return ids as text; integers that are too long are taken for unknown."""
    if not any(isinstance(name, int) for name in ids):
        return cast(Sequence[str | None], ids)
    are_long = [name is None or (isinstance(name, int) and not is_short(name)) for name in ids]
    return [None if is_long else str(name) for name, is_long in zip(ids, are_long, strict=True)]


def _decimal(number: str | int) -> str:
    if isinstance(number, int) and not is_short(number):
        raise LongIntegerError(f"an id has over {MAX_ID_DIGITS} digits")
    return str(number)


def times_ms(times: Sequence[int | dt.datetime]) -> Ints:
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
