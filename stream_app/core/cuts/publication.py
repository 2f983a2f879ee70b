"""Published cuts: builds one message per scope and role that has users."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Mask
from stream_app.core.cuts.scope_cuts import ScopeCuts, ScopeIntervals
from stream_app.core.flags.ranking import RANKED, RankingRules
from stream_app.core.messages import ROLES, Cut, Role
from stream_app.core.state.scopes import ScopeName


class Frame(NamedTuple):
    """The fields that all cuts published at one time have in common."""

    share: float
    window_start: int
    window_end: int
    computed_at: int
    settings_version: str


class PublishedCuts(NamedTuple):
    """The cuts of some scopes as columns: a message for each would take most of a worker's memory."""

    names: Sequence[ScopeName]
    cuts: ScopeCuts
    frame: Frame
    intervals: ScopeIntervals | None = None
    """None where nobody asks for them."""

    def messages(self, rules: RankingRules, population_sizes: Mapping[str, int]) -> Iterator[Cut]:
        """Yield the messages of the cuts that have users."""
        ranked = self.cuts.ranking == RANKED
        diffuse = (self.cuts.k > rules.diffuse_fraction * self.cuts.users) & ~ranked
        frame = self.frame._asdict()
        intervals = self.intervals or ScopeIntervals.empty(len(self.names))
        for role, name in enumerate(ROLES):
            places = np.flatnonzero(self.cuts.users[role] > 0)
            columns = [column[role, places].tolist() for column in (ranked, diffuse, *self.cuts[:-2])]
            bounds = zip(*(column[role, places].tolist() for column in intervals), strict=True)
            for place, bound, *numbers in zip(places.tolist(), bounds, *columns, strict=True):
                is_ranked, is_flat, users, total, k, threshold, ties, flagged, emerging, coverage, gini, exact = numbers
                scope = self.names[place]
                size = population_sizes.get(scope.population)
                yield Cut(
                    topic=scope.topic,
                    population=scope.population,
                    role=name,
                    users=users,
                    total=total,
                    k=k,
                    threshold=threshold,
                    ties=ties,
                    coverage=coverage,
                    percent_of_users=100 * k / users,
                    percent_of_population=100 * k / size if size else None,
                    gini=gini,
                    ranked=is_ranked,
                    diffuse=is_flat,
                    exact=exact,
                    flagged=flagged,
                    emerging=emerging,
                    **_interval(bound, users),
                    **frame,
                )


def keys_of(names: Sequence[ScopeName], chosen: Mask) -> Iterator[tuple[ScopeName, Role]]:
    """Yield scope and role of the cuts that are `chosen`, by role and scope."""
    for role, place in np.argwhere(chosen).tolist():
        yield names[place], ROLES[role]


def _interval(bounds: tuple[int, int, int, int], users: int) -> Mapping[str, Any]:
    """Return the fields of an interval; none where it is unknown."""
    k_low, k_high, threshold_low, threshold_high = bounds
    if not k_low:
        return {}
    return {
        "k_low": k_low,
        "k_high": k_high,
        "percent_of_users_low": 100 * k_low / users,
        "percent_of_users_high": 100 * k_high / users,
        "threshold_low": threshold_low,
        "threshold_high": threshold_high,
    }
