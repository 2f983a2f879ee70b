"""The offline funnel: both stages of one partition, with credits added where they are decided.

    events ──▶ funnel ──▶ credits ──▶ credited people, cohorts

It is decided after each batch. What is counted stays in memory, and some 50 bytes of each event, so that it can be
taken back. What comes late is corrected, as in a worker: the figures hang on the set of events alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from secrets import randbits
from typing import NamedTuple

import numpy as np

from stream_app.backtest.funnel.reached import Reached
from stream_app.core.arrays import Hashes, distinct_in
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.events.credit import Credits
from stream_app.core.funnel.cohorts import Cohort, Cohorts
from stream_app.core.funnel.credited_people import Credited, CreditedPeople
from stream_app.core.funnel.funnel import Funnel, FunnelSettings
from stream_app.core.funnel.funnel_counts import DAY_MS
from stream_app.core.funnel.funnel_sums import FunnelSums
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.funnel.scope_cells import NO_PANE
from stream_app.core.funnel.stored import stored_events
from stream_app.core.funnel.stored.event_history import EventHistory
from stream_app.core.funnel.stored.funnel_batches import FunnelBatches
from stream_app.core.queries.scope_funnel import ScopeFunnel
from stream_app.core.state.scope_limits import ScopeLimits
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME

_PERSON_BITS = 32
_PERSON_MASK = (1 << _PERSON_BITS) - 1


class Counted(NamedTuple):
    """What was counted in one scope."""

    name: ScopeName
    reached: int
    """Impressions."""
    funnel: ScopeFunnel
    names: Sequence[str]
    """Who was credited with anything."""
    credited: Credited
    """What with, by name."""


class OfflineFunnel:
    """Counts batches of fresh events, in any order."""

    def __init__(self, settings: FunnelSettings, horizon_ms: int, limits: ScopeLimits) -> None:
        self._funnel = Funnel(settings, randbits(64))
        self._credited = CreditedPeople(settings.pane_ms, self._funnel.keys)
        self._cohorts = Cohorts(horizon_ms, self._funnel)
        self._reached = Reached(settings.pane_ms)
        self._batches = FunnelBatches(limits)
        self._history, self._batch = EventHistory(), 0
        self._pairs = HashIndex()
        """Scope and person of each credit."""
        self.first_ms, self.newest_ms = -NO_TIME, NO_TIME

    def add(self, batch: Credits) -> None:
        """Add a batch."""
        if not len(batch.ts_ms):
            return
        self.first_ms = min(self.first_ms, int(batch.ts_ms.min()))
        self.newest_ms = max(self.newest_ms, int(batch.ts_ms.max()))
        columns = self._funnel.add(self._batches.of(batch, self._funnel.scopes))
        self._reached.add(columns)
        self._batch += 1
        self._history.add(self._batch, columns.ts_ms, stored_events.encode(columns, self._funnel))
        self._decide(self.newest_ms)

    def take_back(self, hashes: Hashes) -> None:
        """Take back what was added of some events."""
        if not len(hashes):
            return
        self._history.retract(hashes)
        if (taken := self._history.take_back(self._funnel)) is not None:
            self._reached.add(taken._replace(impressions=-taken.impressions))
            self._decide(self.newest_ms)

    def counted(self, window_ms: int | None) -> Iterator[Counted]:
        """Yield each scope with what was counted in the last `window_ms`, or in all; those of most entries first."""
        pane_ms, funnel = self._funnel.settings.pane_ms, self._funnel
        self._decide(self.newest_ms + pane_ms)
        end = funnel.decided_ms // pane_ms
        first = NO_PANE if window_ms is None else end - -(-window_ms // pane_ms)
        self._credited.expire(first)
        sums = funnel.counts.of_scopes(range(first, end), len(funnel.scopes))
        reached = self._reached.by_scope(first, len(funnel.scopes)).tolist()
        cohorts, people = self._cohorts_from(first * pane_ms // DAY_MS), self._credited_by_scope()
        for scope in np.argsort(-(sums[0] + sums[1]), kind="stable").tolist():
            name = funnel.scopes.names[scope]
            names = people.get(scope, [])
            credited = self._credited.of(name, names)
            stages = FunnelSums(*sums[:, scope].tolist()).plus(self._credited.sums(name))
            whole = ScopeFunnel(stages, cohorts.get(name, {}), self._cohorts.known_before)
            yield Counted(name, reached[scope], whole, names, credited)

    def _decide(self, until_ms: int) -> None:
        for decided in self._funnel.decide(until_ms):
            self._credit(decided.credits)

    def _credit(self, credits_: InfluenceCredits) -> None:
        self._credited.add(credits_)
        self._cohorts.add(credits_)
        self._pairs.add(credits_.scopes << _PERSON_BITS | self._funnel.people.add(credits_.credited))

    def _credited_by_scope(self) -> Mapping[int, list[str]]:
        """Return who was ever credited, by scope."""
        pairs = distinct_in(self._pairs.keys)
        if not len(pairs):
            return {}
        scopes, firsts = np.unique(pairs >> _PERSON_BITS, return_index=True)
        names = self._funnel.people.names
        return {
            scope: [names[person] for person in (group & _PERSON_MASK).tolist()]
            for scope, group in zip(scopes.tolist(), np.split(pairs, firsts[1:]), strict=True)
        }

    def _cohorts_from(self, first_day: int) -> Mapping[ScopeName, Mapping[int, Cohort]]:
        cells, names = self._cohorts.all(), self._cohorts.scope_names
        found: dict[ScopeName, dict[int, Cohort]] = {}
        for day, scope, *counts in zip(
            cells.panes.tolist(), cells.scopes.tolist(), *cells.counts.tolist(), strict=True
        ):
            if day >= first_day:
                found.setdefault(names[scope], {})[day] = Cohort(*counts)
        return found
