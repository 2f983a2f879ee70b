"""Followed cuts: the cuts of scopes at home anywhere, as published there, for any worker to hold its users against.

They are columns by the number of a scope, like those of a home, and say which scopes have changed, so that an
evaluation looks at these only.
"""

import numpy as np

from stream_app.core.arrays import Ints, distinct_in
from stream_app.core.cuts.curve_points import ranks_of
from stream_app.core.cuts.scope_cuts import ScopeCuts, ScopeIntervals
from stream_app.core.exchange.curve_deltas import Thresholds
from stream_app.core.exchange.cut_record import CutRecord, points_in
from stream_app.core.messages import ROLE_BITS, ROLE_MASK, ROLES
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

_UNUSED_KEPT = 10_000
"""Scopes without a record that may keep their numbers before all scopes are renumbered."""
_NO_SCOPE = ScopeName("", "")
_NO_POINTS = np.empty((0, 3), np.int64)


class FollowedCuts:
    """The cuts that are known. A number is valid for one `generation`; number 0 is no scope, without users."""

    def __init__(self) -> None:
        self._numbers: dict[ScopeName, int] = {}
        self.names: list[ScopeName] = [_NO_SCOPE]
        self.cuts = ScopeCuts.empty(64)
        self.intervals = ScopeIntervals.empty(64)
        self._points: list[list[Ints] | None] = [None]
        """By scope, of the roles in its record: columns (value, users above, their total); None without a record."""
        self._records = 0
        self._changed_at = np.zeros(64, np.int64)
        """By scope: the version in which it changed last."""
        self.version = 0
        """Increases whenever a cut changes."""
        self.generation = 0

    def __len__(self) -> int:
        """How many scopes have a record."""
        return self._records

    def take(self, scope: ScopeName, record: CutRecord | None) -> None:
        """Take what a home has published; None where the scope has no record any more."""
        if record is None and scope not in self._numbers:
            return
        number = self._number(scope)
        self.version += 1
        self._changed_at[number] = self.version
        nothing = (0,) * (len(ROLES) - (0 if record is None else len(record.users)))
        for name, column in (self.cuts._asdict() | self.intervals._asdict()).items():
            column[:, number] = nothing if record is None else getattr(record, name) + nothing
        self._records += (record is not None) - (self._points[number] is not None)
        self._points[number] = (
            None if record is None else [points_in(record, role) for role in range(len(record.points))]
        )

    def find(self, scope: ScopeName) -> int:
        """Return the number of a scope; 0 if it is unknown."""
        return self._numbers.get(scope, 0)

    def has(self, scope: ScopeName) -> bool:
        """Return whether a scope has a record."""
        return self._points[self.find(scope)] is not None

    def points(self, scope: ScopeName, role: int) -> Ints:
        """Return the points of a curve as columns (value, users above, their total); none if it is unknown."""
        known = self._points[self.find(scope)]
        return _NO_POINTS if known is None or role >= len(known) else known[role]

    def changed_since(self, version: int) -> Ints:
        """Return the scopes that have changed after a version."""
        return np.flatnonzero(self._changed_at[: len(self.names)] > version)

    def ranks(self, numbers: Ints, roles: Ints, values: Ints) -> Ints:
        """Return the estimated rank of each value in its scope and role."""
        curves = numbers << ROLE_BITS | roles
        found = np.ones(len(values), np.int64)
        for curve in distinct_in(curves).tolist():
            asked, known = curves == curve, self._points[curve >> ROLE_BITS]
            if known is not None and (role := curve & ROLE_MASK) < len(known):
                points = known[role]
                found[asked] = ranks_of(values[asked], points[:, 0], points[:, 1])
        return found

    def forget_unused(self) -> None:
        """Renumber the scopes once many of them have no record any more."""
        used = [number for number, points in enumerate(self._points) if points is not None]
        if len(self.names) - len(used) <= max(_UNUSED_KEPT, len(used)):
            return
        kept = np.array([0, *used], np.int64)
        self._points = [self._points[number] for number in kept.tolist()]
        self.names = [self.names[number] for number in kept.tolist()]
        self._numbers = {name: number for number, name in enumerate(self.names) if number}
        self.cuts, self.intervals = self.cuts.of(kept), self.intervals.of(kept)
        self._changed_at = self._changed_at[kept]
        self.generation += 1

    def _number(self, scope: ScopeName) -> int:
        number = self._numbers.get(scope)
        if number is not None:
            return number
        number = self._numbers[scope] = len(self.names)
        self.names.append(scope)
        self._points.append(None)
        self.cuts = self.cuts.reaching(len(self.names))
        size = self.cuts.users.shape[1]
        if size > len(self._changed_at):
            self.intervals = self.intervals.reaching(size)
            self._changed_at = np.pad(self._changed_at, (0, size - len(self._changed_at)))
        return number


class LedgerScopes:
    """Which followed scope each scope of one ledger is."""

    def __init__(self) -> None:
        self._state = (-1, -1)
        self._followed = 1
        self._numbers = np.empty(0, np.int64)
        self._places = np.empty(0, np.int64)
        """By the number of a followed scope: its number in the ledger, -1 where it is not there."""

    def numbers(self, ledger: Ledger, followed: FollowedCuts) -> Ints:
        """Return the number of each scope of the ledger among the followed ones, 0 where it is not followed."""
        state = (ledger.renumbered, followed.generation)
        if state != self._state:
            self._state, self._followed = state, len(followed.names)
            self._numbers, self._places = np.empty(0, np.int64), np.empty(0, np.int64)
        self._make_room(len(followed.names))
        for number, name in enumerate(followed.names[self._followed :], start=self._followed):
            place = ledger.scopes.find(name)
            if place is not None and place < len(self._numbers):
                self._numbers[place], self._places[number] = number, place
        self._followed = len(followed.names)
        known = len(self._numbers)
        if known < len(ledger.scopes):
            new = np.array(list(map(followed.find, ledger.scopes.names()[known:])), np.int64)
            self._numbers = np.concatenate([self._numbers, new])
            is_followed = new > 0
            self._places[new[is_followed]] = known + np.flatnonzero(is_followed)
        return self._numbers

    def places(self, numbers: Ints) -> Ints:
        """Return which scopes of the ledger these followed ones are, as of the last call of `numbers`."""
        places = self._places[numbers]
        return places[places >= 0]

    def _make_room(self, size: int) -> None:
        more = size - len(self._places)
        if more > 0:
            self._places = np.pad(self._places, (0, more), constant_values=-1)

    def thresholds(self, ledger: Ledger, followed: FollowedCuts) -> Thresholds:
        """Return the function that knows the present θ of the curves of the ledger."""
        numbers = self.numbers(ledger, followed)

        def thresholds(curves: Ints) -> Ints:
            found: Ints = followed.cuts.thresholds[curves & ROLE_MASK, numbers[curves >> ROLE_BITS]]
            return found

        return thresholds
