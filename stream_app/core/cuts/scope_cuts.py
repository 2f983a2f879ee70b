"""Scope cuts: the cuts of many scopes as columns, by role and by the number of the scope; and their intervals."""

from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Codes, Floats, Hashes, Ints, Mask
from stream_app.core.messages import ROLES

MOST_USERS = 2**31 - 1
"""Of a scope: more are not counted by anybody. Numbers of users take half the room of other numbers."""
_ODD, _FOLD = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
"""What hashes are mixed with: 2^64 / golden ratio."""


class ScopeCuts(NamedTuple):
    """The cuts of n scopes: arrays of shape (roles, n), by role. Zero if a scope has no user with a value."""

    users: Ints
    totals: Ints
    k: Ints
    thresholds: Ints
    ties: Ints
    flagged: Ints
    emerging: Ints
    coverage: Floats
    gini: Floats
    exact: Mask
    ranking: Codes
    """Whether users of the scope can be flagged, see `core/flags/ranking.py`."""
    ranked_s: Ints
    """Event time since which the scope is ranked, epoch s; 0 if it is not."""

    @classmethod
    def empty(cls, size: int) -> "ScopeCuts":
        """Return empty cuts for `size` scopes."""
        shape = (len(ROLES), size)
        users, k, ties, flagged, emerging = (np.zeros(shape, np.int32) for _ in range(5))
        totals, thresholds = (np.zeros(shape, np.int64) for _ in range(2))
        coverage, gini = (np.zeros(shape) for _ in range(2))
        exact = np.ones(shape, np.bool_)
        ranking, ranked_s = np.zeros(shape, np.uint8), np.zeros(shape, np.uint32)
        columns: list[Any] = [users, totals, k, thresholds, ties, flagged, emerging, coverage, gini, exact]
        return cls(*[*columns, ranking, ranked_s])

    def clear(self, roles: Ints, scopes: Ints) -> None:
        """Empty the cuts of some curves."""
        pairs: list[tuple[Any, Any]] = list(zip(self, ScopeCuts.empty(1), strict=True))
        for column, blank in pairs:
            column[roles, scopes] = blank[0, 0]

    def of(self, scopes: Ints) -> "ScopeCuts":
        """Return the cuts of some scopes, by number."""
        columns: list[Any] = [column[:, scopes] for column in self]
        return ScopeCuts(*columns)

    def reaching(self, size: int) -> "ScopeCuts":
        """Return these cuts with room for at least `size` scopes."""
        known = self.users.shape[1]
        if size <= known:
            return self
        wider = ScopeCuts.empty(max(size, known * 9 // 8))
        pairs: list[tuple[Any, Any]] = list(zip(wider, self, strict=True))
        for column, before in pairs:
            column[:, :known] = before
        return wider

    def hashes(self) -> Hashes:
        """Return a hash of the cuts of each scope. Cuts that differ in one number never have the same."""
        mixed = np.zeros(self.users.shape[1], np.uint64)
        for column in self:
            # Adding 0.0 makes -0.0 the 0.0 that it equals.
            bits = (column + 0.0).view(np.uint64) if column.dtype.kind == "f" else column.astype(np.uint64)
            for values in bits:
                mixed = (mixed ^ values) * _ODD
                mixed ^= mixed >> _FOLD
        return mixed


class ScopeIntervals(NamedTuple):
    """The 95 % intervals of k and θ of n scopes: arrays of shape (roles, n), by role. Zero where they are unknown."""

    k_low: Ints
    k_high: Ints
    threshold_low: Ints
    threshold_high: Ints

    @classmethod
    def empty(cls, size: int) -> "ScopeIntervals":
        """Return unknown intervals for `size` scopes."""
        columns: list[Any] = [np.zeros((len(ROLES), size), kind) for kind in (np.int32, np.int32, np.int64, np.int64)]
        return cls(*columns)

    def of(self, scopes: Ints) -> "ScopeIntervals":
        """Return the intervals of some scopes, by number."""
        columns: list[Any] = [column[:, scopes] for column in self]
        return ScopeIntervals(*columns)

    def reaching(self, size: int) -> "ScopeIntervals":
        """Return these intervals with room for `size` scopes."""
        columns: list[Any] = [np.pad(column, ((0, 0), (0, size - column.shape[1]))) for column in self]
        return ScopeIntervals(*columns)
