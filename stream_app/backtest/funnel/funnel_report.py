"""The report of a funnel: its figures by scope, for the terminal and as JSON."""

from collections.abc import Iterable

import msgspec
import numpy as np

from stream_app.backtest.funnel.offline_funnel import Counted
from stream_app.core.arrays import Ints
from stream_app.core.funnel.funnel_sums import effective_sharers
from stream_app.core.queries.scope_funnel import FunnelFigures

_TOP = 10
_SHARE = (4, 5)
"""80 %, as whole numbers: a product of floats would be off by one where it is met exactly."""


class RecruiterFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom recruited entries name."""

    user_id: str
    recruits: int


class AmplifiedFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose posts others shared."""

    user_id: str
    amplified: int
    """Impressions of others' shares of their posts, the first share of each sharer and post."""
    shares: int
    sharers: int
    effective_sharers: float
    """n² / Σ c²: as many people who share equally often would be as spread."""


class ScopeReport(msgspec.Struct, frozen=True, kw_only=True):
    """The funnel of one scope."""

    population: str
    topic: str
    reached: int
    """Impressions, not people."""
    funnel: FunnelFigures
    recruiters_80: int
    """As many of the largest recruiters make 80 % of the recruits."""
    amplified: int
    """Of all people."""
    top_recruiters: list[RecruiterFigures]
    most_amplified: list[AmplifiedFigures]


class FunnelReport(msgspec.Struct, frozen=True, kw_only=True):
    """The funnel of recorded events."""

    read: int
    applied: int
    duplicate: int
    rejected: int
    complaint: str | None
    """What is wrong with the first that was rejected."""
    first_ms: int | None
    """Event time of the earliest event, epoch ms; null: no event."""
    newest_ms: int | None
    gap_s: float
    horizon_s: float
    window_s: float | None
    """Only what happened in so long before the newest event is counted; null: everything."""
    scopes: list[ScopeReport]
    """Those of most entries first."""


def scope_reports(counted: Iterable[Counted]) -> list[ScopeReport]:
    """Put the figures of each scope together."""
    return [_scope_report(one) for one in counted]


def _scope_report(counted: Counted) -> ScopeReport:
    names, credited = counted.names, counted.credited
    effective = effective_sharers(credited.shares, credited.squares)
    return ScopeReport(
        population=counted.name.population,
        topic=counted.name.topic,
        reached=counted.reached,
        funnel=counted.funnel.figures(),
        recruiters_80=_making_most(credited.recruits),
        amplified=int(credited.amplified.sum()),
        top_recruiters=[
            RecruiterFigures(user_id=names[place], recruits=int(credited.recruits[place]))
            for place in _top(credited.recruits, names)
        ],
        most_amplified=[
            AmplifiedFigures(
                user_id=names[place],
                amplified=int(credited.amplified[place]),
                shares=int(credited.shares[place]),
                sharers=int(credited.sharers[place]),
                effective_sharers=round(float(effective[place]), 2),
            )
            for place in _top(credited.amplified, names)
        ],
    )


def _making_most(values: Ints) -> int:
    """Return how few make 80 % of the sum."""
    sums = np.cumsum(np.sort(values)[::-1])
    part, whole = _SHARE
    return int(np.searchsorted(sums * whole, sums[-1] * part)) + 1 if len(sums) and sums[-1] else 0


def _top(values: Ints, names: Iterable[str]) -> list[int]:
    """Return the places of the largest values above 0, equal ones by name."""
    largest = np.partition(values, -_TOP)[-_TOP] if len(values) > _TOP else 0
    places = np.flatnonzero((values > 0) & (values >= largest)).tolist()
    by_place = list(names)
    return sorted(places, key=lambda place: (-int(values[place]), by_place[place]))[:_TOP]
