"""Scope cuts: the cuts of many scopes as columns, by role and by the number of the scope."""

from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask


class ScopeCuts(NamedTuple):
    """The cuts of n scopes: arrays of shape (2, n), by role. Zero if a scope has no user with a value."""

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

    @classmethod
    def empty(cls, size: int) -> "ScopeCuts":
        """Return empty cuts for `size` scopes."""
        shape = (2, size)
        users, totals, k, thresholds, ties, flagged, emerging = np.zeros((7, *shape), np.int64)
        coverage, gini = np.zeros((2, *shape))
        exact = np.ones(shape, np.bool_)
        return cls(users, totals, k, thresholds, ties, flagged, emerging, coverage, gini, exact)

    def of(self, scopes: Ints) -> "ScopeCuts":
        """Return the cuts of some scopes, by number."""
        columns: list[Any] = [column[:, scopes] for column in self]
        return ScopeCuts(*columns)
