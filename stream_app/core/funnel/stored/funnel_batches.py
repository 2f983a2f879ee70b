"""Funnel batches: counted events as the funnel takes them, in the scopes that they count in there."""

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.events.credit import Credits
from stream_app.core.funnel.funnel_events import FunnelEvents
from stream_app.core.funnel.funnel_scopes import FunnelScopes
from stream_app.core.messages import ALL_TOPICS, OTHER
from stream_app.core.state.scope_limits import ScopeLimits
from stream_app.core.state.scopes import ScopeName, ScopeTable

_MOST_REMEMBERED = 20_000
"""Scopes that are numbered here, so that not every batch has to do it anew."""


class FunnelBatches:
    """Makes the batches of one funnel.

    Its scopes are not those of the ledger: an event that adds nothing there, as nobody knows its audience, is one of
    the funnel. What is beyond the limits counts as `(other)` here too.
    """

    def __init__(self, limits: ScopeLimits) -> None:
        self._limits = limits
        self._table = ScopeTable()

    def of(self, batch: Credits, known: FunnelScopes) -> FunnelEvents:
        """Return events; `known`: the scopes that the funnel has."""
        if len(self._table) > _MOST_REMEMBERED:
            self._table = ScopeTable()
        pairs = self._table.of_events(batch.populations, batch.topics, self._limits.topics_per_event)
        scopes = self._table.add_codes(pairs.codes)
        names = self._table.names()
        none = [None] * len(batch.users)
        return FunnelEvents(
            users=batch.users,
            event_ids=batch.event_ids or [""] * len(none),
            ts_ms=batch.ts_ms,
            are_shares=batch.posts == 0,
            authors=batch.authors or none,
            vias=batch.vias or none,
            posts=batch.post_ids or none,
            impressions=batch.impressions,
            events=pairs.events,
            scopes=scopes,
            scope_names=self._within(names, scopes, known) if len(known) + len(names) > self._limits.scopes else names,
            hashes=batch.hashes,
        )

    def _within(self, names: list[ScopeName], scopes: Ints, known: FunnelScopes) -> list[ScopeName]:
        """Return the names with those beyond the limit replaced, in the order in which events name them."""
        room = self._limits.scopes - len(known)
        within = list(names)
        for number in np.unique(scopes).tolist():
            name = names[number]
            if OTHER in name or known.find(name) is not None:
                continue
            if room > 0:
                room -= 1
            elif name.topic == ALL_TOPICS:
                within[number] = ScopeName(OTHER, ALL_TOPICS)
            else:
                within[number] = ScopeName(name.population, OTHER)
        return within
