"""ScopeAdmission: which scopes and rows are made for a batch; topics beyond a limit count as `(other)`.

The problem: topics and populations come with the events, so anybody who can send events can invent them without end.

The rule: an event that names a topic beyond a limit counts in the scope `(other)` of its population instead. An event
of a population beyond the limit counts in the population `(other)`. So nothing is lost: every event counts in a `*`.

The invariant: a decision depends only on the event and on what is in the window, which is what a replay restores. A
scope or row that was used before and is empty now is as good as new, whether it is still in the tables or not. So a
worker that continues after a crash decides as the one before it would have.

Each partition decides for itself. A topic can be counted by name in one partition and as `(other)` in another.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_app.core.arrays import Ints, Mask, distinct_in
from stream_app.core.state.rows import RowTable
from stream_app.core.state.scopes import ScopeTable, is_named, is_other, other_population, other_topic

T = TypeVar("T", bound=np.generic)


class ScopeLimits(NamedTuple):
    """How many topics and scopes one partition counts by name."""

    topics_per_event: int = 32
    topics_per_user: int = 10_000
    """Topics of a user in the window."""
    scopes: int = 200_000
    """Topics × populations in the window, `*` included and `(other)` not."""


class Admitted(NamedTuple):
    """The (event, scope) pairs to count, as columns."""

    events: Ints
    scopes: Ints


class ScopeAdmission:
    """Decides for one ledger. `forget` when rows are renumbered, `expired` when some may have lost their totals."""

    def __init__(self, limits: ScopeLimits) -> None:
        self._limits = limits
        self._live: Mask | None = None
        """Which scopes hold a row with totals, by scope number; None where nobody has had to know."""
        self._rows_of_user: Ints | None = None
        """By user number; rows without totals included, so never too few."""
        self.hits: dict[str, int] = {}
        """How often each limit was met since somebody looked."""

    def forget(self) -> None:
        """The rows are others: look at all of them again."""
        self._live = self._rows_of_user = None

    def expired(self) -> None:
        """Rows have lost totals: look again which scopes are live."""
        self._live = None

    def scopes_of(
        self,
        table: ScopeTable,
        rows: RowTable,
        users: Ints,
        populations: Sequence[str],
        topics: Sequence[tuple[str, ...]],
        *,
        exact: bool = False,
    ) -> Admitted:
        """Return the scopes that each event of a batch counts in; `users`: number of the user of each event.

        `exact`: only those that it names, see `Credits.recruits`.
        """
        before, most = table.names_before(), self._limits.topics_per_event
        pairs = table.named(populations, topics) if exact else table.of_events(populations, topics, most)
        self._hit("max_topics_per_event", pairs.beyond)
        crowded = self._crowded(rows, users, pairs.events)
        if not len(crowded) and self._has_room(table, rows, pairs.codes):
            return Admitted(pairs.events, table.add_codes(pairs.codes))
        if not exact:
            pairs = table.of_events(populations, topics, most, in_order=True)
        codes = pairs.codes
        if len(crowded):
            codes = self._within_users(table, rows, users[pairs.events], codes, crowded)
        codes = self._within_scopes(table, rows, pairs.events, codes, None if exact else len(topics))
        codes = table.drop_names(before, codes)
        distinct = _first_of_each(pairs.events, codes)
        return Admitted(pairs.events[distinct], table.add_codes(codes[distinct]))

    def counted(self, scopes: Ints, rows: RowTable, start: int) -> None:
        """Note the scopes of a batch, whose rows have totals now, and its new rows: those from number `start` on."""
        if self._live is not None:
            self._live = _long_enough(self._live, scopes)
            self._live[scopes] = True
        if self._rows_of_user is not None and start < len(rows):
            new = rows.users_of(slice(start, None))
            self._rows_of_user = _long_enough(self._rows_of_user, new)
            np.add.at(self._rows_of_user, new, 1)

    def take_hits(self) -> dict[str, int]:
        """Return how often each limit was met since the last call."""
        taken, self.hits = self.hits, {}
        return taken

    def _hit(self, limit: str, count: int) -> None:
        if count:
            self.hits[limit] = self.hits.get(limit, 0) + count

    def _has_room(self, table: ScopeTable, rows: RowTable, codes: Ints) -> bool:
        """Return whether all scopes of a batch fit."""
        most = self._limits.scopes
        if len(table) + len(codes) <= most:
            self._live = None
            return True
        live = self._live_scopes(table, rows)
        numbers = table.find_codes(codes)
        new = distinct_in(codes[~_are(live, numbers)])
        room = most - self._count(live, table)
        return len(new) <= room or not len(new[~is_other(new)])

    def _within_scopes(self, table: ScopeTable, rows: RowTable, events: Ints, codes: Ints, count: int | None) -> Ints:
        """Return the codes with those beyond the limit replaced.

        The first `count` pairs are the `*` of each event. Without these (None) nothing says of a population that it is
        within the limit: all that is beyond it counts in the population `(other)`.
        """
        live = self._live_scopes(table, rows)
        new = np.flatnonzero(~_are(live, table.find_codes(codes)) & ~is_other(codes))
        by_event = new[np.argsort(events[new], kind="stable")]  # `*` comes before the topics of the same event
        _, first = np.unique(codes[by_event], return_index=True)
        room = max(self._limits.scopes - self._count(live, table), 0)
        refused = codes[by_event[np.sort(first)[room:]]]
        beyond = np.isin(codes, refused)
        self._hit("max_scopes", int(np.count_nonzero(beyond)))
        replaced = np.where(beyond, other_topic(codes), codes)
        if count is None:
            return np.where(beyond, other_population(codes), codes)
        is_stranger = beyond[:count][events]  # its whole population is beyond the limit
        return np.where(is_stranger, other_population(codes), replaced)

    def _crowded(self, rows: RowTable, users: Ints, events: Ints) -> Ints:
        """Return the users who might exceed their limit with this batch."""
        if len(rows) + len(events) <= self._limits.topics_per_user:
            self._rows_of_user = None
            return np.empty(0, np.int64)
        if self._rows_of_user is None:
            self._rows_of_user = np.bincount(rows.users, minlength=1).astype(np.int32)
        active, pairs = np.unique(users[events], return_counts=True)
        known = active < len(self._rows_of_user)
        together = pairs + np.where(known, self._rows_of_user[np.where(known, active, 0)], 0)
        return active[together > self._limits.topics_per_user]

    def _within_users(self, table: ScopeTable, rows: RowTable, users: Ints, codes: Ints, crowded: Ints) -> Ints:
        """Return the codes with the topics of `crowded` users beyond their limit replaced."""
        counts = self._topics_of(table, rows, crowded)
        asked = np.flatnonzero(np.isin(users, crowded) & is_named(codes))
        scopes = table.find_codes(codes[asked])
        found = np.where(scopes < 0, -1, rows.find(np.maximum(scopes, 0), users[asked]))
        new = asked[~_are(rows.are_counted(), found)]
        admitted: set[tuple[int, int]] = set()
        refused = []
        for place, user, code in zip(new.tolist(), users[new].tolist(), codes[new].tolist(), strict=True):
            if (user, code) in admitted:
                continue
            if counts[user] < self._limits.topics_per_user:
                counts[user] += 1
                admitted.add((user, code))
            else:
                refused.append(place)
        self._hit("max_topics_per_user", len(refused))
        within = codes.copy()
        within[refused] = other_topic(codes[refused])
        return within

    def _topics_of(self, table: ScopeTable, rows: RowTable, users: Ints) -> dict[int, int]:
        """Return how many topics each user has in the window."""
        held = rows.are_counted() & table.is_named()[rows.scopes] & np.isin(rows.users, users)
        counts = np.bincount(rows.users[held], minlength=int(users.max()) + 1)
        return {user: int(counts[user]) for user in users.tolist()}

    def _live_scopes(self, table: ScopeTable, rows: RowTable) -> Mask:
        if self._live is None:
            self._live = np.zeros(len(table), np.bool_)
            self._live[rows.scopes[rows.are_counted()]] = True
        return self._live

    @staticmethod
    def _count(live: Mask, table: ScopeTable) -> int:
        size = min(len(live), len(table))
        return int(np.count_nonzero(live[:size] & ~table.is_other()[:size]))


def _are(marked: Mask, numbers: Ints) -> Mask:
    """Return which numbers are marked; −1 and numbers beyond the end are not."""
    known = (numbers >= 0) & (numbers < len(marked))
    return known & (marked[np.where(known, numbers, 0)] if len(marked) else False)


def _long_enough(column: NDArray[T], numbers: Ints) -> NDArray[T]:
    """Return the column, with zeros after it if it has no place for some of the numbers."""
    size = int(numbers.max(initial=-1)) + 1
    if size <= len(column):
        return column
    return np.concatenate([column, np.zeros(size + size // 4 - len(column), column.dtype)])


def _first_of_each(events: Ints, codes: Ints) -> Ints:
    """Return the places of distinct (event, code) pairs, in order."""
    order = np.lexsort((codes, events))
    same = (np.diff(events[order], prepend=-1) == 0) & (np.diff(codes[order], prepend=-1) == 0)
    return np.sort(order[~same])
