"""Cuts as they are published: one message per scope and role that has users."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stream_app.core.evaluation import is_diffuse
from stream_app.core.messages import ROLES, Cut
from stream_app.core.standing import Rules
from stream_app.core.whole import Bucket


class Frame(NamedTuple):
    """What every cut of a moment has in common."""

    share: float
    window_start: int
    window_end: int
    computed_at: int
    settings_version: str


def published(bucket: Bucket, rules: Rules, population_sizes: Mapping[str, int], frame: Frame) -> Iterator[Cut]:
    """The cuts of a bucket's scopes."""
    cuts = bucket.cuts
    diffuse = is_diffuse(cuts, rules)
    for scope, number in bucket.scopes.items():
        for role, name in enumerate(ROLES):
            users, k = int(cuts.users[role, number]), int(cuts.k[role, number])
            if not users:
                continue
            size = population_sizes.get(scope.population)
            yield Cut(
                topic=scope.topic,
                population=scope.population,
                role=name,
                users=users,
                total=int(cuts.totals[role, number]),
                k=k,
                threshold=int(cuts.thresholds[role, number]),
                ties=int(cuts.ties[role, number]),
                coverage=float(cuts.coverage[role, number]),
                percent_of_users=100 * k / users,
                percent_of_population=100 * k / size if size else None,
                gini=float(cuts.gini[role, number]),
                diffuse=bool(diffuse[role, number]),
                exact=bool(cuts.exact[role, number]),
                flagged=int(cuts.flagged[role, number]),
                emerging=int(cuts.emerging[role, number]),
                **frame._asdict(),
            )
