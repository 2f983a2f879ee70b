"""The content of a pane, or what a batch added to it, before it is stored in a segment."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask
from stream_app.core.events.identity import Hashing


class Entries(NamedTuple):
    """Counts of users in scopes: columns of equal length."""

    scopes: Ints
    users: Ints
    posts: Ints
    impressions: Ints
    squares: Floats
    """Σ impressions² over the events, needed for the variance of a compound Poisson count."""

    def part(self, run: slice | Mask) -> "Entries":
        """Return some of the entries."""
        return Entries(self.scopes[run], self.users[run], self.posts[run], self.impressions[run], self.squares[run])


_NO_NUMBERS = np.empty(0, np.int64)
NO_ENTRIES = Entries(_NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, _NO_NUMBERS, np.empty(0))
NO_SLOT = -1
"""In the place of the start of a slot: of entries that no short window can hold any more."""


class PaneContent(NamedTuple):
    """The content of a pane, or what a batch added to it, as it is stored in a segment."""

    pane: int
    entries: Mapping[int, Entries]
    """By the start of their slot, ms after the start of the pane; NO_SLOT for those before the short window."""
    hashes: Hashes
    """Of the events, see `Hashing.EVENT`."""
    id_hashes: Mapping[Hashing, Hashes] = {}
    """Of the event ids alone, only for a window after the upgrade from 0.2."""

    def runs(self) -> Iterable["PaneRun"]:
        """Yield the content as runs with entries of one slot and hashes of one kind each."""
        hashes = self.hashes
        for slot_ms, entries in (self.entries or {NO_SLOT: NO_ENTRIES}).items():
            yield PaneRun(self.pane, slot_ms, entries, hashes, Hashing.EVENT)
            hashes = hashes[:0]
        for hashing, hashed in self.id_hashes.items():
            yield PaneRun(self.pane, NO_SLOT, NO_ENTRIES, hashed, hashing)


class PaneRun(NamedTuple):
    """Entries of one slot of a pane, and hashes of one kind of the events of the pane."""

    pane: int
    slot_ms: int
    entries: Entries
    hashes: Hashes
    hashing: Hashing

    def part(self, run: slice) -> "PaneRun":
        """Return some of the entries and hashes, the hashes sorted."""
        return self._replace(entries=self.entries.part(run), hashes=np.sort(self.hashes[run]))
