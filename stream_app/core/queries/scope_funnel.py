"""The funnel of a scope, as it is reported: what partitions counted is added up, and its figures."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from stream_app.core.funnel.cohorts import Cohort
from stream_app.core.funnel.funnel_sums import FunnelSums

_EPOCH = dt.date(1970, 1, 1)
_DIGITS = 4


class CohortFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The people who first came on one day, and whom they brought within the horizon after they came."""

    day: Annotated[str, Meta(description="When they first came: a day in UTC.")]
    people: int
    recruits: Annotated[int, Meta(description="Entries that name one of them, so far.")]
    r: Annotated[
        float | None, Meta(description="Recruits for each of them; null: not yet, the horizon of some is not over.")
    ]


class FunnelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The stages of the funnel. entries = new + re_entered = recruited + self_started + unknown."""

    entries: Annotated[int, Meta(description="How often somebody came after none of their events in the gap before.")]
    new: Annotated[int, Meta(description="Entries of people not known before: new to this data.")]
    re_entered: Annotated[int, Meta(description="Entries of people known before.")]
    recruited: Annotated[int, Meta(description="Entries by a share that names somebody else: their recruiter.")]
    self_started: int
    unknown: Annotated[int, Meta(description="Entries by a share that names nobody.")]
    participants: Annotated[int, Meta(description="People with any event.")]
    advocates: Annotated[int, Meta(description="People whose posts others shared.")]
    recruiters: Annotated[int, Meta(description="People whom a recruited entry names.")]
    k: Annotated[float | None, Meta(description="Recruited entries for each participant; null: nobody.")]
    cohorts: list[CohortFigures]


class ScopeFunnel(NamedTuple):
    """What one partition counted in a scope, or several."""

    sums: FunnelSums
    cohorts: Mapping[int, Cohort]
    """By day since the epoch, also of days that are not known yet."""
    known_before: int
    """The first day whose people have not all had their horizon."""

    def plus(self, other: "ScopeFunnel") -> "ScopeFunnel":
        """Return both together: a day is known when both know it."""
        days = self.cohorts.keys() | other.cohorts.keys()
        cohorts = {day: self.cohorts.get(day, Cohort()).plus(other.cohorts.get(day, Cohort())) for day in days}
        return ScopeFunnel(self.sums.plus(other.sums), cohorts, min(self.known_before, other.known_before))

    def figures(self) -> FunnelFigures:
        """Return the figures, the first day first."""
        stages = self.sums._asdict()
        return FunnelFigures(entries=self.sums.entries, k=_rounded(self.sums.k), cohorts=self._cohorts(), **stages)

    def _cohorts(self) -> list[CohortFigures]:
        return [
            CohortFigures(
                day=(_EPOCH + dt.timedelta(days=day)).isoformat(),
                people=cohort.people,
                recruits=cohort.recruits,
                r=_rounded(cohort.r) if day < self.known_before else None,
            )
            for day, cohort in sorted(self.cohorts.items())
        ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
