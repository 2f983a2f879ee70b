"""What is told of users in a scope and role: value, rank, standing, pace, panes; for many rows of a ledger at once."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from stream_app.core.flags.standing import EMERGING, ENTERED, FADING, NONE
from stream_app.core.queries.pane_series import Series
from stream_app.core.queries.users import Ints, UserQueries
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from stream_app.serving.api.responses import Influencer, Standing, Trend
from stream_app.serving.api.state import ApiState
from stream_app.serving.api.users.packed_panes import Counts

STANDINGS: dict[Standing, int] = {"none": NONE, "emerging": EMERGING, "entered": ENTERED, "fading": FADING}
"""Codes by name."""
_NAMES: dict[int, Standing] = {code: name for name, code in STANDINGS.items()}
_CLEAR_Z = 2.0
_DIGITS = 6
_NOTHING = (0, 0)


class ByPane(NamedTuple):
    """What users made, by pane; a pane can be in both."""

    packed: dict[str, Counts]
    opened: Series


class Sight:
    """A ledger among all, and what its users made."""

    def __init__(self, state: ApiState, ledger: Ledger, panes: int, made: ByPane) -> None:
        """`panes` in the window."""
        self.global_cuts = state.global_cuts
        self.ledger = ledger
        self.people = UserQueries(ledger)
        first_pane = state.window_start_ms // ledger.window.pane_ms
        self._window = range(first_pane, first_pane + panes)
        self._made = made

    def by_pane(self, user: str, scope: ScopeName, role: int) -> list[int]:
        """What a user made in each pane of the window."""
        packed = self._made.packed.get(user, {}).get(scope, {})
        opened = self._made.opened.get((user, scope), {})
        counts = [packed.get(pane, _NOTHING)[role] for pane in self._window]
        for pane, made in opened.items():
            if pane in self._window:
                counts[pane - self._window.start] += made[role]
        return counts


def influencers(sight: Sight, role: int, rows: Ints) -> Iterator[tuple[Influencer, ScopeName, int]]:
    """Who is in each of `rows`, with the scope and its θ."""
    if not len(rows):
        return
    ledger, global_cuts = sight.ledger, sight.global_cuts
    names = ledger.scopes.names()
    scopes = [names[number] for number in ledger.rows.scopes[rows].tolist()]
    users = [ledger.users.names[number] for number in ledger.rows.users[rows].tolist()]
    cuts = global_cuts.cuts(global_cuts.numbers(scopes))
    values, thresholds = ledger.rows.totals[role][rows], cuts.thresholds[role]
    going = sight.people.paces(role, rows, thresholds)
    columns = (
        values,
        global_cuts.ranks(scopes, [role] * len(scopes), values),
        ledger.rows.standings[role][rows],
        thresholds,
        values / np.maximum(cuts.totals[role], 1),
        going.short * 3600,
        going.past * 3600,
        going.error * 3600,
        going.z,
        going.events,
        going.eta_s,
    )
    lists = zip(users, scopes, *(column.tolist() for column in columns), strict=True)
    for user, scope, value, rank, code, theta, share, short, past, error, z, events, eta_s in lists:
        on_course = value < theta and eta_s < np.inf
        yield (
            Influencer(
                user_id=user,
                rank=rank,
                value=value,
                share=_rounded(share),
                standing=_NAMES[code],
                trend=_trend(z),
                short_rate=_rounded(short),
                long_rate=_rounded(past),
                rate_error=_rounded(error),
                z=_rounded(z),
                events=_rounded(events),
                eta_s=_rounded(eta_s) if on_course else None,
                panes=sight.by_pane(user, scope, role),
            ),
            scope,
            theta,
        )


def _trend(z: float) -> Trend:
    if z >= _CLEAR_Z:
        return "rising"
    return "falling" if z <= -_CLEAR_Z else "steady"


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
