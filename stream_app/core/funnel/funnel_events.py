"""Funnel events: a batch of fresh events as the columns that the funnel needs, and the episodes of one event each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.funnel.episodes.episode_records import SELF_STARTED, UNKNOWN, Records
from stream_app.core.funnel.funnel_keys import FunnelKeys, event_orders, mixed
from stream_app.core.state.interning import Interner
from stream_app.core.state.scopes import ScopeName


class FunnelEvents(NamedTuple):
    """Events of one batch: columns of equal length, and the scopes that each counts in."""

    users: Sequence[str]
    event_ids: Sequence[str]
    ts_ms: Ints
    are_shares: Mask
    authors: Sequence[str | None]
    """Whose post was shared; None in posts, and where it is not known."""
    vias: Sequence[str | None]
    """Through whose share somebody came to it; None where it is not known."""
    posts: Sequence[str | None]
    """Which post was shared. Shares of unknown posts of one author count as those of one post."""
    impressions: Ints
    """0 where they are not known."""
    events: Ints
    """Of each pair of event and scope, the place of the event; sorted or not."""
    scopes: Ints
    """Of each pair, the place of the scope in `scope_names`."""
    scope_names: Sequence[ScopeName]


class EventColumns(NamedTuple):
    """What pairs of event and scope have in common: columns by event."""

    persons: Hashes
    orders: Hashes
    recruiters: Ints
    """The number of the person who is named, SELF_STARTED or UNKNOWN."""
    authors: Ints
    """The number of the author of a share of somebody else's post, else SELF_STARTED or UNKNOWN."""


def columns_of(batch: FunnelEvents, keys: FunnelKeys, people: Interner) -> EventColumns:
    """Hash and number the names in a batch."""
    shares = batch.are_shares.tolist()
    named = [via or author for via, author in zip(batch.vias, batch.authors, strict=True)]
    return EventColumns(
        keys.persons(batch.users),
        event_orders(batch.event_ids),
        _numbers(shares, batch.users, named, people),
        _numbers(shares, batch.users, batch.authors, people),
    )


def entries_of(batch: FunnelEvents, by_event: EventColumns, scopes: Ints, hashes: Hashes, dtype: Any) -> Records:
    """Return each event in each of its scopes (numbers and hashes, by pair) as an episode of its person."""
    records = _episodes_of(batch, by_event, batch.events, scopes, dtype)
    records["key"] = entry_keys(by_event.persons[batch.events], hashes)
    records["credited"] = by_event.recruiters[batch.events]
    return records


def shares_of(
    batch: FunnelEvents, by_event: EventColumns, keys: FunnelKeys, scopes: Ints, hashes: Hashes, dtype: Any
) -> Records:
    """Return each share of somebody else's post in each of its scopes as an episode of person and post."""
    pairs = np.flatnonzero(by_event.authors[batch.events] >= 0)
    events = batch.events[pairs]
    records = _episodes_of(batch, by_event, events, scopes[pairs], dtype)
    shares = np.flatnonzero(by_event.authors >= 0)
    posts = np.zeros(len(batch.users), np.uint64)
    posts[shares] = mixed(
        keys.posts([batch.posts[place] or "" for place in shares.tolist()]),
        keys.persons([batch.authors[place] or "" for place in shares.tolist()]),
    )
    person_keys = entry_keys(by_event.persons[events], hashes[pairs])
    records["key"] = mixed(person_keys.view(np.uint64), posts[events]).view(np.int64)
    records["credited"] = by_event.authors[events]
    records["impressions"] = batch.impressions[events]
    return records


def entry_keys(persons: Hashes, scopes: Hashes) -> Ints:
    """Return the key of each person in a scope, both as hashes."""
    return mixed(persons, scopes).view(np.int64)


def _episodes_of(batch: FunnelEvents, by_event: EventColumns, events: Ints, scopes: Ints, dtype: Any) -> Records:
    records = np.empty(len(events), dtype)
    records["person"] = by_event.persons[events]
    records["scope"] = scopes
    records["first_ms"] = records["last_ms"] = batch.ts_ms[events]
    records["order"] = by_event.orders[events]
    return records


def _numbers(shares: Sequence[bool], users: Sequence[str], named: Sequence[str | None], people: Interner) -> Ints:
    """Return the number of the person whom each share names."""
    numbers = [
        SELF_STARTED if not share or name == user else UNKNOWN if name is None else people[name]
        for share, user, name in zip(shares, users, named, strict=True)
    ]
    return np.array(numbers, np.int64)
