"""The content of a pane, or what a batch added to it, before it is stored in a segment."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask, at
from stream_app.core.changelog.content.counted_events import IN_COLUMNS, NO_EVENTS, CountedEvents, Worth
from stream_app.core.events.identity import Hashing


class Entries(NamedTuple):
    """Counts of users in scopes: columns of equal length."""

    scopes: Ints
    users: Ints
    posts: Ints
    impressions: Ints
    squares: Floats
    """Σ impressions² over the events, needed for the variance of a compound Poisson count."""
    recruits: Ints | None = None
    """None where all are zero, like the next."""
    amplified: Ints | None = None

    def part(self, run: slice | Mask) -> "Entries":
        """Return some of the entries."""
        own = (self.scopes[run], self.users[run], self.posts[run], self.impressions[run], self.squares[run])
        return Entries(*own, at(self.recruits, run), at(self.amplified, run))


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
    """Of the events that added nothing, see `Hashing.EVENT`."""
    id_hashes: Mapping[Hashing, Hashes] = {}
    """Of the event ids alone, only for a window after the upgrade from 0.2."""
    events: Mapping[Worth, CountedEvents] = {}
    """All other events; of those of unknown worth only the hashes are known."""
    taken_back: Mapping[int, Entries] = {}
    """By slot like `entries`: what is subtracted, because its events were taken back."""
    taken: Hashes = NO_EVENTS.hashes
    """The events that were taken back."""
    retractions: Hashes = NO_EVENTS.hashes
    """Of the events that were taken back at a time in this pane, whenever they happened."""

    def runs(self) -> Iterable["PaneRun"]:
        """Yield the content as runs with entries of one slot and hashes of one kind each."""
        hashes = self.hashes
        for slot_ms, entries in (self.entries or {NO_SLOT: NO_ENTRIES}).items():
            yield PaneRun(self.pane, slot_ms, entries, hashes, Hashing.EVENT)
            hashes = hashes[:0]
        for worth, events in self.events.items():
            yield PaneRun(self.pane, NO_SLOT, NO_ENTRIES, events.hashes, Hashing.EVENT, worth, events)
        for hashing, hashed in self.id_hashes.items():
            yield PaneRun(self.pane, NO_SLOT, NO_ENTRIES, hashed, hashing)
        taken = self.taken
        for slot_ms, entries in (self.taken_back or ({NO_SLOT: NO_ENTRIES} if len(taken) else {})).items():
            yield PaneRun(self.pane, slot_ms, entries, taken, Hashing.TAKEN_BACK)
            taken = taken[:0]
        if len(self.retractions):
            yield PaneRun(self.pane, NO_SLOT, NO_ENTRIES, self.retractions, Hashing.RETRACTION)


class PaneRun(NamedTuple):
    """Entries of one slot of a pane, and hashes of one kind of the events of the pane."""

    pane: int
    slot_ms: int
    entries: Entries
    hashes: Hashes
    hashing: Hashing
    worth: Worth = Worth.NOTHING
    events: CountedEvents = NO_EVENTS
    """Of these hashes, if their worth is in columns."""

    def part(self, run: slice) -> "PaneRun":
        """Return some of the entries and hashes, the hashes sorted."""
        return self.between(run, run).in_order()

    def between(self, entries: slice, hashes: slice) -> "PaneRun":
        """Return some of the entries, and some of the hashes with their events."""
        some = self._replace(entries=self.entries.part(entries), hashes=self.hashes[hashes])
        return some._replace(events=self.events.part(hashes)) if self.worth in IN_COLUMNS else some

    def in_order(self) -> "PaneRun":
        """Return the same with the hashes sorted."""
        if self.worth not in IN_COLUMNS:
            return self._replace(hashes=np.sort(self.hashes))
        order = np.argsort(self.hashes)
        return self._replace(hashes=self.hashes[order], events=self.events.at(order))
