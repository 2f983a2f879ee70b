"""Ranked scopes: in which of the followed scopes users can be flagged, and when what the rules ask of a cut changed.

A cut is another one with nearly every event, but θ, its ties, and whether anybody is ranked at all change seldom.
"""

import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.cuts.scope_cuts import ScopeCuts
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.flags.standing import StandingRules
from stream_app.core.messages import OTHER


class RankedScopes:
    """By role and the number of a followed scope, as of the last `update`."""

    def __init__(self, followed: FollowedCuts, rules: StandingRules) -> None:
        self.followed = followed
        self.rules = rules
        self.generation = -1
        """Of the numbers."""
        self.version = -1
        """Of the cuts, at the last update."""
        self._begin()

    def update(self) -> None:
        """Take up the cuts that have changed."""
        followed = self.followed
        if followed.generation != self.generation:
            self._begin()
        if followed.version == self.version:
            return
        changed = followed.changed_since(self.version)
        self._make_room(len(followed.names))
        now = followed.cuts.of(changed)
        eligible = (now.users >= self.rules.min_users) & ~is_diffuse(now, self.rules) & ~self._are_other(changed)
        before = (self._thresholds[:, changed], self._ties[:, changed], self.eligible[:, changed])
        after = (now.thresholds, now.ties, eligible)
        differs = np.logical_or.reduce([(a != b).any(axis=0) for a, b in zip(before, after, strict=True)])
        self.changed_at[changed[differs]] = followed.version
        self._thresholds[:, changed], self._ties[:, changed], self.eligible[:, changed] = after
        self.version = followed.version

    def least(self, role: int) -> Floats:
        """Return the value from which a user without a standing could get one, by scope; infinite where nobody can."""
        floor, thresholds = self.rules.floors[role], self._thresholds[role]
        least: Floats = np.where(self.eligible[role], np.maximum(floor, self.rules.emerging_floor * thresholds), np.inf)
        return least

    def _begin(self) -> None:
        self.generation, self.version = self.followed.generation, -1
        self.eligible: Mask = np.zeros((2, 0), np.bool_)
        """Whether users can be flagged."""
        self.changed_at: Ints = np.zeros(0, np.int64)
        """By scope: the version of the cuts in which something changed that the rules ask for."""
        self._thresholds: Ints = np.zeros((2, 0), np.int64)
        self._ties: Ints = np.zeros((2, 0), np.int64)

    def _make_room(self, size: int) -> None:
        more = size - len(self.changed_at)
        if more > 0:
            wider = ((0, 0), (0, more))
            self.eligible, self.changed_at = np.pad(self.eligible, wider), np.pad(self.changed_at, (0, more))
            self._thresholds, self._ties = np.pad(self._thresholds, wider), np.pad(self._ties, wider)

    def _are_other(self, scopes: Ints) -> Mask:
        """Return which scopes are of topics or people that have nothing in common: nobody is ranked there."""
        names = self.followed.names
        return np.fromiter((OTHER in names[number] for number in scopes.tolist()), np.bool_)


def is_diffuse(cuts: ScopeCuts, rules: StandingRules) -> Mask:
    """Return which scopes have a cut that needs too large a part of the users: shape (2, scopes)."""
    return cuts.k > rules.diffuse_fraction * cuts.users
