"""The funnel of a topic as a tracker says it: that of three conferences, at a gap of a week."""

from collections.abc import Sequence

from stream_app.core.queries import FunnelFigures
from stream_app.core.queries.scope_funnel import CohortFigures
from stream_app.serving.api.funnel.funnel_response import TopicFunnel
from tests.e2e.page.scopes import FIRST_PANE

_COHORTS = (
    *(("2018-06-12", 130, 21), ("2018-06-13", 89, 6), ("2018-06-14", 77, 10), ("2018-06-15", 64, 10)),
    *(("2018-06-16", 81, 71), ("2018-06-17", 52, 0), ("2018-06-18", 35, 2), ("2018-06-19", 240, 9)),
    *(("2018-06-20", 150, 25), ("2018-06-21", 149, 11)),
)
_NOT_YET = 2


def stages() -> FunnelFigures:
    """Stages whose entries add up, with the last cohorts not known yet."""
    known = len(_COHORTS) - _NOT_YET
    return FunnelFigures(
        entries=1766,
        new=1736,
        re_entered=30,
        recruited=1240,
        self_started=526,
        unknown=0,
        participants=1736,
        advocates=337,
        recruiters=260,
        k=0.7143,
        cohorts=[
            CohortFigures(day=day, people=people, recruits=recruits, r=recruits / people if place < known else None)
            for place, (day, people, recruits) in enumerate(_COHORTS)
        ],
    )


def funnel(topic: str, population: str, figures: FunnelFigures | None, missing: Sequence[int]) -> TopicFunnel:
    """The answer about a topic."""
    return TopicFunnel(
        topic=topic,
        population=population,
        gap_s=604_800.0,
        horizon_s=86_400.0,
        window_start=FIRST_PANE,
        reached=9_071_810,
        stages=figures,
        missing_partitions=list(missing),
    )
