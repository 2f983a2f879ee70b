"""Standings: the numbered rules that change the standing of a user, as pure functions of facts.

A standing is none, emerging, entered or fading. Users enter at θ. They leave only after they have stayed below ρ·θ for
the dwell time, so that no user flaps at the cut. The first rule that matches decides; without one the standing stays.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Codes, Floats, Ints, Mask
from stream_app.core.messages import FlagType

NONE, EMERGING, ENTERED, FADING = range(4)
_CODES = 4

TYPE_OF = {NONE: FlagType.LEFT, EMERGING: FlagType.EMERGING, ENTERED: FlagType.ENTERED, FADING: FlagType.FADING}
"""The flag type that a new standing raises."""
CODE_OF = {flag_type: code for code, flag_type in TYPE_OF.items()}


class StandingRules(NamedTuple):
    """The parameters of the rules."""

    diffuse_fraction: float = 1 / 3
    min_users: int = 20
    floors: tuple[int, int] = (5, 1000)
    """Minimum value by role: posts, impressions."""
    leave_ratio: float = 0.8
    """ρ."""
    dwell_s: float = 900.0
    emerging_z: float = 4.0
    emerging_floor: float = 0.1
    """Fraction of θ that a value must reach to be emerging."""
    emerging_horizon_s: float = 43_200.0
    emerging_events: float = 5.0


class Facts(NamedTuple):
    """The input of the rules for some users of one role: columns of equal length."""

    standing: Codes
    value: Ints
    threshold: Ints
    """θ of the scope, 0 if there is no cut."""
    ties: Ints
    """Number of users whose value equals θ."""
    eligible: Mask
    """Whether the scope can be ranked: it has enough users and is not diffuse."""
    z: Floats
    events: Floats
    """Effective number of events in the short window."""
    eta_s: Floats
    """Time to θ at the current pace, infinite if the user is not on course."""
    below_since_s: Ints
    """Since when the user has fallen short of the standing, 0 if not."""


def above(facts: Facts, floor: int) -> Mask:
    """Return who is certainly in the cut: over θ, or alone at θ. Ties and values below the floor do not count."""
    over: Mask = (facts.value > facts.threshold) | ((facts.value == facts.threshold) & (facts.ties == 1))
    return facts.eligible & (facts.threshold > 0) & (facts.value >= floor) & over


def near(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who reaches both the floor and ρ·θ, below which a standing is lost."""
    return facts.eligible & (facts.value >= floor) & (facts.value >= rules.leave_ratio * facts.threshold)


def rising(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who accelerates against their own past, on course to θ within the horizon, by more than a few events."""
    return (
        facts.eligible
        & (facts.value >= floor)
        & (facts.value >= rules.emerging_floor * facts.threshold)
        & (facts.z >= rules.emerging_z)
        & (facts.events >= rules.emerging_events)
        & (facts.eta_s <= rules.emerging_horizon_s)
    )


def still_rising(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who still accelerates, at half the z needed to become emerging, or is already close to θ."""
    return near(facts, rules, floor) | (facts.eligible & (facts.z >= rules.emerging_z / 2))


def met(facts: Facts, rules: StandingRules, floor: int) -> Mask:
    """Return who still meets the conditions of the current standing."""
    holds = near(facts, rules, floor)
    return np.where(facts.standing == EMERGING, still_rising(facts, rules, floor), holds)


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
    StandingRule(3, (NONE,), lambda f, r, floor, _: rising(f, r, floor), EMERGING, "accelerating, on course to θ"),
    StandingRule(4, (ENTERED,), lambda f, r, floor, _: ~near(f, r, floor), FADING, "under ρ·θ"),
    StandingRule(5, (FADING,), lambda _f, _r, _floor, dwelt: dwelt, NONE, "under ρ·θ for the dwell time"),
    StandingRule(
        6, (EMERGING,), lambda _f, _r, _floor, dwelt: dwelt, NONE, "no longer accelerating, for the dwell time"
    ),
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
