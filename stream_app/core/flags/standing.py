"""Standings: the numbered rules that change the standing of a user, as pure functions of facts.

A standing is none, emerging, entered or fading. Users enter at θ, and lose ground below ρ·θ: once they have been there
for the dwell time they are fading, or have left where they fell below half of θ. The first rule that matches decides;
without one the standing stays.

Emerging is who will probably enter within the horizon. What says so on real streams is how near θ they are, and that
they come nearer in several moments, not in one burst. How far they are above their own past says little there.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Codes, Floats, Ints, Mask
from stream_app.core.flags.ranking import NEARLY_RANKED, RANKED, RankingRules
from stream_app.core.messages import FlagType, Reason

NONE, EMERGING, ENTERED, FADING = range(4)
_CODES = 4

TYPE_OF = {NONE: FlagType.LEFT, EMERGING: FlagType.EMERGING, ENTERED: FlagType.ENTERED, FADING: FlagType.FADING}
"""The flag type that a new standing raises."""
CODE_OF = {flag_type: code for code, flag_type in TYPE_OF.items()}

_LOST = 0.5
"""Below this part of θ who has entered does not fade but leaves."""


class StandingRules(NamedTuple):
    """The parameters of the rules."""

    ranking: RankingRules = RankingRules()
    floors: tuple[int, ...] = (5, 1000, 3)
    """Minimum value by role: posts, impressions, recruits."""
    leave_ratio: float = 0.8
    """ρ."""
    dwell_s: float = 900.0
    emerging_z: float = 3.0
    emerging_floor: float = 0.1
    """Fraction of θ that a value must reach to be emerging."""
    emerging_horizon_s: float = 14_400.0
    emerging_moments: float = 5.0
    near_floor: float = 0.6
    """From this fraction of θ on, one moment is enough …"""
    near_horizon_s: float = 3_600.0
    """… for who is on course to θ within this time."""
    door: float = 0.9
    """Fraction of θ at which a user is at the door."""


class Facts(NamedTuple):
    """The input of the rules for some users of one role: columns of equal length."""

    standing: Codes
    value: Ints
    threshold: Ints
    """θ of the scope, 0 if there is no cut."""
    ties: Ints
    """Number of users whose value equals θ."""
    ranking: Codes
    """Whether users of the scope can be flagged, see `ranking.py`."""
    is_newly_ranked: Mask
    """Whether that is so since the last step of event time only."""
    is_active: Mask
    """Whether the user did anything within the newest slots of the short window."""
    z: Floats
    moments: Floats
    """Effective number of moments in the short window."""
    eta_s: Floats
    """Time to θ at the current pace, infinite if the user is not on course."""
    below_since_s: Ints
    """Since when the user has fallen short of the standing, 0 if not."""


def over(facts: Facts, floor: int) -> Mask:
    """Return who is certainly in the cut: over θ, or alone at θ. Ties and values below the floor do not count."""
    is_over: Mask = (facts.value > facts.threshold) | ((facts.value == facts.threshold) & (facts.ties == 1))
    return is_over & (facts.threshold > 0) & (facts.value >= floor)


def above(facts: Facts, floor: int) -> Mask:
    """Return who is over θ in a scope that is ranked."""
    is_ranked: Mask = facts.ranking == RANKED
    return is_ranked & over(facts, floor)


def reaches(facts: Facts, fraction: float, floor: int) -> Mask:
    """Return who reaches both the floor and a fraction of θ, in a scope that is ranked."""
    reached: Mask = (facts.ranking == RANKED) & (facts.value >= floor) & (facts.value >= fraction * facts.threshold)
    return reached


def near(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who reaches ρ·θ, below which a standing is lost."""
    return reaches(facts, rules.leave_ratio, floor)


def at_the_door(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who has nearly reached θ."""
    return reaches(facts, rules.door, floor) & stands_out(facts, rules)


def stands_out(facts: Facts, rules: StandingRules) -> Mask:
    """Return who is not tied at θ with as many as make a topic: to be there says nothing then."""
    found: Mask = (facts.value != facts.threshold) | (facts.ties < rules.ranking.min_users)
    return found


def accelerating(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who is on course to θ: in several moments and above their own past, or near it and soon."""
    surely = (
        reaches(facts, rules.emerging_floor, floor)
        & (facts.z >= rules.emerging_z)
        & (facts.moments >= rules.emerging_moments)
        & (facts.eta_s <= rules.emerging_horizon_s)
    )
    soon = reaches(facts, rules.near_floor, floor) & (facts.eta_s <= rules.near_horizon_s)
    return (surely | soon) & stands_out(facts, rules)


def first_over(facts: Facts, floor: int) -> Mask:
    """Return who is over θ in a scope that is nearly ranked."""
    is_nearly: Mask = facts.ranking == NEARLY_RANKED
    return is_nearly & over(facts, floor)


def rising(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who still meets a condition for being emerging, or is close to θ."""
    is_close = (facts.value >= floor) & (facts.value >= rules.leave_ratio * facts.threshold)
    return ((facts.ranking >= NEARLY_RANKED) & is_close) | accelerating(facts, rules, floor)


def met(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who still meets the conditions of the current standing."""
    return np.where(facts.standing == EMERGING, rising(facts, rules, floor), near(facts, rules, floor))


class StandingRule(NamedTuple):
    """One rule: the standings it applies to (`before`), its condition (`holds`), and the new standing (`after`)."""

    number: int
    before: tuple[int, ...]
    holds: Callable[[Facts, StandingRules, int, Mask], Mask]
    after: int
    says: str


RULES = (
    StandingRule(1, (NONE, EMERGING), lambda f, _r, floor, _: above(f, floor), ENTERED, "over θ"),
    StandingRule(2, (FADING,), lambda f, _r, floor, _: above(f, floor), ENTERED, "over θ again"),
    StandingRule(7, (NONE,), lambda f, r, floor, _: at_the_door(f, r, floor), EMERGING, "at the door of θ"),
    StandingRule(3, (NONE,), lambda f, r, floor, _: accelerating(f, r, floor), EMERGING, "accelerating towards θ"),
    StandingRule(8, (NONE,), lambda f, _r, floor, _: first_over(f, floor), EMERGING, "over θ of a topic nearly ranked"),
    StandingRule(
        4,
        (ENTERED,),
        lambda f, _r, floor, dwelt: dwelt & reaches(f, _LOST, floor),
        FADING,
        "under ρ·θ for the dwell time",
    ),
    StandingRule(
        9,
        (ENTERED,),
        lambda f, _r, floor, dwelt: dwelt & ~reaches(f, _LOST, floor),
        NONE,
        "far under ρ·θ for the dwell time",
    ),
    StandingRule(5, (FADING,), lambda f, _r, floor, _: ~reaches(f, _LOST, floor), NONE, "far under ρ·θ after fading"),
    StandingRule(6, (EMERGING,), lambda _f, _r, _floor, dwelt: dwelt, NONE, "no longer rising, for the dwell time"),
)


@cache
def _applies(rule: StandingRule) -> Mask:
    """Return whether a rule applies, by the code of the standing before."""
    codes: Mask = np.isin(np.arange(_CODES), rule.before)
    return codes


class Decisions(NamedTuple):
    """The decisions of the rules: columns of equal length."""

    standing: Codes
    rule: Codes
    """Number of the rule that decided, 0 if the standing stays."""
    below_since_s: Ints


def decide(facts: Facts, rules: StandingRules, floor: int, now_s: int) -> Decisions:
    """Apply the rules at event time `now_s` (epoch s); `floor` is the minimum value of the role."""
    since = np.where(met(facts, rules, floor), 0, np.where(facts.below_since_s > 0, facts.below_since_s, now_s))
    dwelt = (since > 0) & (now_s - since >= rules.dwell_s)
    standing = facts.standing.copy()
    decided = np.zeros(len(standing), np.uint8)
    for rule in RULES:
        fits = (decided == 0) & _applies(rule)[facts.standing]
        if fits.any():
            fits &= rule.holds(facts, rules, floor, dwelt)
            standing[fits], decided[fits] = rule.after, rule.number
    since[standing == NONE] = 0
    return Decisions(standing, decided, since)


REASONS = tuple(Reason)
_OF_RULE = {2: Reason.BACK_OVER_THRESHOLD, 3: Reason.ACCELERATING, 7: Reason.AT_THE_DOOR, 8: Reason.NEARLY_RANKED}


def reasons(facts: Facts, decisions: Decisions, floor: int) -> Codes:
    """Return why each standing changed, of users whose standing did: places in REASONS."""
    entered = np.where(
        facts.is_newly_ranked,
        _code(Reason.NEWLY_RANKED),
        np.where(facts.is_active, _code(Reason.ROSE), _code(Reason.THRESHOLD_FELL)),
    )
    was_emerging = decisions.rule == 6
    lost = np.where(
        facts.ranking < np.where(was_emerging, NEARLY_RANKED, RANKED),
        _code(Reason.NO_LONGER_RANKED),
        np.where(
            facts.value < floor,
            _code(Reason.TOO_LITTLE_EVIDENCE),
            np.where(was_emerging, _code(Reason.SLOWED_DOWN), _code(Reason.UNDER_THRESHOLD)),
        ),
    )
    found = np.where(decisions.rule == 1, entered, lost)
    for rule, reason in _OF_RULE.items():
        found[decisions.rule == rule] = _code(reason)
    return found.astype(np.uint8)


def _code(reason: Reason) -> int:
    return REASONS.index(reason)
