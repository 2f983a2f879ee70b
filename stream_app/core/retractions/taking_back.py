"""Taking back: subtracts events from a ledger, as if they had never been counted.

The problem: a retraction names an event, and the ledger holds sums. It may come before its event, twice, or for an
event whose pane is sealed, packed or gone; and the worker may crash and restore between any two of these.

The invariant: an event counts if it was read and is not taken back, whatever came first. Two things are remembered. An
event that was counted is subtracted from its pane, and its hash stays there, so that a re-delivery is a duplicate. The
hash of every event that was taken back is kept for a window from the time of its retraction, so that the event never
counts if it is still to come, and a second retraction is a duplicate. Nothing is taken back before it happens, so that
is as long as the event could come.

    read       retraction of e (10:05)       remembered in the pane of 10:05
               event e (10:01)               not counted: it was taken back already
               event f (10:02)               counted in the pane of 10:02
               retraction of f (10:06)       subtracted in the pane of 10:02, remembered in that of 10:06
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.changelog.content.counted_events import NO_EVENTS, CountedEvents, Worth
from stream_app.core.changelog.content.pane_content import PaneContent
from stream_app.core.dedup.deduplicator import UNKNOWN, contained
from stream_app.core.events.identity import Hashing
from stream_app.core.retractions.pane_events import FoundInPane
from stream_app.core.retractions.retraction_batch import Retractions
from stream_app.core.state.applied import Applied
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.panes import Pane, RowEntries, by_slot
from stream_app.core.state.watermark import BatchCounts


class InPane(NamedTuple):
    """Events to be taken back that were found in a pane."""

    pane: int
    found: FoundInPane


class LookedUp(NamedTuple):
    """Retractions, and what the ledger knows of their events."""

    batch: Retractions
    late: Mask
    """Of a time before the window, or of events that a release before 0.4 counted."""
    event: Ints
    """Number of the event of each: an event may be taken back twice."""
    found: list[InPane]
    """Places are numbers of events."""

    def counted(self, fresh: Mask) -> Hashes:
        """Return the hashes of the events that were counted, of those retractions that are `fresh` and not late."""
        known = np.concatenate([self.event[:0], *(found.places for _, found in self.found)])
        return self.batch.hashes[fresh & ~self.late & np.isin(self.event, known)]


def look_up(ledger: Ledger, batch: Retractions) -> LookedUp:
    """Find the events that are taken back. To be followed by `take_back`, with nothing counted in between."""
    ledger.expire()
    hashes, event = np.unique(batch.hashes, return_inverse=True)
    found = list(_found(ledger, hashes))
    late = batch.ts_ms // ledger.window.pane_ms < ledger.window.first_pane(ledger.horizon)
    for _, (events, worth, _) in found:
        if worth is Worth.UNKNOWN:
            late |= np.isin(event, events)
    return LookedUp(batch, late, event, found)


def take_back(
    ledger: Ledger, topic: str, position: int, looked_up: LookedUp, rejected: int, applied_besides: int
) -> Applied:
    """Take events back; `position`: the offset after the batch, `applied_besides`: records of it that say other things.

    The window does not move: a retraction says nothing about what else has happened.
    """
    batch, late, event, found = looked_up
    panes = batch.ts_ms // ledger.window.pane_ms
    fresh = np.zeros(len(late), np.bool_)
    in_time = np.flatnonzero(~late)
    fresh[in_time] = ledger.retracted.first(batch.hashes[in_time], panes[in_time], {})
    are_taken = np.isin(np.arange(event.max(initial=-1) + 1), event[fresh])
    known = np.concatenate([event[:0], *(places for _, (places, _, _) in found)])
    source = ledger.source(topic)
    counts = BatchCounts(
        applied=int(np.count_nonzero(fresh)) + applied_besides,
        duplicate=int(np.count_nonzero(~late & ~fresh)),
        late=int(np.count_nonzero(late)),
        rejected=rejected,
        unknown=int(np.count_nonzero(fresh & ~np.isin(event, known))),
    )
    source.position = position
    source.add(counts)
    contents = [_taken_from(ledger, *one, are_taken) for one in found]
    contents += [_remembered(ledger, pane, batch.hashes[fresh & (panes == pane)]) for pane in _distinct(panes[fresh])]
    if fresh.any():
        ledger.admission.expired()
    nothing = np.zeros(len(fresh), np.bool_)
    return Applied(counts, ~late & ~fresh, nothing, [content for content in contents if content is not None])


def _found(ledger: Ledger, hashes: Hashes) -> Iterator[InPane]:
    """Yield where the events are, those of packed panes too: nothing says in which pane an event was counted."""
    open_panes = ledger.seen.panes_of(hashes)
    elsewhere = open_panes == UNKNOWN
    for number, pane in ledger.panes.items():
        are_here = open_panes == number
        for stored in pane.packed_hashes(Hashing.EVENT) if elsewhere.any() else ():
            are_here |= elsewhere & contained(hashes, stored)
        if not are_here.any():
            continue
        places = np.flatnonzero(are_here)
        for found in ledger.events.find(hashes[places], number, pane, ledger.names):
            yield InPane(number, found._replace(places=places[found.places]))


def _taken_from(ledger: Ledger, number: int, found: FoundInPane, are_taken: Mask) -> PaneContent | None:
    """Subtract those of the events that were found in a pane which are taken back; None if there are none."""
    kept = np.flatnonzero(are_taken[found.places])
    if not len(kept) or found.worth is Worth.NOTHING:
        return None
    events = found.events.at(kept)
    subtracted = {}
    for slot, entries in _entries(ledger, number, events, found.worth).items():
        ledger.subtract(number, slot, entries)
        subtracted[ledger.window.slot_ms(number, slot)] = ledger.named(entries)
    ledger.events.take(number, events.hashes)
    return PaneContent(number, {}, NO_EVENTS.hashes, taken_back=subtracted, taken=events.hashes)


def _entries(ledger: Ledger, number: int, events: CountedEvents, worth: Worth) -> dict[int, RowEntries]:
    """Return what events have added to each slot of their pane."""
    pairs = events.pairs()
    rows = ledger.rows.rows(events.scopes, events.users[pairs])
    impressions = events.impressions[pairs]
    posts = np.full(len(pairs), int(worth is Worth.POST), np.int64)
    slots = ledger.window.slots(number * ledger.window.pane_ms + events.after_ms[pairs])
    return by_slot(slots, RowEntries(rows, posts, impressions, impressions.astype(np.float64) ** 2))


def _remembered(ledger: Ledger, number: int, hashes: Hashes) -> PaneContent:
    ledger.panes.setdefault(number, Pane()).stale = True
    return PaneContent(number, {}, NO_EVENTS.hashes, retractions=hashes)


def _distinct(panes: Ints) -> list[int]:
    numbers: list[int] = np.unique(panes).tolist()
    return numbers
