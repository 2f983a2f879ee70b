"""What a ledger knows of some of its users: who leads a scope, who is in it, and how fast each one goes."""

from collections.abc import Collection, Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.core.evaluation import Pace, pace, spans_of
from stream_app.core.ledger import Ledger
from stream_app.core.scopes import ScopeName
from stream_app.core.standing import EMERGING, NONE

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Question(NamedTuple):
    """Whom to look for in a scope."""

    scope: ScopeName
    role: int
    standings: Collection[int] = ()
    """Codes of the standings asked for; none: all."""
    search: str = ""
    """A part of the user's name, in any case."""
    emerging_first: bool = False


class Found(NamedTuple):
    """Some users of a scope and role, in the order asked for."""

    total: int
    """How many there are."""
    rows: Ints
    """The first of them."""
    emerging: NDArray[np.bool_]
    eta_s: Floats
    """Of those who are emerging; infinite for the others."""


class Paces:
    """How fast the users of a ledger go. The short window is read once, however often it is asked: until it changes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @cached_property
    def _short(self) -> tuple[Ints, Floats, Floats]:
        return self._ledger.short_sums()

    def of(self, role: int, rows: Ints, thresholds: Ints) -> Pace:
        """How fast those of `rows` go towards the threshold of each."""
        posts, impressions, squares = self._short
        value = self._ledger.rows.totals[role][rows]
        if role:
            return pace(
                *(value, thresholds, self._ledger.rows.squares[rows], impressions[rows], squares[rows]),
                spans_of(self._ledger),
            )
        short = posts[rows].astype(np.float64)
        return pace(value, thresholds, value.astype(np.float64), short, short, spans_of(self._ledger))


def find(ledger: Ledger, question: Question, threshold: int, most: int, paces: Paces) -> Found:
    """At most `most` users: the highest values first, or before them those who are emerging, the soonest first."""
    rows = _rows(ledger, question)
    role, total = question.role, len(rows)
    emerging = (ledger.rows.standings[role][rows] == EMERGING) & question.emerging_first
    soon, others = rows[emerging], _highest(ledger.rows.totals[role], rows[~emerging], most)
    eta_s = paces.of(role, soon, np.full(len(soon), threshold)).eta_s if len(soon) else np.empty(0)
    order = np.lexsort((-ledger.rows.totals[role][soon], eta_s))
    return Found(
        total,
        np.concatenate([soon[order], others])[:most],
        np.repeat([True, False], [len(soon), len(others)])[:most],
        np.concatenate([eta_s[order], np.full(len(others), np.inf)])[:most],
    )


def rows_of(ledger: Ledger, users: Iterable[str], scope: ScopeName | None = None) -> Ints:
    """The rows of some users: in one scope, or in each with anything in the window, or a standing."""
    known = (number for user in users if (number := ledger.users.get(user)) is not None)
    numbers = np.fromiter(known, np.int64)
    if scope is None:
        return np.flatnonzero(np.isin(ledger.rows.users, numbers) & ~ledger.rows.dead())
    if (number := _number(ledger, scope)) is None:
        return np.empty(0, np.int64)
    rows = ledger.rows.find(np.full(len(numbers), number), numbers)
    return rows[rows >= 0]


def _highest(totals: Ints, rows: Ints, most: int) -> Ints:
    """The `most` of `rows` with the highest totals, in that order; of equals those that come first."""
    values = totals[rows]
    if len(rows) > most:  # only those who may be among them are sorted: there are many more
        held = values >= np.partition(values, -most)[-most]
        rows, values = rows[held], values[held]
    return rows[np.argsort(-values, kind="stable")][:most]


def _rows(ledger: Ledger, question: Question) -> Ints:
    """The rows that fit the question, in no order."""
    number = _number(ledger, question.scope)
    if number is None:
        return np.empty(0, np.int64)
    totals, standings = ledger.rows.totals[question.role], ledger.rows.standings[question.role]
    fits = (ledger.rows.scopes == number) & ((totals > 0) | (standings != NONE))
    if question.standings:
        fits &= np.isin(standings, list(question.standings))
    rows = np.flatnonzero(fits)
    if not question.search:
        return rows
    names, wanted = ledger.users.names, question.search.casefold()
    users = ledger.rows.users[rows].tolist()
    return rows[np.fromiter((wanted in names[user].casefold() for user in users), np.bool_, len(users))]


def _number(ledger: Ledger, scope: ScopeName) -> int | None:
    """The number of a scope in the ledger: asking for one that is not there must not make it."""
    try:
        return ledger.scopes.names().index(scope)
    except ValueError:
        return None
