"""Watched rows: which users of a ledger the rules have to look at, so that an evaluation costs what has changed.

A standing hangs on the user's value, on θ, its ties and eligibility of the scope, and on pace. So these are due:

- rows that were counted since the last evaluation, and could have a standing;
- watched rows of scopes whose θ, ties or eligibility have changed;
- users who are emerging or fading, or fall short of their standing: for them time goes by;
- all watched rows once a slot of the short window has ended. Within a slot time alone raises nobody: without new events
  the short window only becomes longer, and so the recent rate and z only smaller.

Watched are users with a standing, and those not far below the least value with which they could get one. If that falls
below where watching began, the rows of the scope are looked through once, and watching begins lower. It begins anew
with every pane, for the watched become more and more.
"""

import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask, distinct_in
from stream_app.core.exchange.followed_cuts import LedgerScopes
from stream_app.core.flags.ranked_scopes import RankedScopes
from stream_app.core.flags.standing import EMERGING, FADING, NONE
from stream_app.core.messages import ROLES
from stream_app.core.state.ledger import Ledger

_MARGIN = 0.8
"""Watching begins at this part of the least value."""
_NO_ROWS = np.empty(0, np.int64)


class WatchedRows:
    """The watched rows of one ledger, by role."""

    def __init__(self) -> None:
        self._state: tuple[int, ...] = ()
        self._version = -1
        self._slot = 0
        self._watches = [_Watch(role) for role in range(len(ROLES))]

    def due(self, ledger: Ledger, view: LedgerScopes, ranked: RankedScopes) -> list[Ints]:
        """Return the rows to evaluate now, by role, sorted; `ranked` has been updated."""
        numbers = view.numbers(ledger, ranked.followed)
        pane = ledger.horizon // ledger.window.pane_ms
        state = (ledger.renumbered, ranked.generation, pane, ledger.rows.roles)
        slot = ledger.window.slot(ledger.horizon)
        counted = ledger.rows.take_counted()
        watches = self._watches[: ledger.rows.roles]
        if counted is None or state != self._state:
            found = [watch.begin(ledger, ranked, numbers) for watch in watches]
        else:
            changed = view.places(np.flatnonzero(ranked.changed_at > self._version))
            found = [
                watch.go_on(ledger, ranked, numbers, counted, changed, are_all_due=slot != self._slot)
                for watch in watches
            ]
        self._state, self._version, self._slot = state, ranked.version, slot
        return found


class _Watch:
    """The watched rows of one role."""

    def __init__(self, role: int) -> None:
        self._role = role
        self._rows = _NO_ROWS
        self._marks: Mask = np.zeros(0, np.bool_)
        """By row: whether it is watched."""
        self._least: Floats = np.zeros(0)
        """By scope of the ledger: the value from which its rows are watched."""

    def begin(self, ledger: Ledger, ranked: RankedScopes, numbers: Ints) -> Ints:
        """Watch anew. Everybody who could have a standing is due."""
        least = ranked.least(self._role)[numbers]
        self._least, self._rows = _MARGIN * least, _NO_ROWS
        self._marks = np.zeros(len(ledger.rows), np.bool_)
        self._watch(self._found(ledger, np.arange(len(ledger.rows)), self._least))
        return self._found(ledger, self._rows, least)

    def go_on(
        self, ledger: Ledger, ranked: RankedScopes, numbers: Ints, counted: Ints, changed: Ints, *, are_all_due: bool
    ) -> Ints:
        """Watch what was `counted`, and the scopes that have `changed`; return the rows that are due."""
        least = ranked.least(self._role)
        self._grow(len(ledger.rows), least[numbers[len(self._least) :]])
        lower = changed[least[numbers[changed]] < self._least[changed]]
        if len(lower):
            self._least[lower] = _MARGIN * least[numbers[lower]]
            rows = np.flatnonzero(_are_in(lower, ledger.rows.scopes, len(numbers)))
            self._watch(self._found(ledger, rows, self._least))
        self._watch(self._found(ledger, counted, self._least))
        standings, scopes = ledger.rows.standings[self._role][self._rows], ledger.rows.scopes_of(self._rows)
        is_due = _are_in(changed, scopes, len(numbers)) | (standings == EMERGING) | (standings == FADING)
        due = self._rows if are_all_due else self._rows[is_due]
        rows = distinct_in(np.concatenate([counted, due, ledger.rows.falling_short(self._role)]))
        return rows[self._are_candidates(ledger, rows, least[numbers[ledger.rows.scopes_of(rows)]])]

    def _found(self, ledger: Ledger, rows: Ints, least: Floats) -> Ints:
        """Return those with a standing, or a value from `least` (by scope) on."""
        return rows[self._are_candidates(ledger, rows, least[ledger.rows.scopes_of(rows)])]

    def _are_candidates(self, ledger: Ledger, rows: Ints, least: Floats) -> Mask:
        held = ledger.rows
        found: Mask = (held.standings[self._role][rows] != NONE) | (held.values(self._role)[rows] >= least)
        return found

    def _watch(self, rows: Ints) -> None:
        new = rows[~self._marks[rows]]
        if len(new):
            self._marks[new] = True
            self._rows = np.concatenate([self._rows, new])

    def _grow(self, rows: int, new_least: Floats) -> None:
        if rows > len(self._marks):
            self._marks = np.pad(self._marks, (0, rows - len(self._marks)))
        if len(new_least):
            self._least = np.concatenate([self._least, _MARGIN * new_least])


def _are_in(chosen: Ints, scopes: Ints, count: int) -> Mask:
    """Return which of `scopes` are among the `chosen`, of so many there are."""
    marks = np.zeros(count, np.bool_)
    marks[chosen] = True
    found: Mask = marks[scopes]
    return found
