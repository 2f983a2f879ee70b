"""A user in a scope and role as the API answers it: names instead of codes, rates per hour, six digits."""

from typing import NamedTuple

from stream_app.core.flags.standing import EMERGING, ENTERED, FADING, NONE
from stream_app.core.messages import Flag
from stream_app.core.queries import FoundUser
from stream_app.core.queries.pane_series import NO_COUNTS, Series
from stream_app.serving.api.responses import Influencer, Standing, Trend
from stream_app.serving.api.users.packed_panes import Counts

STANDINGS: dict[Standing, int] = {"none": NONE, "emerging": EMERGING, "entered": ENTERED, "fading": FADING}
"""Codes by name."""
_NAMES: dict[int, Standing] = {code: name for name, code in STANDINGS.items()}
_CLEAR_Z = 2.0
_DIGITS = 6
_HOUR_S = 3600


class CountsByPane(NamedTuple):
    """What users made, by pane; a pane can be in both."""

    packed: dict[str, Counts]
    opened: Series


def influencer(found: FoundUser, panes: list[int], flag: Flag | None) -> Influencer:
    """The answer; `panes`: what the user made in each pane of the window; `flag`: of somebody emerging."""
    is_on_course = found.value < found.threshold and found.eta_s < float("inf")
    return Influencer(
        user_id=found.user,
        rank=found.rank,
        value=found.value,
        share=_rounded(found.share),
        standing=_NAMES[found.standing],
        borderline=found.borderline,
        trend=_trend(found.z),
        short_rate=_rounded(found.short_rate * _HOUR_S),
        long_rate=_rounded(found.past_rate * _HOUR_S),
        rate_error=_rounded(found.rate_error * _HOUR_S),
        z=_rounded(found.z),
        events=_rounded(found.events),
        eta_s=_rounded(found.eta_s) if is_on_course else None,
        chance=flag.chance if flag else None,
        chance_flags=flag.chance_flags if flag else None,
        chance_from=flag.chance_from if flag else None,
        signals=found.signals,
        trusted=round(found.value * found.trusted),
        panes=panes,
        amplified=found.amplified,
        multiplier=_multiplier(found.value, found.amplified),
    )


def by_pane(counts: CountsByPane, found: FoundUser, role: int, window: range) -> list[int]:
    """What a user made in each pane of the window."""
    packed = counts.packed.get(found.user, {}).get(found.scope, {})
    made = [packed.get(pane, NO_COUNTS)[role] for pane in window] if packed else [0] * len(window)
    for pane, opened in counts.opened.get((found.user, found.scope), {}).items():
        if pane in window:
            made[pane - window.start] += opened[role]
    return made


def _multiplier(own: int, amplified: int | None) -> float | None:
    return None if amplified is None or not own else _rounded((own + amplified) / own)


def _trend(z: float) -> Trend:
    if z >= _CLEAR_Z:
        return "rising"
    return "falling" if z <= -_CLEAR_Z else "steady"


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
