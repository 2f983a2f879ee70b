"""The episode table: the episodes of each key, a row for the newest and a list in columns for all older ones.

The common case, one episode, is a row of a hash index and a record: no Python object, and no second look-up. Older
episodes lie in one array sorted by row. It is written anew when something in it changes, which is once a pane.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.funnel.episodes.episode_records import Episodes, Records, fields_of, in_order
from stream_app.core.funnel.episodes.known_keys import KnownKeys
from stream_app.core.funnel.episodes.last_times import LastTimes
from stream_app.core.state.watermark import NO_TIME

_NO_EPISODE = -4
"""In place of the credited person: the row has no episode, and `last_ms` is when it last had."""
_GONE_KEPT = 1000
"""Rows without episodes that may stay in a table besides a quarter of all."""


class EpisodesOfKeys(NamedTuple):
    """All that a table holds of some keys."""

    keys: Ints
    """Distinct."""
    episodes: Episodes
    """Grouped by place among the keys."""
    known: Mask
    """Which keys had earlier episodes, which are forgotten."""
    revisions: Ints
    """How often the episodes of each key were replaced."""


class EpisodeTable:
    """Episodes by 64-bit key."""

    def __init__(self, dtype: np.dtype[Any], remember_ms: int) -> None:
        """`dtype`: EPISODE or SHARED; `remember_ms`: how much longer forgotten keys are known to have been there."""
        self._index = HashIndex()
        self._newest: Records = np.empty(0, np.dtype([*dtype.descr, ("known", np.bool_)]))
        self._older: Records = np.empty(0, np.dtype([("row", np.int32), *dtype.descr]))
        self._fields = list(dtype.names or ())
        self._dtype = dtype
        self._known = KnownKeys(remember_ms)
        self.before_window = LastTimes()
        self._revisions: dict[int, int] = {}
        """Where it is not 0, by key."""

    def __len__(self) -> int:
        return int(np.count_nonzero(self._rows["credited"] != _NO_EPISODE))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        parts = (self._index, self._newest, self._older, self._known, self.before_window)
        return sum(part.nbytes for part in parts)

    @property
    def credited(self) -> Ints:
        """The numbers of credited persons in it; they repeat."""
        numbers: Ints = np.concatenate([self._rows["credited"], self._older["credited"]])
        return numbers[numbers >= 0]

    def of(self, keys: Ints) -> EpisodesOfKeys:
        """Return what is held of some keys, which are distinct."""
        rows = self._index.find(keys)
        groups = np.flatnonzero(rows >= 0)
        held = self._newest[rows[groups]]
        known = np.zeros(len(keys), np.bool_)
        live = held["credited"] != _NO_EPISODE
        known[groups] = held["known"] & (live | self._known.are_kept(held["last_ms"]))
        known[rows < 0] = self._known.contains(keys[rows < 0])
        episodes = Episodes(groups[live], fields_of(held[live], self._dtype))
        if len(self._older):
            episodes = self._with_older(episodes, rows)
        return EpisodesOfKeys(keys, episodes, known, self._revisions_of(keys))

    def crediting(self, numbers: Ints) -> Ints:
        """Return the keys with an episode that credits one of some persons."""
        are_found = np.isin(self._rows["credited"], numbers)
        are_found[self._older["row"][np.isin(self._older["credited"], numbers)]] = True
        keys: Ints = self._index.keys[are_found]
        return keys

    def put(self, held: EpisodesOfKeys) -> None:
        """Put in place of all that was held of the keys."""
        rows = self._index.add(held.keys)
        self._make_room()
        episodes, newest = held.episodes, held.episodes.are_last()
        rows_now = np.zeros(len(rows), self._newest.dtype)
        rows_now["credited"], rows_now["known"] = _NO_EPISODE, held.known
        rows_now["last_ms"] = self._newest["last_ms"][rows]
        groups = episodes.groups[newest]
        for field in self._fields:
            rows_now[field][groups] = episodes.records[field][newest]
        self._newest[rows] = rows_now
        self._put_older(rows, episodes.at(~newest))
        for place in np.flatnonzero(held.revisions).tolist():
            self._revisions[int(held.keys[place])] = int(held.revisions[place])

    def all(self) -> EpisodesOfKeys:
        """Return all episodes."""
        return self.of(self._index.keys[self._rows["credited"] != _NO_EPISODE])

    def known(self) -> tuple[Ints, Ints]:
        """Return the keys that are known without episodes, and when each had its last event, more or less."""
        rows = self._rows
        ended = (rows["credited"] == _NO_EPISODE) & rows["known"]
        keys, last_ms = self._known.all()
        return np.concatenate([keys, self._index.keys[ended]]), np.concatenate([last_ms, rows["last_ms"][ended]])

    def remember(self, keys: Ints, last_ms: Ints) -> None:
        """Restore keys that are known without episodes; none of them is in the table."""
        self._known.add(keys, last_ms)

    def first_ms(self, keys: Ints) -> Ints:
        """Return when the first event of each key was; NO_TIME where that is not known, or no more."""
        keys, places = np.unique(keys, return_inverse=True)
        held = self.of(keys)
        times = np.full(len(keys), NO_TIME)
        first = held.episodes.at(held.episodes.are_first())
        times[first.groups] = first.records["first_ms"]
        times[held.known] = NO_TIME
        return times[places]

    def forget(self, before_ms: int) -> None:
        """Forget the episodes that ended before a time; their keys are known from then on."""
        over = self._older["last_ms"] < before_ms
        if over.any():
            self._newest["known"][self._older["row"][over]] = True
            self._older = self._older[~over]
        rows = self._rows
        ended = (rows["last_ms"] < before_ms) & (rows["credited"] != _NO_EPISODE)
        rows["known"] |= ended
        rows["credited"][ended] = _NO_EPISODE
        self._known.expire(before_ms)
        gone = rows["credited"] == _NO_EPISODE
        if np.count_nonzero(gone) > max(_GONE_KEPT, len(gone) // 4):
            self._drop(gone)

    def leave(self, keys: Ints, times_ms: Ints, start_ms: int) -> None:
        """Note the last times before a window, which begins at `start_ms`, of keys whose episode goes on into it."""
        go_on = self._go_on(keys, start_ms)
        self.before_window.note(keys[go_on], times_ms[go_on])

    def forget_ended(self, start_ms: int) -> None:
        """Forget the last times before a window of keys whose episode does not go on into it, or no more."""
        self.before_window.keep(self._go_on(self.before_window.all()[0], start_ms))

    def take_out(self, keys: Ints) -> None:
        """Remove keys as if they had never been."""
        self._known.take_out(keys)
        self.before_window.take_out(keys)
        rows = self._index.find(keys)
        nothing = Episodes(np.empty(0, np.int64), np.empty(0, self._dtype))
        none = np.zeros(np.count_nonzero(rows >= 0), np.int64)
        self.put(EpisodesOfKeys(keys[rows >= 0], nothing, none > 0, none))

    def renumber_credited(self, numbers: Ints) -> None:
        """Credited person p becomes `numbers[p]`."""
        for records in (self._rows, self._older):
            credits_somebody = records["credited"] >= 0
            records["credited"][credits_somebody] = numbers[records["credited"][credits_somebody]]

    @property
    def _rows(self) -> Records:
        return self._newest[: len(self._index)]

    def _go_on(self, keys: Ints, start_ms: int) -> Mask:
        rows = self._index.find(keys)
        go_on = rows >= 0
        newest = self._newest[rows[go_on]]
        go_on[go_on] = (newest["credited"] != _NO_EPISODE) & (newest["last_ms"] >= start_ms)
        return go_on

    def _with_older(self, newest: Episodes, rows: Ints) -> Episodes:
        starts = np.searchsorted(self._older["row"], rows, "left")
        counts = np.where(rows >= 0, np.searchsorted(self._older["row"], rows, "right") - starts, 0)
        if not counts.any():
            return newest
        groups = np.repeat(np.arange(len(rows)), counts)
        places = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts) + starts[groups]
        groups = np.concatenate([newest.groups, groups])
        records = np.concatenate([newest.records, fields_of(self._older[places], self._dtype)])
        order = in_order(groups, records)
        return Episodes(groups[order], records[order])

    def _put_older(self, rows: Ints, episodes: Episodes) -> None:
        if not len(self._older) and not len(episodes.groups):
            return
        changed = np.zeros(len(self._index), np.bool_)
        changed[rows] = True
        kept = self._older[~changed[self._older["row"]]]
        if len(kept) == len(self._older) and not len(episodes.groups):
            return
        more = np.empty(len(episodes.groups), self._older.dtype)
        more["row"] = rows[episodes.groups]
        for field in self._fields:
            more[field] = episodes.records[field]
        together = np.concatenate([kept, more])
        self._older = together[np.argsort(together["row"], kind="stable")]

    def _revisions_of(self, keys: Ints) -> Ints:
        revisions = np.zeros(len(keys), np.int64)
        if self._revisions:
            revisions[:] = [self._revisions.get(key, 0) for key in keys.tolist()]
        return revisions

    def _make_room(self) -> None:
        size = len(self._index)
        if size > len(self._newest):
            wider = np.zeros(max(size, len(self._newest) * 9 // 8), self._newest.dtype)
            wider[: len(self._newest)] = self._newest
            self._newest = wider

    def _drop(self, gone: Mask) -> None:
        """Drop rows without episodes, and renumber the others."""
        keys, rows = self._index.keys, self._rows
        known = gone & rows["known"]
        self._known.add(keys[known], rows["last_ms"][known])
        if self._revisions:
            self._revisions = _without(self._revisions, keys[gone])
        new_rows = np.cumsum(~gone) - 1
        self._older["row"] = new_rows[self._older["row"]]
        self._newest = rows[~gone]
        self._index = HashIndex(keys[~gone])


def _without(revisions: Mapping[int, int], keys: Ints) -> dict[int, int]:
    gone = {*keys.tolist()}
    return {key: revision for key, revision in revisions.items() if key not in gone}
