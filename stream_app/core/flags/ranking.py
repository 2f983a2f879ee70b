"""Ranking: whether the users of a scope can be flagged, with hysteresis, so that no topic comes and goes.

A topic has to have enough users, and a cut that needs no more than a part of them. If that were all, a topic with 20
users, or one that needs a third of them, would be ranked and not ranked in turn, and everybody over θ with it. So it
stays ranked until it has half as many users, or needs half as many again. Before, it is nearly ranked: those over θ in
a topic that is about to be one are emerging.

    users:      0 ······ 10 ······ 16 ··· 18 ·· 20 ·····     k / users:  0 ····· 1/3 ···· 0.4 ······ 1/2 ····
    ranked               └─ stays ──────────────┴ becomes               becomes ┴ stays ───────────┘
    nearly ranked                  └ stays ┴ becomes                    becomes ···┴ stays ┘
"""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Codes, Ints, Mask
from stream_app.core.cuts.scope_cuts import ScopeCuts

UNRANKED, NEARLY_RANKED, RANKED = range(3)


class _Bounds(NamedTuple):
    """Multiples of `min_users` and of `diffuse_fraction`."""

    users: float
    fraction: float


_BECOMES_RANKED, _STAYS_RANKED = _Bounds(1.0, 1.0), _Bounds(0.5, 1.5)
_BECOMES_NEARLY, _STAYS_NEARLY = _Bounds(0.9, 1.1), _Bounds(0.8, 1.2)


class RankingRules(NamedTuple):
    """The parameters of the ranking."""

    min_users: int = 20
    diffuse_fraction: float = 1 / 3


def are_followed(cuts: ScopeCuts) -> Mask:
    """Return which scopes concern those who evaluate: users can be flagged there, or have a standing."""
    followed: Mask = np.any((cuts.ranking > UNRANKED) | (cuts.flagged > 0) | (cuts.emerging > 0), axis=0)
    return followed


def ranking_of(users: Ints, k: Ints, before: Codes, rules: RankingRules) -> Codes:
    """Return the ranking of scopes with so many users, `k` of them in the cut, given what it was `before`."""

    def within(bounds: _Bounds) -> Mask:
        fraction = rules.diffuse_fraction * bounds.fraction
        enough: Mask = (users >= rules.min_users * bounds.users) & (k <= fraction * users) & (users > 0)
        return enough

    ranked = within(_BECOMES_RANKED) | (within(_STAYS_RANKED) & (before == RANKED))
    nearly = within(_BECOMES_NEARLY) | (within(_STAYS_NEARLY) & (before >= NEARLY_RANKED))
    return np.where(ranked, RANKED, np.where(nearly, NEARLY_RANKED, UNRANKED)).astype(np.uint8)
