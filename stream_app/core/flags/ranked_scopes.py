"""Ranked scopes: in which of the followed scopes users can be flagged, and when what the rules ask of a cut changed.

A cut is another one with nearly every event, but θ, its ties, and whether anybody is ranked at all change seldom.
"""

import numpy as np

from stream_app.core.arrays import Codes, Floats, Ints
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.flags.ranking import NEARLY_RANKED, RANKED
from stream_app.core.flags.standing import StandingRules
from stream_app.core.messages import ROLES


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
        differs = (
            (self._thresholds[:, changed] != now.thresholds)
            | (self._ties[:, changed] != now.ties)
            | (self._ranking[:, changed] != now.ranking)
        ).any(axis=0)
        self.changed_at[changed[differs]] = followed.version
        self._thresholds[:, changed], self._ties[:, changed] = now.thresholds, now.ties
        self._ranking[:, changed] = now.ranking
        self.version = followed.version

    def least(self, role: int) -> Floats:
        """Return the value from which a user without a standing could get one, by scope; infinite where nobody can."""
        floor, thresholds, ranking = self.rules.floors[role], self._thresholds[role], self._ranking[role]
        if_ranked = np.maximum(floor, self.rules.emerging_floor * thresholds)
        if_nearly = np.where(ranking == NEARLY_RANKED, np.maximum(floor, thresholds), np.inf)
        least: Floats = np.where(ranking == RANKED, if_ranked, if_nearly)
        return least

    def _begin(self) -> None:
        self.generation, self.version = self.followed.generation, -1
        self.changed_at: Ints = np.zeros(0, np.int64)
        """By scope: the version of the cuts in which something changed that the rules ask for."""
        self._thresholds: Ints = np.zeros((len(ROLES), 0), np.int64)
        self._ties: Ints = np.zeros((len(ROLES), 0), np.int64)
        self._ranking: Codes = np.zeros((len(ROLES), 0), np.uint8)

    def _make_room(self, size: int) -> None:
        more = size - len(self.changed_at)
        if more > 0:
            wider = ((0, 0), (0, more))
            self._ranking, self.changed_at = np.pad(self._ranking, wider), np.pad(self.changed_at, (0, more))
            self._thresholds, self._ties = np.pad(self._thresholds, wider), np.pad(self._ties, wider)
