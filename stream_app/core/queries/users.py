"""User queries on a ledger: the users of a scope, filtered and ranked, and the pace of each."""

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.core.flags.evaluation import Pace, pace, spans_of
from stream_app.core.flags.standing import EMERGING, NONE
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class UserQuery(NamedTuple):
    """A query for users of a scope."""

    scope: ScopeName
    role: int
    standings: Collection[int] = ()
    """Codes of the standings to return; empty for all."""
    search: str = ""
    """A substring of the user id, case-insensitive."""
    emerging_first: bool = False


class UserList(NamedTuple):
    """Some users of a scope and role, in the requested order."""

    total: int
    """Number of matching users."""
    rows: Ints
    """The rows of the first of them."""
    emerging: NDArray[np.bool_]
    eta_s: Floats
    """ETA of emerging users; infinite for the others."""


class UserQueries:
    """Queries on the users of a ledger. Caches expensive reads, so it is valid only until the ledger changes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def find(self, question: UserQuery, threshold: int, most: int) -> UserList:
        """Return at most `most` users, highest value first; with `emerging_first`, emerging users by ETA come first."""
        rows, role = self._rows(question), question.role
        totals = self._ledger.rows.totals[role]
        emerging = (self._ledger.rows.standings[role][rows] == EMERGING) & question.emerging_first
        soon, others = rows[emerging], _highest(totals, rows[~emerging], most)
        eta_s = self.paces(role, soon, np.full(len(soon), threshold)).eta_s if len(soon) else np.empty(0)
        order = np.lexsort((-totals[soon], eta_s))
        return UserList(
            len(rows),
            np.concatenate([soon[order], others])[:most],
            np.repeat([True, False], [len(soon), len(others)])[:most],
            np.concatenate([eta_s[order], np.full(len(others), np.inf)])[:most],
        )

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
        posts, impressions, squares = self._short
        held = self._ledger.rows
        value, spans = held.totals[role][rows], spans_of(self._ledger)
        if role:
            return pace(value, thresholds, held.squares[rows], impressions[rows], squares[rows], spans)
        short = posts[rows].astype(np.float64)
        return pace(value, thresholds, value.astype(np.float64), short, short, spans)

    @cached_property
    def _short(self) -> tuple[Ints, Floats, Floats]:
        return self._ledger.short_sums()

    @cached_property
    def _scopes(self) -> Ints:
        return self._ledger.rows.scopes

    def _rows(self, question: UserQuery) -> Ints:
        """Return the rows that match the query, in order."""
        if (number := self._ledger.scopes.find(question.scope)) is None:
            return np.empty(0, np.int64)
        rows: Ints = np.flatnonzero(self._scopes == number)
        standings = self._ledger.rows.standings[question.role][rows]
        fits = (self._ledger.rows.totals[question.role][rows] > 0) | (standings != NONE)
        if question.standings:
            fits &= np.isin(standings, list(question.standings))
        rows = rows[fits]
        if not question.search:
            return rows
        names, wanted = self._ledger.users.names, question.search.casefold()
        users = self._ledger.rows.users[rows].tolist()
        return rows[np.fromiter((wanted in names[user].casefold() for user in users), np.bool_, len(users))]


def _highest(totals: Ints, rows: Ints, most: int) -> Ints:
    """Return the `most` of `rows` with the highest totals, highest first; ties keep their order."""
    values = totals[rows]
    if len(rows) > most > 0:  # sort only the candidates: there are many more rows
        held = values >= np.partition(values, -most)[-most]
        rows, values = rows[held], values[held]
    return rows[np.argsort(-values, kind="stable")][:most]
