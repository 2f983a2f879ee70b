"""Reached: the first stage of the funnel, a sum of impressions by scope and pane, not of people."""

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.funnel.funnel_events import EventColumns

_SCOPE_BITS = 24
_SCOPE_MASK = (1 << _SCOPE_BITS) - 1


class Reached:
    """Impressions by pane and scope; scopes are numbers of the funnel."""

    def __init__(self, pane_ms: int) -> None:
        self._pane_ms = pane_ms
        self._cells = HashIndex()
        self._impressions = np.zeros(64, np.int64)

    def add(self, columns: EventColumns) -> None:
        """Add the impressions of a batch."""
        panes = columns.ts_ms[columns.events] // self._pane_ms
        cells = self._cells.add(panes << _SCOPE_BITS | columns.scopes)
        if (size := len(self._cells)) > len(self._impressions):
            self._impressions = np.concatenate([self._impressions, np.zeros(size, np.int64)])
        np.add.at(self._impressions, cells, columns.impressions[columns.events])

    def by_scope(self, first_pane: int, scopes: int) -> Ints:
        """Return the impressions of the panes from `first_pane` on, by scope."""
        keys = self._cells.keys
        chosen = keys >> _SCOPE_BITS >= first_pane
        sums = np.zeros(scopes, np.int64)
        np.add.at(sums, keys[chosen] & _SCOPE_MASK, self._impressions[: len(keys)][chosen])
        return sums
