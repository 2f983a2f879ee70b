"""User queries on a partition: the users of a scope, filtered and ranked; the standing and pace of single users."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.flags.evaluation import Pace, pace_of, spans_of
from stream_app.core.flags.standing import EMERGING, NONE
from stream_app.core.messages import ROLES, Role
from stream_app.core.queries.pane_series import PackedPane, Series, open_panes, packed_panes
from stream_app.core.signals.facts import Fact, are_marked
from stream_app.core.signals.stored.signal_log import SignalLog
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName


class UserQuery(NamedTuple):
    """A query for users of a scope."""

    scope: ScopeName
    role: int
    standings: Collection[int] = ()
    """Codes of the standings to return; empty for all."""
    search: str = ""
    """A substring of the user id, case-insensitive."""
    without_marked: bool = False
    """Leave out users about whom the signals have a fact."""
    emerging_first: bool = False


class ListedUser(NamedTuple):
    """A user in a list."""

    user: str
    value: int
    is_emerging: bool
    eta_s: float | None
    """ETA of an emerging user who is on course to θ."""


class UserList(NamedTuple):
    """Some users of a scope and role, in the requested order."""

    total: int
    """Number of matching users."""
    first: list[ListedUser]


class UserLookup(NamedTuple):
    """Users to look up: everywhere, or in one scope; in some roles."""

    users: Collection[str]
    scope: ScopeName | None = None
    roles: Collection[Role] = ROLES


class FoundUser(NamedTuple):
    """A user in one scope and role; rates per second."""

    user: str
    scope: ScopeName
    role: Role
    value: int
    rank: int
    standing: int
    """Its code."""
    threshold: int
    borderline: bool
    """The value is inside the interval of θ."""
    share: float
    short_rate: float
    past_rate: float
    rate_error: float
    z: float
    events: float
    amplified: int | None
    """Impressions of others' shares of the user's posts, beside the user's own; None in the other roles."""
    eta_s: float
    """Infinite when the value is not on course to θ."""
    signals: list[Fact]
    trusted: float
    """The part of the value that the signals leave."""


class UserQueries:
    """Queries on the users of a ledger. Caches expensive reads, so it is valid only until the ledger changes."""

    def __init__(self, ledger: Ledger, followed: FollowedCuts, signals: SignalLog | None = None) -> None:
        """Without `signals` nothing is noticed about anybody."""
        self._signals = signals or SignalLog()
        self._ledger = ledger
        self._followed = followed

    def find(self, query: UserQuery, most: int) -> UserList:
        """Return at most `most` users, highest value first; with `emerging_first`, emerging users by ETA come first."""
        rows, role = self._rows(query), query.role
        threshold = self._threshold(query.scope, role)
        totals = self._ledger.rows.values(role)
        emerging = (self._ledger.rows.standings[role][rows] == EMERGING) & query.emerging_first
        soon, others = rows[emerging], _highest(totals, rows[~emerging], most)
        eta_s = self.paces(role, soon, np.full(len(soon), threshold)).eta_s if len(soon) else np.empty(0)
        order = np.lexsort((-totals[soon], eta_s))
        first = np.concatenate([soon[order], others])[:most]
        etas = [eta if eta < np.inf else None for eta in eta_s[order].tolist()] + [None] * len(others)
        names, users = self._ledger.users.names, self._ledger.rows.users_of(first).tolist()
        columns = zip(users, totals[first].tolist(), range(len(first)), strict=True)
        return UserList(
            len(rows),
            [ListedUser(names[user], value, place < len(soon), etas[place]) for user, value, place in columns],
        )

    def look_up(self, lookups: Sequence[UserLookup]) -> Iterator[tuple[int, FoundUser]]:
        """Yield the users found, each with the number of its lookup. Many lookups at once cost little more than one."""
        rows = [self.rows_of(one.users, one.scope) for one in lookups]
        for role, name in enumerate(ROLES):
            of_role = [number for number, one in enumerate(lookups) if name in one.roles]
            if not of_role:
                continue
            numbers = np.repeat(of_role, [len(rows[number]) for number in of_role])
            there = np.concatenate([rows[number] for number in of_role])
            held = self._is_held(role, there)
            yield from zip(numbers[held].tolist(), self._described(role, there[held]), strict=True)

    def known(self, users: Iterable[str]) -> set[str]:
        """Return those of some users who are in this partition."""
        return {user for user in users if user in self._ledger.users}

    def open_panes(self, lookups: Sequence[UserLookup]) -> Series:
        """Return what the users of some lookups made in the panes that are not packed."""
        return open_panes(self._ledger, np.concatenate([self.rows_of(one.users, one.scope) for one in lookups]))

    def packed_panes(self) -> list[PackedPane]:
        """Return the panes whose content is only in their stored segments."""
        return list(packed_panes(self._ledger))

    def rows_of(self, users: Iterable[str], scope: ScopeName | None = None) -> Ints:
        """Return the rows of some users: in one scope, or in all scopes where they have counts or a standing."""
        ledger = self._ledger
        known = (number for user in users if (number := ledger.users.get(user)) is not None)
        numbers = np.fromiter(known, np.int64)
        if scope is None:
            return np.flatnonzero(np.isin(ledger.rows.users, numbers) & ~ledger.rows.dead())
        if (number := ledger.scopes.find(scope)) is None:
            return np.empty(0, np.int64)
        rows: Ints = ledger.rows.find(np.full(len(numbers), number), numbers)
        return rows[rows >= 0]

    def paces(self, role: int, rows: Ints, thresholds: Ints) -> Pace:
        """Return the pace of the users of `rows` towards `thresholds`, one for each row."""
        return pace_of(self._ledger, role, rows, thresholds, self._ledger.moments(rows), spans_of(self._ledger))

    def _described(self, role: int, rows: Ints) -> Iterator[FoundUser]:
        if not len(rows):
            return
        held, all_names = self._ledger.rows, self._ledger.scopes.names()
        scopes = [all_names[number] for number in held.scopes_of(rows).tolist()]
        users = self._names(rows)
        numbers_ = np.fromiter(map(self._followed.find, scopes), np.int64)
        cuts, intervals = self._followed.cuts.of(numbers_), self._followed.intervals.of(numbers_)
        values, thresholds = held.values(role)[rows].astype(np.int64), cuts.thresholds[role]
        low, high = intervals.threshold_low[role], intervals.threshold_high[role]
        shares = np.where(cuts.totals[role] > 0, values / np.maximum(cuts.totals[role], 1), 0.0)
        going = self.paces(role, rows, thresholds)
        going = going._replace(eta_s=np.where(thresholds > 0, going.eta_s, np.inf))
        noticed = self._signals.noticed(users, self._ledger.event_key)
        columns = (
            *(values, self._followed.ranks(numbers_, np.full(len(scopes), role), values)),
            *(held.standings[role][rows], thresholds, (low > 0) & (low <= values) & (values <= high), shares),
            *(going.short, going.past, going.error, going.z, going.moments),
        )
        is_of_impressions = ROLES[role] is Role.CONNECTOR
        amplified = held.amplified[rows].tolist() if is_of_impressions else [None] * len(rows)
        lists = [*(column.tolist() for column in columns), amplified, going.eta_s.tolist(), *noticed]
        for user, scope, *numbers in zip(users, scopes, *lists, strict=True):
            yield FoundUser(user, scope, ROLES[role], *numbers)

    def _threshold(self, scope: ScopeName, role: int) -> int:
        return int(self._followed.cuts.thresholds[role, self._followed.find(scope)])

    def _is_held(self, role: int, rows: Ints) -> Mask:
        """Which rows have a value or a standing."""
        held: Mask = (self._ledger.rows.values(role)[rows] > 0) | (self._ledger.rows.standings[role][rows] != NONE)
        return held

    @cached_property
    def _scopes(self) -> Ints:
        return self._ledger.rows.scopes

    def _rows(self, query: UserQuery) -> Ints:
        """The rows that fit the query, in order."""
        if (number := self._ledger.scopes.find(query.scope)) is None:
            return np.empty(0, np.int64)
        rows: Ints = np.flatnonzero(self._scopes == number)
        standings = self._ledger.rows.standings[query.role][rows]
        fits = self._is_held(query.role, rows)
        if query.standings:
            fits &= np.isin(standings, list(query.standings))
        rows = rows[fits]
        if query.search:
            wanted = query.search.casefold()
            rows = rows[np.array([wanted in name.casefold() for name in self._names(rows)], np.bool_)]
        if query.without_marked:
            rows = rows[~are_marked(self._signals.measured(self._names(rows), self._ledger.event_key))]
        return rows

    def _names(self, rows: Ints) -> list[str]:
        names = self._ledger.users.names
        return [names[user] for user in self._ledger.rows.users_of(rows).tolist()]


def _highest(totals: Ints, rows: Ints, most: int) -> Ints:
    """Return the `most` of `rows` with the highest totals, highest first; ties keep their order."""
    values = totals[rows]
    if len(rows) > most > 0:  # sort only the candidates: there are many more rows
        held = values >= np.partition(values, -most)[-most]
        rows, values = rows[held], values[held]
    return rows[np.argsort(-values, kind="stable")][:most]
