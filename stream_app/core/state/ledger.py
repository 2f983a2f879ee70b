"""The ledger of one partition: rolling counts per (scope, user) and pane, and the positions they were counted up to.

A batch passes through these steps: drop late events, drop duplicates, assign credit to users and scopes, add it to the
rows and to the panes. The result is the content of the delta segment that makes the batch durable.
"""

from collections.abc import Collection

import numpy as np

from stream_app.core.arrays import Ints, Mask, at
from stream_app.core.changelog.content.counted_events import NO_EVENTS, Worth
from stream_app.core.changelog.content.pane_content import NO_SLOT, PaneContent
from stream_app.core.changelog.restorable_ledger import RestorableLedger
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.dedup.deduplicator import UNKNOWN
from stream_app.core.events.credit import Credits
from stream_app.core.events.identity import Hashing
from stream_app.core.retractions.batch_events import BatchEvents
from stream_app.core.state.applied import Applied
from stream_app.core.state.interning import Interner
from stream_app.core.state.panes import Pane, RowEntries, by_slot, joined, summed
from stream_app.core.state.renumbering import chosen, distinct, renumbered
from stream_app.core.state.short_sums import Moments
from stream_app.core.state.watermark import NO_TIME, BatchCounts, horizon_after, horizon_at

_DEAD_ROWS_KEPT = 1000
_FEW_TAKEN = 8
"""A packed pane is not written again for a smaller part of its events, one in so many, that was taken back."""


class Ledger(RestorableLedger):
    """Rolling counts of one partition over the last `panes` panes of `pane_ms`."""

    def late(self, topic: str, ts_ms: Ints) -> Mask:
        """Return which events of a batch from `topic`, in the order read, are late. Changes nothing."""
        return self.window.late(ts_ms, max(self.source(topic).watermark, self.horizon))

    def apply(
        self, topic: str, position: int, batch: Credits, late: Mask, rejected: int, *, moves_window: bool = True
    ) -> Applied:
        """Count a batch from `topic`, in the order read, and its number of `rejected` records.

        `position`: the offset after the batch; `late`: which events are late, as returned by `late`; `moves_window`:
        False for what others did, which says nothing about what else has happened here. Panes expire only
        in `advance` and at the next batch, so row, scope and user numbers in the result stay valid until then.
        """
        self.expire()  # what the batch before has moved out of the window takes no place from the topics of this one
        source = self.source(topic)
        ts_ms, pane = batch.ts_ms, batch.ts_ms // self.window.pane_ms
        if len(ts_ms) and moves_window:
            if self.since == NO_TIME:
                self.since = int(ts_ms[0])
            source.watermark = max(source.watermark, int(ts_ms.max()))
            self.horizon = horizon_after(self, topic, source.watermark)
        self._advance_short()  # so that what this batch itself moves out of the short window is never added to it
        fresh = self.seen.first(batch, pane, ~late, self.panes)
        duplicate = ~late & ~fresh
        counted = fresh & (self.retracted.panes_of(batch.hashes) == UNKNOWN)
        counts = BatchCounts(
            applied=int(np.count_nonzero(counted)),
            duplicate=int(np.count_nonzero(duplicate)),
            late=int(np.count_nonzero(late)),
            rejected=rejected,
            unknown=int(np.count_nonzero(batch.unknown & counted)),
            retracted=int(np.count_nonzero(fresh & ~counted)),
        )
        source.position = position
        source.add(counts)
        return Applied(counts, duplicate, counted, self._add(batch, pane, fresh, counted))

    def advance(self, newest_ms: int, *, is_reached: bool = False) -> None:
        """Advance the window to the newest event time anywhere, or the slowest lagging source if not `is_reached`."""
        self.horizon = max(self.horizon, newest_ms) if is_reached else horizon_at(self, newest_ms)
        self.expire()

    def forget_packed(self) -> None:
        """Drop packed panes from the deduplication index. Costs the same for many panes as for one."""
        self.seen.forget({number for number, pane in self.panes.items() if pane.packed})

    def take_expired_seals(self) -> list[tuple[SegmentKey, int]]:
        """Return the sealed segments of panes expired since the last call: key of the first part, number of parts."""
        taken, self._expired_seals = self._expired_seals, []
        return taken

    def content(self, pane: int, without: Collection[str] = ()) -> PaneContent:
        """Return the complete content of a pane for sealing, `without` the users that are being erased."""
        held = self.panes[pane]
        short = dict(self._short.entries_of(self.window.slots_of(pane)))
        before = [entries.negative() for entries in short.values()]
        rest = summed(*joined([*self._base(held, without), *held.chunks, *before]))
        parts = {NO_SLOT: rest} | {self.window.slot_ms(pane, slot): entries for slot, entries in short.items()}
        parts = {slot_ms: entries.part(entries.are_some) for slot_ms, entries in parts.items()}
        hashes, id_hashes = self.seen.content(pane, held, self.window.first_pane(self.horizon))
        named = {slot_ms: self.named(entries) for slot_ms, entries in parts.items() if len(entries.rows)}
        events = dict(self.events.content(pane, held, hashes, self.names, without))
        nothing = events.pop(Worth.NOTHING, NO_EVENTS).hashes
        return PaneContent(pane, named, nothing, id_hashes, events, retractions=self.retracted.of_pane(pane))

    def is_patched(self, pane: int) -> bool:
        """Return whether a packed pane has changed by retractions alone, and by few of them."""
        held = self.panes[pane]
        if not (held.packed and held.stale) or self.events.has_new(pane):
            return False
        return self.events.taken(pane) * _FEW_TAKEN <= sum(map(len, held.packed_hashes(Hashing.EVENT)))

    def patches(self, pane: int) -> PaneContent:
        """Return what retractions have changed in a patched pane since it was sealed."""
        held = self.panes[pane]
        less = summed(*joined(held.chunks)).negative()
        less = less.part(less.are_some)
        stored = np.concatenate([NO_EVENTS.hashes, *held.packed_hashes(Hashing.RETRACTION)])
        retractions = self.retracted.of_pane(pane)
        return PaneContent(
            *(pane, {}, NO_EVENTS.hashes),
            taken_back={NO_SLOT: self.named(less)} if len(less.rows) else {},
            taken=self.events.taken_of(pane),
            retractions=retractions[~np.isin(retractions, stored)],
        )

    def take_out(self, users: Collection[str]) -> None:
        """Remove `users` from rows and open panes. The caller then seals stale panes and drops the dead rows."""
        numbers = [number for user in users if (number := self.users.get(user)) is not None]
        gone = np.isin(self.rows.users, numbers)
        for pane in self.panes.values():
            pane.take_out(users, gone)
        self.rows.clear(gone)
        self._short.clear(gone)
        self.events.take_out(np.array(numbers, np.int64))
        self.admission.forget()

    def moments(self, rows: Ints) -> Moments:
        """Return what some rows did in the short window."""
        self._advance_short()
        return self._short.of(rows, self.window.slot(self.horizon), self.rows.roles)

    def subtract(self, number: int, slot: int, entries: RowEntries) -> None:
        """Subtract entries of a slot of a pane, one for each row and sorted by row."""
        less, pane = entries.negative(), self.panes[number]
        pane.add(less.slim())
        self._short.add(slot, less)
        self._count(less)

    def _add(self, batch: Credits, pane: Ints, fresh: Mask, counted: Mask) -> list[PaneContent]:
        """Remember the fresh events, and add those counted. Each slot gets one entry per row, sorted by row."""
        worth = np.flatnonzero(counted & batch.add_something)
        users = self.users.add(chosen(batch.users, worth))
        events, scopes = self.admission.scopes_of(
            self.scopes,
            self.rows,
            users,
            chosen(batch.populations, worth),
            chosen(batch.topics, worth),
            exact=batch.recruits is not None,
        )
        known_rows = len(self.rows)
        rows = self.rows.rows(scopes, users[events])
        self.admission.counted(scopes, self.rows, known_rows)
        added = BatchEvents.of(batch, worth, self.window.pane_ms, users, (events, scopes))
        posts, impressions = batch.posts[worth][events], batch.impressions[worth][events]
        given = (at(at(column, worth), events) for column in (batch.recruits, batch.amplified))
        entries = RowEntries(rows, posts, impressions, impressions.astype(np.float64) ** 2, *given)
        self._count(entries)
        parts = by_slot(self.window.slots(batch.ts_ms[worth][events]), entries)
        numbers, ranks = distinct(pane[fresh])
        order = np.flatnonzero(fresh)[np.argsort(ranks)]
        ends = np.cumsum(np.bincount(ranks, minlength=len(numbers)))
        runs = zip(numbers.tolist(), np.split(order, ends[:-1]), strict=False)  # without events, one run of none
        return [self._add_to_pane(number, parts, batch, run, added) for number, run in runs]

    def _add_to_pane(
        self, number: int, parts: dict[int, RowEntries], batch: Credits, events: Ints, added: BatchEvents
    ) -> PaneContent:
        """Add what a batch has of one pane: its `events`, and those of `parts` (by slot) that are in it."""
        pane, named = self.panes.setdefault(number, Pane()), {}
        pane.stale = True  # an event that is worth nothing is known from now on all the same
        for slot in self.window.slots_of(number):
            if slot in parts:
                pane.add(parts[slot].slim())
                self._short.add(slot, parts[slot])
                named[self.window.slot_ms(number, slot)] = self.named(parts[slot])
        ids = self.seen.added(number, batch.id_hashes[events] if batch.id_hashes is not None else None)
        nothing, by_worth = added.among(events)
        for worth, some in (*by_worth.items(), (Worth.NOTHING, NO_EVENTS._replace(hashes=batch.hashes[nothing]))):
            self.events.add(number, worth, some)
        return PaneContent(number, named, batch.hashes[nothing], ids, by_worth)

    def expire(self) -> None:
        """Take out what has left the window: after a batch it may have moved."""
        self._advance_short()
        first = self.window.first_pane(self.horizon)
        expired = [number for number in self.panes if number < first]
        for number in expired:
            pane = self.panes.pop(number)
            for entries in (*self._base(pane), *pane.chunks):
                self._count(entries.negative())
            if pane.sealed:
                self._expired_seals.append((pane.sealed[0], len(pane.sealed[1])))
        if expired:
            self.admission.expired()
            for known in (self.seen, self.events, self.retracted):
                known.forget(range(min(expired), first))
            # Drop rows only once a quarter of them is dead: this costs O(rows), and so amortised O(1) per event.
            if np.count_nonzero(dead := self.rows.done_with()) > max(_DEAD_ROWS_KEPT, len(self.rows) // 4):
                self.drop_rows(dead)

    def drop_rows(self, dead: Mask) -> None:
        """Drop rows, and the scopes and users that no other row needs; renumber the rest.

        Rows that a pane still has entries of stay: what was taken back is zero only together with a sealed segment.
        """
        kept = ~dead
        for chunk in (chunk for pane in self.panes.values() for chunk in pane.chunks):
            kept[chunk.rows] = True
        scopes, new_scopes = renumbered(self.rows.scopes[kept], len(self.scopes))
        users, new_users = renumbered(self.rows.users[kept], len(self.users))
        new_rows = self.rows.renumber(kept, new_scopes, new_users)
        self._short.renumber(new_rows, kept)
        self.events.renumber(new_users, new_scopes)
        self.scopes = self.scopes.renumber(scopes)
        self.users = Interner((self.users.names[user] for user in users.tolist()), self.users.numbers)
        self.renumbered += 1
        self.admission.forget()
        for pane in self.panes.values():
            pane.chunks = [chunk._replace(rows=new_rows[chunk.rows]).slim() for chunk in pane.chunks]
