"""Curve deltas: what a ledger's curves have gained and lost since it was last asked.

The problem: a curve holds the values of all its users, and an event moves one of them. Whole curves, sent with every
change, cost what exists and not what changed.

How: the rows that changed are known with what they were before (`touched`). Each is taken out of the cell that it was
in and put into the one where it is now. Which one that is hangs on the form of the curve: exact, each value for itself,
or binned but near θ. When the form must change, because the curve has grown or θ has moved, all of the curve is sent.

    row 17 in scope 3: 41 → 43 impressions     ──▶  curve 3 · connector: cell 41 one user fewer, cell 43 one more
    θ of scope 3 has moved by more than a bin  ──▶  curve 3 · connector is replaced, all cells of it follow

How many users of a scope have a standing travels in the same cells, under two values that no user can have.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Codes, Ints, Mask, distinct_in
from stream_app.core.cuts.histogram import EXACT_BINS, EXACT_USERS, NO_BIN, Cells, bin_floors, bins_of
from stream_app.core.flags.standing import EMERGING, ENTERED
from stream_app.core.messages import ROLE_BITS, ROLE_MASK
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

FLAGGED, EMERGED = -1, -2
"""The values of cells that count users whose standing is entered or fading, and those who are emerging."""
_LARGE_USERS = EXACT_USERS * 5 // 4
"""A curve of more users in a partition becomes binned; with no more than EXACT_USERS it is exact again."""
_MOST_MOVED = EXACT_BINS - 1
"""By so many bins θ may move before a binned curve is replaced."""
MOST_VALUE = 2**34
"""More counts as this: twice mankind. Or those who claim it often would take the sums of all beyond bounds."""
_EXACT = -(2**15)
"""The form of a curve that is not binned."""

Thresholds = Callable[[Ints], Ints]
"""The present θ of curves, 0 where it is unknown."""


class CurveDelta(NamedTuple):
    """What has changed in the curves of a ledger. A curve is scope << ROLE_BITS | role, by its own scope numbers."""

    is_everything: bool
    """Nothing that was sent before holds any more; all that there is follows."""
    replaced: Ints
    """Curves of which nothing that was sent before holds any more; all of them follows."""
    cells: Cells
    """Additions; negative ones take users out of a cell."""


class CurveDeltas:
    """Knows the forms in which the curves of one ledger were sent."""

    def __init__(self) -> None:
        self._sizes = np.zeros(0, np.int32)
        """Users with a value, by curve."""
        self._forms = np.zeros(0, np.int16)
        """By curve: the bin of θ that it was binned for, NO_BIN where none was known, or _EXACT."""
        self._binned = np.zeros(0, np.int64)
        """The curves that are binned: few, each has thousands of rows."""
        self._names: list[ScopeName] = []
        self._renumbered = -1
        self.users = 0
        """Users with something in the window, as of the last `collect`; a user of two populations counts twice."""

    def collect(self, ledger: Ledger, thresholds: Thresholds) -> CurveDelta:
        """Return what has changed since the last call; everything, at the first one."""
        before = ledger.rows.take_touched()
        if before is None:
            return self._everything(ledger, thresholds)
        rows = _Rows.of(ledger, before.rows)
        gained = (rows.values > 0).astype(np.int32) - (before.totals > 0)
        if not self._has_renumbered(ledger):
            self._make_room(ledger)
            np.add.at(self._sizes, rows.curves, gained)
            everybody = _are_everybody(ledger, before.rows)
            there, were_there = (rows.values > 0).any(axis=0), (before.totals > 0).any(axis=0)
            self.users += int(np.count_nonzero(there & everybody) - np.count_nonzero(were_there & everybody))
        replaced = self._reform(distinct_in(rows.curves[gained != 0]), thresholds)
        stays = ~np.isin(rows.curves, replaced)
        was = _Rows(rows.curves, np.minimum(before.totals, MOST_VALUE), before.standings)
        added = [*self._cells(rows.at(stays), 1), *self._cells(was.at(stays), -1)]
        if len(replaced):
            added += self._cells(_Rows.of_curves(ledger, replaced), 1)
        return CurveDelta(is_everything=False, replaced=replaced, cells=_summed(added))

    def whole(self, ledger: Ledger, scopes: Mask) -> CurveDelta:
        """Return everything about some scopes, as it was at the last `collect`, for who has not heard of it.

        To be called after `collect`, before anything else is counted.
        """
        rows = _Rows.of(ledger, np.flatnonzero(scopes[ledger.rows.scopes]))
        return CurveDelta(is_everything=True, replaced=np.empty(0, np.int64), cells=_summed(self._cells(rows, 1)))

    def _everything(self, ledger: Ledger, thresholds: Thresholds) -> CurveDelta:
        self._begin(ledger)
        self._reform(np.flatnonzero(self._sizes > _LARGE_USERS), thresholds)
        rows = _Rows.of(ledger, np.arange(len(ledger.rows)))
        return CurveDelta(is_everything=True, replaced=np.empty(0, np.int64), cells=_summed(self._cells(rows, 1)))

    def _begin(self, ledger: Ledger) -> None:
        rows = _Rows.of(ledger, np.arange(len(ledger.rows)))
        self._names, self._renumbered = ledger.scopes.names(), ledger.renumbered
        sizes = np.bincount(rows.curves[rows.values > 0], minlength=len(ledger.scopes) << ROLE_BITS)
        self._sizes = sizes.astype(np.int32)
        self._forms, self._binned = np.full(len(sizes), _EXACT, np.int16), np.empty(0, np.int64)
        there = (rows.values > 0).any(axis=0) & _are_everybody(ledger, np.arange(len(ledger.rows)))
        self.users = int(np.count_nonzero(there))

    def _has_renumbered(self, ledger: Ledger) -> bool:
        """Find the curves again if scopes were renumbered, with their present sizes. Return whether they were."""
        if self._renumbered == ledger.renumbered:
            return False
        forms = self._forms[self._binned].tolist()
        names = [(self._names[curve >> ROLE_BITS], curve & ROLE_MASK) for curve in self._binned.tolist()]
        self._begin(ledger)
        for (name, role), form in zip(names, forms, strict=True):
            if (scope := ledger.scopes.find(name)) is not None:
                self._forms[scope << ROLE_BITS | role] = form
        self._binned = np.flatnonzero(self._forms != _EXACT)
        return True

    def _make_room(self, ledger: Ledger) -> None:
        more = (len(ledger.scopes) << ROLE_BITS) - len(self._sizes)
        if more > 0:
            self._sizes = np.concatenate([self._sizes, np.zeros(more, np.int32)])
            self._forms = np.concatenate([self._forms, np.full(more, _EXACT, np.int16)])

    def _reform(self, curves: Ints, thresholds: Thresholds) -> Ints:
        """Change the form of curves that have another size or another θ than their form fits; return these, sorted."""
        asked = distinct_in(np.concatenate([curves, self._binned]))
        sizes, forms, bins = self._sizes[asked], self._forms[asked], _bins_near(thresholds(asked))
        is_binned = forms != _EXACT
        fits = np.where(
            is_binned,
            (sizes > EXACT_USERS) & (np.abs(bins - forms) <= _MOST_MOVED),
            sizes <= _LARGE_USERS,
        )
        replaced = asked[~fits]
        self._forms[replaced] = np.where(sizes[~fits] > EXACT_USERS, bins[~fits], _EXACT)
        self._binned = asked[self._forms[asked] != _EXACT]
        return replaced

    def _cells(self, rows: "_Rows", sign: int) -> list[Cells]:
        """Return the cells of rows; `sign`: whether they are put in or taken out."""
        there = rows.at(rows.values > 0)
        bins, forms = bins_of(there.values), self._forms[there.curves]
        is_exact = (forms == _EXACT) | (np.abs(bins - forms) <= EXACT_BINS)
        values = np.where(is_exact, there.values, bin_floors(bins))
        counted = [Cells(there.curves, values, np.full(len(values), sign), sign * there.values)]
        for value, chosen in ((FLAGGED, rows.standings >= ENTERED), (EMERGED, rows.standings == EMERGING)):
            curves = rows.curves[chosen]
            same = (len(curves),)
            counted.append(Cells(curves, np.full(same, value), np.full(same, sign), np.zeros(same, np.int64)))
        return counted


class _Rows(NamedTuple):
    """The curves, values and standings of rows in all roles: of shape (roles, n), or any part of that."""

    curves: Ints
    values: Ints
    standings: Codes

    @classmethod
    def of(cls, ledger: Ledger, rows: Ints) -> "_Rows":
        roles = ledger.rows.roles
        curves = ledger.rows.scopes_of(rows) << ROLE_BITS | np.arange(roles)[:, np.newaxis]
        values = np.minimum(ledger.rows.totals_of(rows), MOST_VALUE)
        return cls(curves, values, ledger.rows.standings[:roles, rows])

    @classmethod
    def of_curves(cls, ledger: Ledger, curves: Ints) -> "_Rows":
        found = cls.of(ledger, np.flatnonzero(np.isin(ledger.rows.scopes, curves >> ROLE_BITS)))
        return found.at(np.isin(found.curves, curves))

    def at(self, chosen: Mask) -> "_Rows":
        return _Rows(self.curves[chosen], self.values[chosen], self.standings[chosen])


def _are_everybody(ledger: Ledger, rows: Ints) -> Mask:
    """Return which rows are of the scope of all topics: each user has one."""
    return ledger.scopes.are_everybody(ledger.rows.scopes_of(rows))


def _bins_near(thresholds: Ints) -> Ints:
    return np.where(thresholds > 0, bins_of(np.maximum(thresholds, 1)), NO_BIN)


def _summed(cells: Sequence[Cells]) -> Cells:
    """Return the sum of cells; those that add nothing are left out."""
    curves, values, users, totals = (np.concatenate(columns) for columns in zip(*cells, strict=True))
    order = np.lexsort((values, curves))
    curves, values = curves[order], values[order]
    starts = np.flatnonzero(np.diff(curves, prepend=-1) | np.diff(values, prepend=-3))
    users, totals = np.add.reduceat(users[order], starts), np.add.reduceat(totals[order], starts)
    some = (users != 0) | (totals != 0)
    return Cells(curves[starts][some], values[starts][some], users[some], totals[some])
