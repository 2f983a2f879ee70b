"""The chance of an emerging flag: which part of the warnings like it come true, from the tracker's own record.

Trackers differ: of warnings with a window of 24 h two thirds come true on a month of tweets, with one of 7 days a
third, and on the mail of a company one in sixteen. So what is shipped is a prior that lets go when the record
contradicts it, a mixture of two (robust prior; Schmidli et al. 2014): this tracker is like those it was chosen on, or
it may have any chance.

    record: right of decided ──▶ level of the tracker ──▶ chance of the way
                 prior: shipped, or anything    prior: the level

Warnings like it were raised in the same way. But the ways, like value/θ and the pace, hardly set warnings apart: what
came true more often in one half of a month did so less often in the other. So a way needs hundreds of its own warnings
to be set apart.
"""

from math import exp, lgamma
from typing import NamedTuple

import numpy as np

from stream_app.core.messages import ChanceFrom

_HOUR_MS = 3_600_000
_WINDOWS_MS, _SHIPPED = (24 * _HOUR_MS, 7 * 24 * _HOUR_MS), (0.65, 0.32)
"""By window, what came true within 12 h on 15 days of tweets: over a long window a value moves slowly."""
_BURST = 3
"""Warnings come in bursts: so many say no more than one would by itself (variance by day over a binomial's: 2.7)."""
_LIKE_SHIPPED = 200
"""Warnings by themselves that the shipped chance is worth in a tracker like those it was chosen on …"""
_ANYTHING = 1
"""… and in any other."""
_IS_LIKE_SHIPPED = 0.8
_LEVEL = 400
"""Those that the level of the tracker is worth against the warnings raised in one way."""
_DIGITS = 3


class Verdicts(NamedTuple):
    """How many of some warnings came true; older ones count as a part of one."""

    right: float = 0.0
    decided: float = 0.0


class Chance(NamedTuple):
    """What is said of a warning."""

    part: float
    """Of the warnings like it: those that come true."""
    flags: int
    """The tracker's own decided warnings behind it: what they weigh together."""
    source: ChanceFrom


def shipped_chance(window_ms: int) -> float:
    """Return the part of the warnings that is expected to come true before anything is known of a tracker."""
    return float(np.interp(np.log(window_ms), np.log(_WINDOWS_MS), _SHIPPED))


def chance_of(way: Verdicts, all_ways: Verdicts, shipped: float) -> Chance:
    """Return the chance of warnings raised in one way."""
    level, source = _level(all_ways.right / _BURST, all_ways.decided / _BURST, shipped)
    part = (way.right / _BURST + _LEVEL * level) / (way.decided / _BURST + _LEVEL)
    return Chance(round(part, _DIGITS), round(all_ways.decided), source)


def _level(right: float, decided: float, shipped: float) -> tuple[float, ChanceFrom]:
    """Return the posterior mean of the two priors together, and whether the shipped one or the record weighs more."""
    surprise = _evidence(_ANYTHING, right, decided, shipped) - _evidence(_LIKE_SHIPPED, right, decided, shipped)
    like = _IS_LIKE_SHIPPED / (_IS_LIKE_SHIPPED + (1 - _IS_LIKE_SHIPPED) * exp(min(surprise, 700.0)))
    level = shipped_weight = 0.0
    for part, weight in ((like, _LIKE_SHIPPED), (1 - like, _ANYTHING)):
        level += part * (right + weight * shipped) / (decided + weight)
        shipped_weight += part * weight / (decided + weight)
    return level, ChanceFrom.SHIPPED if shipped_weight > 0.5 else ChanceFrom.OWN


def _evidence(weight: float, right: float, decided: float, shipped: float) -> float:
    """Return the log of how probable the record is under a prior of the shipped chance with that weight."""
    yes, no = weight * shipped, weight * (1 - shipped)
    return _log_beta(yes + right, no + decided - right) - _log_beta(yes, no)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
