"""Touched rows: which rows have changed since they were last taken, and what they were then.

What changes is noted once, before its first change: so taking costs what has changed, and the difference to what was
sent before is known without a copy of all rows. Nothing is noted before rows are taken for the first time, which may be
after a long restore, nor once something is lost: everything is taken then.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Codes, Ints, Mask, distinct_in
from stream_app.core.messages import OWN_ROLES


class RowsBefore(NamedTuple):
    """Rows that have changed, sorted, and what they were before: shape (roles, n) by role."""

    rows: Ints
    totals: Ints
    standings: Codes


class TouchedRows:
    """Notes what rows were before they changed."""

    def __init__(self) -> None:
        self.marks: Mask = np.zeros(64, np.bool_)
        """By row: whether it has changed."""
        self._noted: list[RowsBefore] = []
        self._is_lost = True
        self._roles = OWN_ROLES
        self._taken: list[Ints] | None = None
        """What was taken, for who looks at it afterwards; None if that is everything."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.marks.nbytes + sum(column.nbytes for noted in self._noted for column in noted)

    @property
    def is_any(self) -> bool:
        """Whether there is anything to take."""
        return self._is_lost or bool(self._noted)

    def note(self, rows: Ints, state_of: Callable[[Ints], RowsBefore]) -> None:
        """Note rows that are about to change; `state_of`: what some rows are now."""
        fresh = rows[~self.marks[rows]]
        if len(fresh) and not self._is_lost:
            self._noted.append(state_of(fresh))
            self.marks[fresh] = True

    def widen(self, roles: int) -> None:
        """From now on there are so many roles. Nobody had anything in the new ones."""
        wider = ((0, roles - self._roles), (0, 0))
        self._noted = [
            RowsBefore(rows, np.pad(totals, wider), np.pad(standings, wider)) for rows, totals, standings in self._noted
        ]
        self._roles = roles

    def take(self) -> RowsBefore | None:
        """Return what was noted, and forget it. None at first, and if some of it was lost with rows that are gone."""
        noted, self._noted = self._noted, []
        is_lost, self._is_lost = self._is_lost, False
        for before in noted:
            self.marks[before.rows] = False
        if is_lost:
            self._taken = None
            return None
        if not noted:
            return RowsBefore(
                np.empty(0, np.int64), np.empty((self._roles, 0), np.int64), np.empty((self._roles, 0), np.uint8)
            )
        rows, first = np.unique(np.concatenate([before.rows for before in noted]), return_index=True)
        totals = np.concatenate([before.totals for before in noted], axis=1)
        standings = np.concatenate([before.standings for before in noted], axis=1)
        if self._taken is not None:
            self._taken.append(rows)
            if sum(map(len, self._taken)) > len(self.marks):
                self._taken = None
        return RowsBefore(rows, totals[:, first], standings[:, first])

    def take_again(self) -> Ints | None:
        """Return all rows that were taken since the last call, sorted; None at first, and if some of it was lost."""
        taken, self._taken = self._taken, []
        if taken is None:
            return None
        return distinct_in(np.concatenate(taken)) if taken else np.empty(0, np.int64)

    def lose(self) -> None:
        """Have everything taken next time."""
        self._is_lost, self._noted, self.marks = True, [], np.zeros_like(self.marks)
        self._taken = None

    def renumber(self, kept: Mask, new_rows: Ints) -> None:
        """Row r becomes `new_rows[r]` if it is `kept`; what was noted of others is lost."""
        if np.any(self.marks[: len(kept)] & ~kept):
            self.lose()
        self._taken = None
        self._noted = [
            RowsBefore(new_rows[rows[kept[rows]]], totals[:, kept[rows]], standings[:, kept[rows]])
            for rows, totals, standings in self._noted
        ]
        self.marks = self.marks[: len(kept)][kept]
