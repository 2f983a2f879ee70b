"""Whether a tracker of a company says what it may and nothing else, judged by the true answers. Pure.

Sizes and roundness are worked out here once more, and not asked of the rule that the tracker itself goes by.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.messages import OWN_ROLES, ROLES, Cut, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.demo.employees.readings import Named, Reach, Reading
from stream_app.demo.generator.activity import smallest_set
from stream_app.demo.generator.company import STRETCH, Company
from stream_app.settings import Settings

_PEOPLE = ("users", "k", "ties", "flagged", "emerging")
_AMOUNTS = ("total", "threshold")
_POWERS_OF_TEN = {0, *(10**exponent for exponent in range(19))}
_COMPARED = ("users", "total", "k", "threshold", "ties", "percent_of_users", "coverage")


class Verdict(NamedTuple):
    """What was read, and what of it is wrong."""

    readings: int
    names: int
    """How often somebody was named in a topic."""
    leaks: list[str]
    """What names people, topics or departments that must not be named."""
    cuts: int
    """That should be there."""
    wrong_cuts: list[str]
    """Those that are not, or are other ones."""

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong, and there was something to judge."""
        return not self.leaks and not self.wrong_cuts and self.cuts > 0 and self.readings > 0


def too_small(company: Company, settings: Settings) -> list[ScopeName]:
    """The scopes that have fewer people than the minimum in all the stream."""
    return [scope for scope in company.all_scopes() if len(_people_of(company, scope)) < settings.min_group]


def reach(company: Company, settings: Settings) -> Reach:
    """What is to be asked about by name: every scope, and who is in those that are too small, rises or is loud."""
    small = too_small(company, settings)
    people = {person for scope in small for person in _people_of(company, scope)}
    people |= {riser.user_id for riser in company.risers} | {*company.decoys}
    return Reach(company.all_scopes(), small, sorted(people))


def verdict(company: Company, settings: Settings, readings: Iterable[Reading], cuts: Sequence[Cut]) -> Verdict:
    """Judge what was read, and the published cuts at the end of the stream."""
    forbidden = _forbidden(company, settings)
    allows = _Allowed(company, settings)
    count = names = 0
    leaks = []
    for reading in readings:
        count += 1
        names += len(reading.named)
        said = set(forbidden.findall(reading.text)) - reading.asked
        leaks += [f"{reading.where} has {word}" for word in sorted(said)]
        leaks += [
            f"{reading.where} names {one.user} in {one.scope.topic} ({one.scope.population})"
            for one in reading.named
            if not allows(one)
        ]
    expected = _expected(company, settings)
    own = [cut for cut in cuts if cut.role in ROLES[:OWN_ROLES]]  # recruits hang on who was here before the stream
    wrong = _wrong(expected, own) + [line for cut in cuts for line in _not_round(cut, settings.min_group)]
    return Verdict(count, names, leaks, len(expected), wrong)


def _forbidden(company: Company, settings: Settings) -> re.Pattern[str]:
    """The names of small departments and topics, and of people who are in nothing larger."""
    small = set(too_small(company, settings))
    large = set(company.all_scopes()) - small
    known = {person for scope in large for person in _people_of(company, scope)}
    words = {person for person in company.people if person not in known}
    words |= {scope.topic for scope in small} - {scope.topic for scope in large}
    words |= {scope.population for scope in small} - {scope.population for scope in large}
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(words)))})(?![\w-])" if words else r"(?!)")


def _people_of(company: Company, scope: ScopeName) -> set[str]:
    users = company.activity.users[np.isin(company.activity.topics, company.within(scope))]
    return {company.people[user] for user in np.unique(users).tolist()}


class _Allowed:
    """Whether somebody may be named, by the true size of the scope at the time; recruiters by that of connectors."""

    def __init__(self, company: Company, settings: Settings) -> None:
        self._company, self._settings = company, settings
        self._scopes = frozenset(company.all_scopes())
        self._size = cache(self._size_at)

    def __call__(self, one: Named) -> bool:
        if one.scope not in self._scopes or not self._settings.disclosure.names_anyone:
            return False
        now_ms = STRETCH.end_ms - 1 if one.event_time is None else one.event_time
        users, k = self._size(one.scope, one.role, now_ms)
        # A flag may also say that a standing has ended, as it does where the cut needs nearly everybody.
        hidden_among = users if one.event_time is not None else users - k
        return users > 0 and min(users, hidden_among) >= self._settings.min_group

    def _size_at(self, scope: ScopeName, role: Role, now_ms: int) -> tuple[int, int]:
        """Users and k."""
        values = self._company.values(scope, role, now_ms, self._settings.window)
        if not values.any():
            return 0, 0
        return int(np.count_nonzero(values)), smallest_set(values, self._settings.share)[0]


def _expected(company: Company, settings: Settings) -> dict[tuple[ScopeName, Role], Cut]:
    """What may be said of each true cut at the end of the stream."""
    found = {}
    for scope in company.all_scopes():
        for role in ROLES[:OWN_ROLES]:
            values = company.values(scope, role, STRETCH.end_ms - 1, settings.window)
            if np.count_nonzero(values) >= max(settings.min_group, 1):
                cut = _true_cut(scope, role, values, settings)
                found[scope, role] = settings.disclosure.of(cut) or cut
    return found


def _true_cut(scope: ScopeName, role: Role, values: Ints, settings: Settings) -> Cut:
    k, threshold = smallest_set(values, settings.share)
    users, total = int(np.count_nonzero(values)), int(values.sum())
    return Cut(
        topic=scope.topic,
        population=scope.population,
        role=role,
        users=users,
        total=total,
        k=k,
        threshold=threshold,
        ties=int(np.count_nonzero(values == threshold)),
        coverage=float(np.sort(values)[-k:].sum() / total),
        percent_of_users=100 * k / users,
        gini=0.0,
        diffuse=False,
        exact=True,
        flagged=0,
        emerging=0,
        share=settings.share,
        window_start=0,
        window_end=0,
        computed_at=0,
        settings_version="",
    )


def _not_round(cut: Cut, min_group: int) -> list[str]:
    """The figures of a cut that say more than a minimum group allows."""
    if not min_group:
        return []
    exact = [name for name in _PEOPLE if getattr(cut, name) % min_group]
    exact += [name for name in _AMOUNTS if getattr(cut, name) not in _POWERS_OF_TEN]
    return [f"{_named(ScopeName(cut.population, cut.topic), cut.role)}: {name} is not round" for name in exact]


def _named(scope: ScopeName, role: Role) -> str:
    return f"{scope.topic} ({scope.population}) {role.value}"


def _wrong(expected: Mapping[tuple[ScopeName, Role], Cut], cuts: Sequence[Cut]) -> list[str]:
    found = {(ScopeName(cut.population, cut.topic), cut.role): cut for cut in cuts}
    wrong = []
    for place in sorted(expected.keys() | found.keys()):
        name = _named(*place)
        if place not in found:
            wrong.append(f"{name} is missing")
        elif place not in expected:
            wrong.append(f"{name} should not be there")
        else:
            wrong += [
                f"{name}: {field} is {is_} and should be {should}"
                for field in _COMPARED
                if (is_ := getattr(found[place], field)) != (should := getattr(expected[place], field))
            ]
    return wrong
