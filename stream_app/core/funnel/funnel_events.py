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
    hashes: Hashes
    """Of the events, by which they are taken back."""


class EventColumns(NamedTuple):
    """The same events with hashes and numbers in place of names: columns by event, and the pairs of event and scope."""

    persons: Hashes
    orders: Hashes
    ts_ms: Ints
    recruiters: Ints
    """The number of the person who is named, SELF_STARTED or UNKNOWN."""
    authors: Ints
    """The number of the author of a share of somebody else's post, else SELF_STARTED or UNKNOWN."""
    posts: Hashes
    """Of the post and its author, the same in all partitions; 0 where nobody is the author."""
    impressions: Ints
    hashes: Hashes
    """By which they are taken back."""
    events: Ints
    scopes: Ints
    """Numbers of the funnel."""

    def at(self, kept: Mask) -> "EventColumns":
        """Return only some of the events, and their pairs."""
        if kept.all():
            return self
        places = np.cumsum(kept) - 1
        pairs = kept[self.events]
        columns: list[Any] = [*(column[kept] for column in self[:8]), places[self.events[pairs]], self.scopes[pairs]]
        return EventColumns(*columns)


def columns_of(
    batch: FunnelEvents, keys: FunnelKeys, post_keys: FunnelKeys, people: Interner, scopes: Ints
) -> EventColumns:
    """Hash and number the names in a batch; `scopes`: of each pair, the number of the scope."""
    shares = batch.are_shares.tolist()
    named = [via or author for via, author in zip(batch.vias, batch.authors, strict=True)]
    authors = _numbers(shares, batch.users, batch.authors, people)
    credited = np.flatnonzero(authors >= 0)
    posts = np.zeros(len(batch.users), np.uint64)
    posts[credited] = mixed(
        post_keys.posts([batch.posts[place] or "" for place in credited.tolist()]),
        post_keys.persons([batch.authors[place] or "" for place in credited.tolist()]),
    )
    return EventColumns(
        persons=keys.persons(batch.users),
        orders=event_orders(batch.event_ids),
        ts_ms=batch.ts_ms,
        recruiters=_numbers(shares, batch.users, named, people),
        authors=authors,
        posts=posts,
        impressions=batch.impressions,
        hashes=batch.hashes,
        events=batch.events,
        scopes=scopes,
    )


def entries_of(columns: EventColumns, hashes: Hashes, dtype: Any) -> Records:
    """Return each event in each of its scopes (`hashes`, by pair) as an episode of its person."""
    records = _episodes_of(columns, columns.events, columns.scopes, dtype)
    records["key"] = entry_keys(columns.persons[columns.events], hashes)
    records["credited"] = columns.recruiters[columns.events]
    return records


def shares_of(columns: EventColumns, hashes: Hashes, dtype: Any) -> Records:
    """Return each share of somebody else's post in each of its scopes as an episode of person and post."""
    pairs = np.flatnonzero(columns.authors[columns.events] >= 0)
    events = columns.events[pairs]
    records = _episodes_of(columns, events, columns.scopes[pairs], dtype)
    person_keys = entry_keys(columns.persons[events], hashes[pairs])
    records["key"] = mixed(person_keys.view(np.uint64), columns.posts[events]).view(np.int64)
    records["credited"] = columns.authors[events]
    records["post"] = columns.posts[events]
    records["impressions"] = columns.impressions[events]
    return records


def entry_keys(persons: Hashes, scopes: Hashes) -> Ints:
    """Return the key of each person in a scope, both as hashes."""
    return mixed(persons, scopes).view(np.int64)


def _episodes_of(columns: EventColumns, events: Ints, scopes: Ints, dtype: Any) -> Records:
    records = np.empty(len(events), dtype)
    records["person"] = columns.persons[events]
    records["scope"] = scopes
    records["first_ms"] = records["last_ms"] = columns.ts_ms[events]
    records["order"] = columns.orders[events]
    return records


def _numbers(shares: Sequence[bool], users: Sequence[str], named: Sequence[str | None], people: Interner) -> Ints:
    """Return the number of the person whom each share names."""
    numbers = [
        SELF_STARTED if not share or name == user else UNKNOWN if name is None else people[name]
        for share, user, name in zip(shares, users, named, strict=True)
    ]
    return np.array(numbers, np.int64)
