"""What a ledger knows of some of its users: who leads a scope, who is in it, and how fast each one goes."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream_app.core.evaluation import Pace, pace, spans_of
from stream_app.core.ledger import Ledger
from stream_app.core.panes import joined
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


def find(ledger: Ledger, question: Question, threshold: int, most: int) -> Found:
    """At most `most` users: the highest values first, or before them those who are emerging, the soonest first."""
    rows = _rows(ledger, question)
    role, total = question.role, len(rows)
    emerging = (ledger.rows.standings[role][rows] == EMERGING) & question.emerging_first
    soon, others = rows[emerging], _highest(ledger.rows.totals[role], rows[~emerging], most)
    eta_s = paces(ledger, role, soon, np.full(len(soon), threshold)).eta_s
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


def paces(ledger: Ledger, role: int, rows: Ints, thresholds: Ints) -> Pace:
    """How fast the users of `rows` (distinct) go towards the threshold of each."""
    short, squares = _short_sums(ledger, role, rows)
    value = ledger.rows.totals[role][rows]
    all_squares = ledger.rows.squares[rows] if role else value.astype(np.float64)
    return pace(value, thresholds, all_squares, short, squares, spans_of(ledger))


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


def _short_sums(ledger: Ledger, role: int, rows: Ints) -> tuple[Floats, Floats]:
    """What each of `rows` made in the short window: the sum, and the sum of the squares of the single events."""
    places = np.full(len(ledger.rows), -1, np.int64)
    places[rows] = np.arange(len(rows))
    first = ledger.short_start_ms // ledger.pane_ms
    recent = joined([chunk for number, pane in ledger.panes.items() if number >= first for chunk in pane.chunks])
    held = places[recent.rows]
    of_them = held >= 0
    made = (recent.impressions if role else recent.posts)[of_them].astype(np.float64)
    squares = recent.squares[of_them] if role else made
    sums = (np.bincount(held[of_them], weights, len(rows)) for weights in (made, squares))
    short, short_squares = (column.astype(np.float64, copy=False) for column in sums)
    return short, short_squares
