"""A person's own events: the gaps between them, active hours, jumps of the audience, and what the shares credit.

Events wait in `HeldEvents` until no older ones are to come. Then all of a person's are looked at in order: each needs
only the time of the one before. The table adds up over the window; a person without an event in it is as good as new,
so that nothing hangs on when rows are dropped, nor on when events are looked at: that is once somebody asks, or once
they are many, because to look at a few costs nearly as much.

State belongs to the partition of the person, and no other has any of it: nothing is merged.
"""

from typing import Any, NamedTuple, cast

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.signals.audience_bound import AudienceState, bounded
from stream_app.core.signals.facts import Signal, SignalValues, quotient
from stream_app.core.signals.held_events import HeldEvents, StoredHeld
from stream_app.core.signals.pair_counts import MOST, OTHERS, TIMES, PairCounts, StoredPairs, paired
from stream_app.core.signals.signal_limits import SignalLimits
from stream_app.core.signals.stored.stored_arrays import starts_of
from stream_app.core.signals.window_table import StoredTable, WindowTable, slices_until

UNKNOWN_AUDIENCE = -1
NOBODY = 0
"""In place of the hash of an author or post that an event does not name."""

_EVENTS, _GAPS, _GAP_MS, _SQUARES, _HOURS, _JUMPS, _IMPRESSIONS, _EXCESS = range(8)
_AUDIENCE = ("base", "since_ms", "top", "last", "steady")
_JUMP_DIGITS = 1000
_MANY = 2000
"""Events that wait are looked at."""


class OwnEvents(NamedTuple):
    """Events of people of one partition, duplicates taken out: columns of equal length."""

    ts_ms: Ints
    users: Hashes
    """Hash of the user id."""
    events: Hashes
    """Hash of the event, to order those of one moment."""
    authors: Hashes
    """Of a share: hash of the author that it credits, or NOBODY. Of a post: NOBODY."""
    posts: Hashes
    """Of a share: hash of the post that is shared, or NOBODY."""
    audiences: Ints
    """UNKNOWN_AUDIENCE where it is not known."""
    impressions: Ints


class Trusted(NamedTuple):
    """What people reached in the window, and what is left of it: columns of equal length."""

    impressions: Ints
    """Raw."""
    bounded: Ints
    """With audiences bounded."""

    def part(self, is_marked: Mask) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return which part of a person's impressions is trusted: none of who is marked (posts: all or none)."""
        whole = np.where(self.impressions > 0, self.bounded / np.maximum(self.impressions, 1), 1.0)
        return np.where(is_marked, 0.0, whole)


class StoredOwnEvents(msgspec.Struct, array_like=True):
    """The state as it is stored."""

    held: StoredHeld
    people: StoredTable
    authors: StoredPairs
    posts: StoredPairs


class OwnEventSignals:
    """The signals about the people of one partition that need only their own events."""

    def __init__(self, limits: SignalLimits = SignalLimits()) -> None:  # noqa: B008 - immutable
        self._limits = limits
        self._held = HeldEvents(("<u8", "<u8", "<u8", "<u8", "<i8", "<i8"), limits.most_held)
        self._looked_ms = self._held.ready_ms
        self._people = WindowTable(8, ("last_ms", "jump", *_AUDIENCE))
        self._authors, self._posts = PairCounts(limits.most_pairs), PairCounts(limits.most_pairs)

    def __len__(self) -> int:
        self._look()
        return len(self._people)

    @property
    def people(self) -> Hashes:
        """Those who are known, of whom some may have no event in the window any more."""
        self._look()
        return self._people.keys

    @property
    def late(self) -> int:
        """Events that came too late to be looked at."""
        return self._held.late

    def add(self, events: OwnEvents) -> Mask:
        """Take a batch. Returns which events are too late, and left out."""
        return self._held.add(events)

    def advance(self, end_ms: int) -> None:
        """Go on to where the partition has come: what waited long enough before `end_ms` is complete."""
        ready_ms = (end_ms - self._limits.disorder_ms) // self._limits.look_ms * self._limits.look_ms
        self._held.ready_ms = max(self._held.ready_ms, ready_ms)
        if len(self._held) >= _MANY:
            self._look()

    def _look(self) -> None:
        if self._held.ready_ms <= self._looked_ms:
            return
        self._look_at(OwnEvents._make(self._held.take(self._held.ready_ms)))
        self._looked_ms = self._held.ready_ms
        self._expire(self._looked_ms - 1)

    def _look_at(self, events: OwnEvents) -> None:
        if not len(events.ts_ms):
            return
        order = np.argsort(events.users, kind="stable")
        events = OwnEvents._make(cast(Any, column)[order] for column in events)
        firsts = starts_of(events.users)
        people, size = self._people.rows(events.users[firsts]), np.diff(firsts, append=len(order))
        rows = np.repeat(people, size)
        before_ms = np.roll(events.ts_ms, 1)
        before_ms[firsts] = self._people.state["last_ms"][people]
        slices, before = events.ts_ms // self._limits.slice_ms, before_ms // self._limits.slice_ms
        is_new = slices - before >= self._limits.slices
        is_new[firsts] |= self._people.sums[people, _EVENTS] == 0
        gaps = np.where(is_new, 0, events.ts_ms - before_ms)
        values = np.zeros((len(order), 8), np.int64)
        values[:, _EVENTS], values[:, _GAPS], values[:, _GAP_MS], values[:, _SQUARES] = 1, ~is_new, gaps, gaps**2
        values[:, _HOURS] = is_new | (slices != before)
        values[:, _IMPRESSIONS] = events.impressions
        self._bound(rows, is_new, events, values)
        self._people.add(slices, rows, values)
        self._people.state["last_ms"][people] = events.ts_ms[firsts + size - 1]
        self._count_pairs(slices, events)

    def _bound(self, rows: Ints, is_new: Mask, events: OwnEvents, values: Ints) -> None:
        """Bound the audiences of the events that state one, and put what is over into `values`."""
        state = self._people.state
        # Who is new is so with the next event that states an audience, however many come in between.
        first_of = starts_of(rows)
        episodes = np.cumsum(is_new)
        episode = np.empty(len(self._people), np.int64)
        episode[rows[first_of]] = (episodes - is_new)[first_of]
        stated = np.flatnonzero(events.audiences >= 0)
        if len(stated):
            own, own_episodes = rows[stated], episodes[stated]
            firsts = starts_of(own)
            again = np.diff(own_episodes, prepend=0) > 0
            again[firsts] = own_episodes[firsts] > episode[own[firsts]]
            audiences, people = events.audiences[stated], own[firsts]
            known = AudienceState(*(state[name][people] for name in _AUDIENCE))
            found = bounded(firsts, again, events.ts_ms[stated], audiences, known, self._limits)
            for name, column in zip(_AUDIENCE, found.state, strict=True):
                state[name][people] = column
            episode[own] = own_episodes  # of several of one person, the last counts
            over = quotient(audiences - found.trusted, audiences)
            values[stated, _EXCESS] = np.rint(np.nan_to_num(over) * events.impressions[stated])
            values[stated, _JUMPS] = found.jumps > 0
            noted = np.flatnonzero(found.jumps)
            state["jump"][own[noted]] = np.rint(np.maximum(found.jumps[noted], 0) * _JUMP_DIGITS)
        state["steady"][rows[episodes > episode[rows]]] = 0

    def _count_pairs(self, slices: Ints, events: OwnEvents) -> None:
        named = events.authors != NOBODY
        self._authors.add(slices[named], events.users[named], events.authors[named])
        named &= events.posts != NOBODY
        self._posts.add(slices[named], events.users[named], paired(events.authors[named], events.posts[named]))

    def _expire(self, end_ms: int) -> None:
        window = (self._limits.slice_ms, self._limits.slices)
        self._people.expire(slices_until(end_ms, *window))
        self._people.compact()
        self._authors.advance(end_ms, *window)
        self._posts.advance(end_ms, *window)

    def measured(self, users: Hashes) -> list[SignalValues]:
        """Return what each signal says about people."""
        self._look()
        sums, limits = self._sums(users), self._limits
        gaps = sums[_GAPS]
        mean = quotient(sums[_GAP_MS], gaps)
        variance = np.maximum(quotient(sums[_SQUARES], gaps) - mean**2, 0.0)
        variation = np.where(gaps >= limits.regular_gaps, quotient(np.sqrt(variance), mean), np.nan)
        shares, posts = self._authors.of(users), self._posts.of(users)
        part = quotient(shares[MOST], shares[TIMES])
        one_sided = (shares[TIMES] >= limits.one_sided_shares) & (part >= limits.one_sided_part)
        hours = sums[_HOURS].astype(np.float64)
        jump = self._state("jump", users) / _JUMP_DIGITS
        ratio = np.where((sums[_JUMPS] > 0) & (jump > 0), jump, np.nan)
        distinct = {"distinct_posts": posts[OTHERS].astype(np.float64)}
        return [
            SignalValues(
                Signal.REGULAR,
                limits.regular_variation,
                variation,
                gaps + (sums[_EVENTS] > 0),
                variation < limits.regular_variation,
                {"mean_gap_s": mean / 1000},
            ),
            SignalValues(Signal.ONE_SIDED, limits.one_sided_part, part, shares[TIMES], one_sided, distinct),
            SignalValues(Signal.AUDIENCE_JUMP, limits.audience_growth, ratio, sums[_JUMPS], ratio > 0),
            SignalValues(
                Signal.ALWAYS_ON,
                limits.active_hours,
                np.where(sums[_EVENTS] > 0, hours, np.nan),
                sums[_EVENTS],
                hours >= limits.active_hours,
            ),
        ]

    def trusted(self, users: Hashes) -> Trusted:
        """Return what is left of people's impressions in the window."""
        self._look()
        sums = self._sums(users)
        return Trusted(sums[_IMPRESSIONS], sums[_IMPRESSIONS] - sums[_EXCESS])

    def _sums(self, users: Hashes) -> Ints:
        rows = self._people.find(users)
        if not len(self._people):
            return np.zeros((8, len(users)), np.int64)
        return np.where(rows < 0, 0, self._people.sums[rows].T)

    def _state(self, name: str, users: Hashes) -> Ints:
        rows = self._people.find(users)
        return np.where(rows < 0, 0, self._people.state[name][rows]) if len(self._people) else rows * 0

    def erase(self, users: Hashes) -> None:
        """Forget people."""
        self._held.erase(users, column=1)
        rows = self._people.find(users)
        self._people.erase(rows[rows >= 0])
        self._authors.erase(users)
        self._posts.erase(users)

    def stored(self) -> StoredOwnEvents:
        """Return what is to be stored."""
        self._look()
        parts = (self._held.stored(), self._people.stored(), self._authors.stored(), self._posts.stored())
        return StoredOwnEvents(*parts)

    def restore(self, found: StoredOwnEvents) -> None:
        """Go on from what was stored; nothing is counted so far."""
        self._held.restore(found.held)
        self._looked_ms = self._held.ready_ms
        self._people.restore(found.people)
        self._authors.restore(found.authors)
        self._posts.restore(found.posts)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(part.nbytes for part in (self._held, self._people, self._authors, self._posts))
