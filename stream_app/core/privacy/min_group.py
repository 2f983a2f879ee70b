"""The minimum group: what may be said of people, and who may be named. Every answer, topic, key and metric asks here.

With a minimum of m people (the reasons are in docs/adr/min-group.md):

1. Nothing is said of a scope and role with fewer than m people.
2. People are counted in steps of m: no difference of two counts is a number from 1 to m - 1.
3. What adds up (totals, values, θ, rates) is said as a power of ten: a difference says no more than that either.
   Parts of a whole are said in steps of five points, and a curve in steps of m people or more.
4. Named is who is over θ or has a standing, where m others of the scope are not: to be absent says nothing.
5. A time at which a person did something is a day.

A field without a rule is not said: `Disclosure.of` raises UnruledError, so that a new one cannot be forgotten.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np

from stream_app.core.messages import Flag

Individuals = Literal["all", "flagged", "off"]
"""Who may be named: everybody, who has a standing, or nobody."""

S = TypeVar("S", bound=msgspec.Struct)

_DAY_MS = 86_400_000
_PARTS = 20
"""Steps of a whole: five points each."""
_MOST_STEPS = 10
"""Of a curve."""


class UnruledError(LookupError):
    """A message has a field without a rule."""


class CutSize(NamedTuple):
    """What decides who may be named in a scope and role: numbers, or columns of them."""

    users: Any
    k: Any
    threshold: Any
    ties: Any


class Disclosure(NamedTuple):
    """The rule with its parameters; without any it holds nothing back."""

    min_group: int = 0
    """m; 0: no minimum."""
    individuals: Individuals = "all"

    @property
    def is_limited(self) -> bool:
        """Whether anything is held back."""
        return self.min_group > 0 or self.individuals != "all"

    @property
    def names_anyone(self) -> bool:
        """Whether there is anybody who may be named."""
        return self.individuals != "off"

    @property
    def least(self) -> int:
        """The number of people from which on something is said of a scope and role."""
        return max(self.min_group, 1)

    def may_name(self, has_standing: Any, value: Any, size: CutSize) -> Any:
        """Return whether somebody with that value may be named in a scope of that size; for columns, a mask."""
        everybody = (has_standing == has_standing) & (value == value)  # noqa: PLR0124 - of the shape of both
        if not self.names_anyone:
            return ~everybody if isinstance(everybody, np.ndarray) else False
        chosen = everybody if self.individuals == "all" else everybody & has_standing
        if not self.min_group:
            return chosen
        is_over = (value > size.threshold) | ((value == size.threshold) & (size.ties == 1))
        is_hidden_among = (size.users >= self.min_group) & (size.users - size.k >= self.min_group)
        return chosen & (has_standing | is_over) & is_hidden_among

    def shows(self, flag: Flag, settings_version: str) -> bool:
        """Return whether a flag on Kafka may be shown: under other settings less may have been held back."""
        return not self.is_limited or (self.names_anyone and flag.settings_version == settings_version)

    def people(self, count: int) -> int:
        """Return a number of people in steps of m."""
        return count - count % self.least

    def of(self, said: S) -> S | None:
        """Return what may be said of a message; None where it is about too few people. Raises UnruledError.

        Who is named in it is decided before, by `may_name`.
        """
        if not self.is_limited:
            return said
        if self.min_group and _is_of_scope(type(said)) and getattr(said, "users", 0) < self.min_group:
            return None
        rules = _rules_of(type(said), is_coarse=self.min_group > 0)
        changed = {name: rule(self, getattr(said, name), said) for name, rule in rules}
        return msgspec.structs.replace(said, **changed)

    def all_of(self, said: Sequence[S]) -> list[S]:
        """Return what may be said of each message, without those that are about too few people."""
        return [one for each in said if (one := self.of(each)) is not None]


UNLIMITED = Disclosure()
"""Holds nothing back."""
Rule = Callable[[Disclosure, Any, Any], Any]
"""From the disclosure, the value of a field, and the message that it is in, to the value that is said."""


def power_of_ten(value: float) -> float:
    """Return the power of ten that a value has reached, with its sign; 0 stays 0. A whole number stays one."""
    if not value:
        return value
    exponent = Decimal(str(value)).adjusted()  # of all its digits: 99,999,999 has not reached 10^8
    reached = 10**exponent if isinstance(value, int) else float(f"1e{exponent}")
    return reached if value > 0 else -reached


def _amount(_of: Disclosure, value: float | None, _said: Any) -> float | None:
    return None if value is None else power_of_ten(value)


def _kept(_of: Disclosure, value: Any, _said: Any) -> Any:
    return value


def _unsaid(_of: Disclosure, _value: Any, _said: Any) -> None:
    return None


def _unnamed(_of: Disclosure, _value: Any, _said: Any) -> None:
    """Others, who may not be named here."""


def _false(_of: Disclosure, _value: Any, _said: Any) -> bool:
    return False


def _none_of_them(_of: Disclosure, _value: Any, _said: Any) -> list[Any]:
    return []


def _people(of: Disclosure, value: int, _said: Any) -> int:
    return of.people(value)


def _in_cut(of: Disclosure, value: int, said: Any) -> int:
    """k: upwards, since somebody is always in it."""
    return min(of.people(value + of.least - 1), of.people(said.users))


def _percent(of: Disclosure, _value: float, said: Any) -> float:
    return 100 * _in_cut(of, said.k, said) / of.people(said.users)


def _percent_of_population(of: Disclosure, value: float | None, said: Any) -> float | None:
    return None if value is None else value * _in_cut(of, said.k, said) / said.k


def _part(_of: Disclosure, value: float | None, _said: Any) -> float | None:
    return None if value is None else round(value * _PARTS) / _PARTS


def _whole(_of: Disclosure, value: float, _said: Any) -> float:
    return float(round(value))


def _rank(of: Disclosure, value: int, _said: Any) -> int:
    """The first rank of the m that it is among."""
    return of.people(value - 1) + 1


def _day(_of: Disclosure, value: int, _said: Any) -> int:
    return value - value % _DAY_MS


def _nested(of: Disclosure, value: Any, _said: Any) -> Any:
    if value is None:
        return None
    return of.all_of(value) if isinstance(value, list) else of.of(value)


def _points(of: Disclosure, value: list[tuple[float, float]], said: Any) -> list[tuple[float, float]]:
    """The curve, in steps of m people or more."""
    users = 0 if said.cut is None else said.cut.users
    if not value or users < of.min_group:
        return []
    steps = min(users // of.min_group, _MOST_STEPS)
    x = np.arange(steps + 1) / steps
    y = np.round(np.interp(x, *np.array(value).T) * _PARTS) / _PARTS
    return list(zip(np.round(x, 6).tolist(), y.tolist(), strict=True))


def _with_evidence(of: Disclosure, value: int, said: Any) -> int:
    return 0 if said.cut is None or said.cut.users < of.min_group else of.people(value)


def _stages(of: Disclosure, value: Any, _said: Any) -> Any:
    return None if value is None or value.participants < of.min_group else of.of(value)


def _cohorts(of: Disclosure, value: list[Any], _said: Any) -> list[Any]:
    """Those of m people or more: whom fewer brought would be about them."""
    return of.all_of([cohort for cohort in value if cohort.people >= of.least])


def _k(of: Disclosure, _value: float | None, said: Any) -> float | None:
    return _ratio(of.people(said.recruited), of.people(said.participants))


def _r(of: Disclosure, value: float | None, said: Any) -> float | None:
    return None if value is None else _ratio(of.people(said.recruits), of.people(said.people))


def _ratio(count: int, people: int) -> float | None:
    """Of the numbers that are said: it says no more than they do."""
    return round(count / people, 4) if people else None


def _each(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RULES: Mapping[str, Rule] = {
    # Names, times of the tracker, and what describes it.
    **_each(_kept, "topic population role window type user_id flag_id reason rule standing trend kind note ranked"),
    **_each(_kept, "diffuse warming_up chance chance_flags chance_from window_start window_end event_time detected_at"),
    **_each(_kept, "computed_at settings_version pane_ms first_pane missing_partitions position since is_complete"),
    **_each(_kept, "next populations version window_s pane_s short_s min_users min_posts min_impressions min_recruits"),
    **_each(
        _kept,
        "leave_ratio emerging_door diffuse_fraction emerging_z emerging_horizon_s population_sizes rules min_group",
    ),
    **_each(_kept, "individuals About.share Cut.share Topics.total Cuts.total lead_s day gap_s horizon_s"),
    **_each(_kept, "live ready events_per_s lag_records delay_s counting_since applied duplicate late rejected"),
    **_each(_kept, "partitions partitions_expected workers flags_per_hour redis_up releases settings_versions"),
    # People, counted.
    **_each(
        _people, "users ties flagged emerging found Influencers.total warnings right entries foreseen Quality.flags"
    ),
    **_each(_people, "new re_entered recruited self_started unknown participants advocates recruiters people recruits"),
    "retracted": _people,  # few are taken back: who falls at that moment would be known to have done it
    "k": _in_cut,
    "FunnelFigures.k": _k,
    "r": _r,
    "percent_of_users": _percent,
    "percent_of_population": _percent_of_population,
    "with_evidence": _with_evidence,
    "rank": _rank,
    # What adds up, and parts of a whole.
    **_each(_amount, "Cut.total Moment.total threshold value share short_rate long_rate rate_error eta_s impressions"),
    **_each(_amount, "amplified multiplier"),
    **_each(_amount, "read_records reached"),
    **_each(_whole, "z events"),
    **_each(_part, "coverage gini precision recall flags_per_standing"),
    "points": _points,
    # Finer than the steps, or about others.
    **_each(_unsaid, "trusted k_low k_high percent_of_users_low percent_of_users_high threshold_low threshold_high"),
    **_each(_unnamed, "post_id author_id Recruits.total Recruits.recruits"),
    "channel": _unsaid,
    **_each(_false, "exact borderline"),
    **_each(_none_of_them, "panes signals Contribution.topics"),
    "ts": _day,
    # Messages in messages.
    **_each(_nested, "cut cuts connector maven recruiter Topics.topics influencers now flag Flags.flags place places"),
    **_each(_nested, "evidence posts shares qualities moments"),
    "stages": _stages,
    "cohorts": _cohorts,
}
"""By the name of a field, or by message and field."""
_OF_SCOPES = frozenset({"k", "connector"})
"""A message with one of these and `users` is about the users of a scope."""


@cache
def _is_of_scope(kind: type[msgspec.Struct]) -> bool:
    return "users" in kind.__struct_fields__ and not _OF_SCOPES.isdisjoint(kind.__struct_fields__)


@cache
def _rules_of(kind: type[msgspec.Struct], *, is_coarse: bool) -> tuple[tuple[str, Rule], ...]:
    """Return the rules of the fields of a message that do not stay as they are. Raises UnruledError.

    Unless numbers are to be coarse, only others are left out.
    """
    found = {name: _RULES.get(f"{kind.__name__}.{name}") or _RULES.get(name) for name in kind.__struct_fields__}
    if missing := [name for name, rule in found.items() if rule is None]:
        raise UnruledError(f"{kind.__name__}.{missing[0]} has no rule in _RULES: what may be said of it?")
    chosen = {name: rule for name, rule in found.items() if rule is not None and rule is not _kept}
    return tuple((name, rule) for name, rule in chosen.items() if is_coarse or rule in {_nested, _unnamed})
