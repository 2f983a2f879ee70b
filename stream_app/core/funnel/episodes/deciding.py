"""Deciding: what events do to the episodes of their keys, and which of them begin and no longer begin an episode."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.funnel.episodes.episode_records import Episodes, Records, fields_of, in_order, united
from stream_app.core.funnel.episodes.episode_table import EpisodesOfKeys, EpisodeTable
from stream_app.core.state.watermark import NO_TIME


class Decision(NamedTuple):
    """The episodes of some keys before and after, with the person, scope and post of each key."""

    persons: Hashes
    scopes: Ints
    posts: Hashes
    """0 for entries."""
    before: EpisodesOfKeys
    after: EpisodesOfKeys
    vanished: Mask
    """Which episodes of before have an entry that is none any more."""
    appeared: Mask
    """Which episodes of after have a new entry."""
    before_window: tuple[Ints, Ints]
    """Keys whose episode goes on into the window from now on, and their last times before it."""


def decide(table: EpisodeTable, events: Records, replaced: Records, gap_ms: int, start_ms: int = NO_TIME) -> Decision:
    """Add `events` to what the table holds of their keys; `replaced`: keys of which they are all since `start_ms`.

    Changes nothing: `after` is to be put into the table.
    """
    together = np.concatenate([events, replaced])
    keys, first, places = np.unique(together["key"], return_index=True, return_inverse=True)
    before = table.of(keys)
    anew = np.zeros(len(keys), np.bool_)
    anew[places[len(events) :]] = True
    held = np.flatnonzero(~anew[before.episodes.groups] | (before.episodes.records["first_ms"] < start_ms))
    stays = before.episodes.at(held)
    if anew.any():
        _cut(table, keys, stays, anew[stays.groups] & (stays.records["last_ms"] >= start_ms))
    groups = np.concatenate([stays.groups, places[: len(events)]])
    records = np.concatenate([stays.records, fields_of(events, stays.records.dtype)])
    episodes, origins = united(groups, records, gap_ms)
    vanished = np.ones(len(before.episodes.groups), np.bool_)
    vanished[held[origins[origins < len(held)]]] = False
    appeared = origins >= len(held)
    if anew.any():
        _cancel(before.episodes, vanished, episodes, appeared)
    after = EpisodesOfKeys(keys, episodes, before.known, before.revisions + anew)
    posts = together["post"][first] if "post" in (together.dtype.names or ()) else np.zeros(len(keys), np.uint64)
    persons, scopes = together["person"][first], together["scope"][first].astype(np.int64)
    return Decision(persons, scopes, posts, before, after, vanished, appeared, _before_window(before, after, start_ms))


def are_new(held: EpisodesOfKeys) -> Mask:
    """Return which episodes begin with the first event that is known of their key."""
    return held.episodes.are_first() & ~held.known[held.episodes.groups]


def _cut(table: EpisodeTable, keys: Ints, episodes: Episodes, go_on: Mask) -> None:
    """Leave of episodes that `go_on` into the window only what was before it."""
    records = episodes.records
    last_ms = table.before_window.of(keys[episodes.groups[go_on]])
    records["last_ms"][go_on] = np.maximum(last_ms, records["first_ms"][go_on])


def _before_window(before: EpisodesOfKeys, after: EpisodesOfKeys, start_ms: int) -> tuple[Ints, Ints]:
    """Return the keys whose episode goes on into a window that begins at a time, and did not, and the last before."""
    groups, records = after.episodes
    fresh = groups[(records["first_ms"] < start_ms) & (records["last_ms"] >= start_ms)]
    if not len(fresh):
        return fresh, fresh
    groups, records = before.episodes
    last_ms, are_over = np.full(len(before.keys), NO_TIME), records["last_ms"] < start_ms
    np.maximum.at(last_ms, groups[are_over], records["last_ms"][are_over])
    last_ms[groups[~are_over & (records["first_ms"] < start_ms)]] = NO_TIME
    fresh = fresh[last_ms[fresh] != NO_TIME]
    return before.keys[fresh], last_ms[fresh]


def _cancel(before: Episodes, vanished: Mask, after: Episodes, appeared: Mask) -> None:
    """Unmark entries that vanish and appear again, because all events of their key were replaced."""
    old, new = np.flatnonzero(vanished), np.flatnonzero(appeared)
    groups = np.concatenate([before.groups[old], after.groups[new]])
    records = np.concatenate([before.records[old], after.records[new]])
    order = in_order(groups, records)
    groups, records = groups[order], records[order]
    same = groups[1:] == groups[:-1]
    for field in records.dtype.names or ():
        if field != "last_ms":
            same &= records[field][1:] == records[field][:-1]
    pairs = np.flatnonzero(same)
    vanished[old[order[pairs]]] = False
    appeared[new[order[pairs + 1] - len(old)]] = False
