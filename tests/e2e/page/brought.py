"""Whom users brought in, as a tracker says it."""

from collections.abc import Mapping, Sequence

from stream_app.serving.api.funnel.recruits_response import Recruit, Recruits
from tests.e2e.page.scopes import NOW
from tests.e2e.page.world import Selection

HOUR_MS = 3_600_000


def recruits(user: str, chosen: Selection, brought: Mapping[str, Sequence[str]]) -> Recruits:
    """One level of the tree: entries an hour apart, the third of them not new."""
    theirs = brought.get(user, ())
    return Recruits(
        user_id=user,
        topic=chosen.topic,
        population=chosen.population,
        total=len(theirs),
        recruits=[
            Recruit(
                user_id=name,
                entered=NOW - (place + 1) * HOUR_MS,
                is_new=place != 2,
                impressions=1200 * (place + 1),
                brought_in=len(brought.get(name, ())),
            )
            for place, name in enumerate(theirs)
        ],
        missing_partitions=[],
    )
