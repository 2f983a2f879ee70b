"""Published cuts: builds one message per scope and role that has users."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stream_app.core.arrays import Ints
from stream_app.core.cuts.global_cuts import GlobalCuts
from stream_app.core.flags.evaluation import is_diffuse
from stream_app.core.flags.standing import StandingRules
from stream_app.core.messages import ROLES, Cut


class Frame(NamedTuple):
    """The fields that all cuts published at one time have in common."""

    share: float
    window_start: int
    window_end: int
    computed_at: int
    settings_version: str


def published(
    global_cuts: GlobalCuts,
    numbers: Ints,
    rules: StandingRules,
    population_sizes: Mapping[str, int],
    frame: Frame,
) -> Iterator[Cut]:
    """Yield the messages for some scopes, given by number."""
    cuts = global_cuts.cuts(numbers)
    names = [global_cuts.names[number] for number in numbers.tolist()]
    diffuse = is_diffuse(cuts, rules).tolist()
    by_role = [[column[role].tolist() for column in cuts] for role in (0, 1)]
    for role, name in enumerate(ROLES):
        rows = zip(names, diffuse[role], *by_role[role], strict=True)
        for scope, is_flat, users, total, k, threshold, ties, flagged, emerging, coverage, gini, exact in rows:
            if not users:
                continue
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
                diffuse=is_flat,
                exact=exact,
                flagged=flagged,
                emerging=emerging,
                **frame._asdict(),
            )
