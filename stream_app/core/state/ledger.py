"""The ledger of one partition: rolling counts per (scope, user) and pane, and the positions they were counted up to.

A batch passes through these steps: drop late events, drop duplicates, assign credit to users and scopes, add it to the
rows and to the panes. The result is the content of the delta segment that makes the batch durable.
"""

from collections.abc import Collection, Container, Iterable, Iterator

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.changelog.pane_content import NO_SLOT, Entries, PaneContent
from stream_app.core.changelog.segments import Header, Segment, SegmentKey, StoredRun
from stream_app.core.dedup.seen_events import SeenEvents
from stream_app.core.events.credit import Credits
from stream_app.core.events.identity import HashingPlan
from stream_app.core.state.applied import Applied
from stream_app.core.state.interning import Interner, Numbers
from stream_app.core.state.panes import Pane, RowEntries, by_slot, joined, summed
from stream_app.core.state.renumbering import chosen, distinct, renumbered
from stream_app.core.state.rows import RowTable
from stream_app.core.state.scope_limits import ScopeAdmission, ScopeLimits
from stream_app.core.state.scopes import ScopeTable
from stream_app.core.state.short_sums import Moments, ShortSums
from stream_app.core.state.watermark import NO_TIME, BatchCounts, Source, horizon_after, horizon_at
from stream_app.core.state.window import Window

_DEAD_ROWS_KEPT = 1000


class Ledger:
    """Rolling counts of one partition over the last `panes` panes of `pane_ms`."""

    def __init__(
        self,
        pane_ms: int,
        panes: int,
        short_panes: int,
        numbers: Numbers | None = None,
        limits: ScopeLimits = ScopeLimits(),  # noqa: B008 - immutable
        event_key: int = 0,
    ) -> None:
        """`numbers`: the pool of ints to share with the other ledgers of the process.

        `event_key`: the secret for the hashes of events, if the log turns out to have none.
        """
        self.window = Window(pane_ms, panes, short_panes)
        self.users = Interner(numbers=numbers)
        self.scopes = ScopeTable(self.users.numbers)
        self.rows = RowTable()
        self._short = ShortSums()
        self.panes: dict[int, Pane] = {}
        self.admission = ScopeAdmission(limits)
        self.event_key = event_key
        self.seen = SeenEvents()
        self._expired_seals: list[tuple[SegmentKey, int]] = []
        self.sources: dict[str, Source] = {}
        self.lagging: set[str] = set()
        """Sources with unread records. The window waits for their older events."""
        self.read_up_ms: dict[str, int] = {}
        self.horizon = NO_TIME
        """Event time at which the window ends, epoch ms."""
        self.since = NO_TIME
        """Event time of the first event read, epoch ms."""
        self.erased = 0
        """Offset in the erasures topic up to which erasures are carried out here."""
        self.renumbered = 0
        """Increases whenever rows, scopes and users are renumbered."""

    def source(self, topic: str) -> Source:
        """Return the state of a source topic; create it if the topic was never read."""
        return self.sources.setdefault(topic, Source())

    def header(self, oldest: int = 0) -> Header:
        """Return the state to store with a segment; `oldest`: sequence number of the oldest delta still needed."""
        state = (self.sources, self.horizon, self.since, oldest, self.erased)
        return Header(*state, pane_ms=self.window.pane_ms, event_key=self.event_key)

    @property
    def hashing(self) -> HashingPlan:
        """Which hashes `apply` needs of the events of a batch."""
        return HashingPlan(self.event_key, self.seen.compares_ids(self.window.first_pane(self.horizon)))

    def late(self, topic: str, ts_ms: Ints) -> Mask:
        """Return which events of a batch from `topic`, in the order read, are late. Changes nothing."""
        return self.window.late(ts_ms, max(self.source(topic).watermark, self.horizon))

    def apply(self, topic: str, position: int, batch: Credits, late: Mask, rejected: int) -> Applied:
        """Count a batch from `topic`, in the order read, and its number of `rejected` records.

        `position`: the offset after the batch; `late`: which events are late, as returned by `late`. Panes expire only
        in `advance` and at the next batch, so row, scope and user numbers in the result stay valid until then.
        """
        self.expire()  # what the batch before has moved out of the window takes no place from the topics of this one
        source = self.source(topic)
        ts_ms, pane = batch.ts_ms, batch.ts_ms // self.window.pane_ms
        if len(ts_ms):
            if self.since == NO_TIME:
                self.since = int(ts_ms[0])
            source.watermark = max(source.watermark, int(ts_ms.max()))
            self.horizon = horizon_after(self, topic, source.watermark)
        self._advance_short()  # so that what this batch itself moves out of the short window is never added to it
        fresh = self.seen.first(batch, pane, ~late, self.panes)
        duplicate = ~late & ~fresh
        counts = BatchCounts(
            applied=int(np.count_nonzero(fresh)),
            duplicate=int(np.count_nonzero(duplicate)),
            late=int(np.count_nonzero(late)),
            rejected=rejected,
            unknown=int(np.count_nonzero(batch.unknown & fresh)),
        )
        source.position = position
        source.add(counts)
        return Applied(counts, duplicate, self._add(batch, pane, fresh))

    def advance(self, newest_ms: int, *, is_reached: bool = False) -> None:
        """Advance the window to the newest event time anywhere, or the slowest lagging source if not `is_reached`."""
        self.horizon = max(self.horizon, newest_ms) if is_reached else horizon_at(self, newest_ms)
        self.expire()

    def restore(self, header: Header) -> None:
        """Restore the state from a header. Restore panes and deltas after it. Raises FormatError for other panes."""
        header.require_panes(self.window.pane_ms)
        self.admission.forget()
        self.sources, self.horizon, self.since = header.sources, header.horizon, header.since
        self.erased, self.event_key = header.erased, header.event_key or self.event_key
        self._advance_short()

    def restore_sealed(self, number: int, key: SegmentKey, parts: list[Segment]) -> None:
        """Restore a sealed pane, unless it has left the window."""
        if number < self.window.first_pane(self.horizon):
            return
        pane = self.panes.setdefault(number, Pane())
        settled = self.is_settled(number)
        for run, entries in self._load(parts):
            self._restore_run(run, entries, settled=settled)
        pane.seal(key, parts, pack=settled)

    def restore_delta(self, parts: list[Segment], sealed: Container[int]) -> None:
        """Restore what a batch added, except in panes whose seal contains it (`sealed`) or that have expired."""
        first = self.window.first_pane(self.horizon)
        needed = {pane for part in parts for pane in part.panes if pane >= first and pane not in sealed}
        # Skip superseded parts altogether, names included: they may name people who were erased.
        for run, entries in self._load(part for part in parts if not needed.isdisjoint(part.panes)):
            if run.pane in needed:
                self._restore_run(run, entries, settled=False)

    def seal(self, number: int, key: SegmentKey, parts: list[Segment], *, pack: bool) -> None:
        """Mark a pane as stored in `parts`. With `pack` they are its only copy from now on."""
        self.panes[number].seal(key, parts, pack=pack)

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
        parts = {NO_SLOT: rest.part((rest.posts != 0) | (rest.impressions != 0))}
        parts |= {self.window.slot_ms(pane, slot): entries for slot, entries in short.items()}
        hashes, id_hashes = self.seen.content(pane, held, self.window.first_pane(self.horizon))
        named = {slot_ms: self._named(entries) for slot_ms, entries in parts.items() if len(entries.rows)}
        return PaneContent(pane, named, hashes, id_hashes)

    def take_out(self, users: Collection[str]) -> None:
        """Remove `users` from rows and open panes. The caller then seals stale panes and drops the dead rows."""
        numbers = [number for user in users if (number := self.users.get(user)) is not None]
        gone = np.isin(self.rows.users, numbers)
        for pane in self.panes.values():
            pane.take_out(users, gone)
        self.rows.clear(gone)
        self._short.clear(gone)
        self.admission.forget()

    def moments(self, rows: Ints) -> Moments:
        """Return what some rows did in the short window."""
        self._advance_short()
        return self._short.of(rows, self.window.slot(self.horizon))

    def is_settled(self, pane: int) -> bool:
        """Return whether a pane is older than the short window, so that nothing reads it until it expires."""
        return (pane + 1) * self.window.pane_ms <= self.window.short_start_ms(self.horizon)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, without the stored segments."""
        panes = sum(pane.nbytes for pane in self.panes.values() if pane.chunks)
        return self.rows.nbytes + self._short.nbytes + self.seen.nbytes + self.users.nbytes + panes

    def _add(self, batch: Credits, pane: Ints, fresh: Mask) -> list[PaneContent]:
        """Add the fresh events. Each slot gets one entry per row, sorted by row."""
        worth = np.flatnonzero(fresh & ((batch.posts > 0) | (batch.impressions > 0)))
        users = self.users.add(chosen(batch.users, worth))
        events, scopes = self.admission.scopes_of(
            self.scopes, self.rows, users, chosen(batch.populations, worth), chosen(batch.topics, worth)
        )
        known_rows = len(self.rows)
        rows = self.rows.rows(scopes, users[events])
        self.admission.counted(scopes, self.rows, known_rows)
        posts, impressions = batch.posts[worth][events], batch.impressions[worth][events]
        entries = RowEntries(rows, posts, impressions, impressions.astype(np.float64) ** 2)
        self._count(entries)
        parts = by_slot(self.window.slots(batch.ts_ms[worth][events]), entries)
        numbers, ranks = distinct(pane[fresh])
        order = np.flatnonzero(fresh)[np.argsort(ranks)]
        ends = np.cumsum(np.bincount(ranks, minlength=len(numbers)))
        runs = zip(numbers.tolist(), np.split(order, ends[:-1]), strict=False)  # without events, one run of none
        return [self._add_to_pane(number, parts, batch, run) for number, run in runs]

    def _add_to_pane(self, number: int, parts: dict[int, RowEntries], batch: Credits, events: Ints) -> PaneContent:
        """Add what a batch has of one pane: its `events`, and those of `parts` (by slot) that are in it."""
        pane, named = self.panes.setdefault(number, Pane()), {}
        pane.stale = True  # an event that is worth nothing is known from now on all the same
        for slot in self.window.slots_of(number):
            if slot in parts:
                pane.add(parts[slot].slim())
                self._short.add(slot, parts[slot])
                named[self.window.slot_ms(number, slot)] = self._named(parts[slot])
        ids = self.seen.added(number, batch.id_hashes[events] if batch.id_hashes is not None else None)
        return PaneContent(number, named, batch.hashes[events], ids)

    def _restore_run(self, run: StoredRun, entries: RowEntries, *, settled: bool) -> None:
        self._count(entries)
        self.seen.note(run.pane, run.hashes, run.hashing)
        if settled:
            return
        self.panes.setdefault(run.pane, Pane()).add(entries.slim())
        self.seen.restore(run.hashes, run.pane, run.hashing)
        if run.slot_ms != NO_SLOT:
            self._short.add(self.window.slot(run.pane * self.window.pane_ms + run.slot_ms), summed(*entries))

    def _count(self, entries: RowEntries) -> None:
        self.rows.add(entries.rows, entries.posts, entries.impressions, entries.squares)

    def _named(self, entries: RowEntries) -> Entries:
        scopes, users = self.rows.scopes_of(entries.rows), self.rows.users_of(entries.rows)
        return Entries(scopes, users, entries.posts, entries.impressions, entries.squares)

    def _base(self, pane: Pane, without: Collection[str] = ()) -> list[RowEntries]:
        if pane.sealed is None or not pane.packed:
            return []
        return [entries for _, entries in self._load(pane.sealed[1], without)]

    def _load(self, parts: Iterable[Segment], without: Collection[str] = ()) -> Iterator[tuple[StoredRun, RowEntries]]:
        """Yield stored runs with their entries by row. Creates missing rows, but adds nothing to them."""
        for part in parts:
            names = part.users()
            scopes, users = self.scopes.add(part.scopes()), self.users.add(names)
            left_out = [number for number, name in enumerate(names) if name in without] if without else []
            for run in part.runs():
                entries = part.entries(run.entries)
                if left_out:
                    entries = entries.part(~np.isin(entries.users, left_out))
                rows = self.rows.rows(scopes[entries.scopes], users[entries.users])
                yield run, RowEntries(rows, entries.posts, entries.impressions, entries.squares)

    def _advance_short(self) -> None:
        self._short.advance(self.window.first_short_slot(self.horizon))

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
            self.seen.forget(range(min(expired), first))
            # Drop rows only once a quarter of them is dead: this costs O(rows), and so amortised O(1) per event.
            if np.count_nonzero(dead := self.rows.done_with()) > max(_DEAD_ROWS_KEPT, len(self.rows) // 4):
                self.drop_rows(dead)

    def drop_rows(self, dead: Mask) -> None:
        """Drop rows, and the scopes and users that no other row needs; renumber the rest."""
        kept = ~dead
        scopes, new_scopes = renumbered(self.rows.scopes[kept], len(self.scopes))
        users, new_users = renumbered(self.rows.users[kept], len(self.users))
        new_rows = self.rows.renumber(kept, new_scopes, new_users)
        self._short.renumber(new_rows, kept)
        self.scopes = self.scopes.renumber(scopes)
        self.users = Interner((self.users.names[user] for user in users.tolist()), self.users.numbers)
        self.renumbered += 1
        self.admission.forget()
        for pane in self.panes.values():
            pane.chunks = [chunk._replace(rows=new_rows[chunk.rows]).slim() for chunk in pane.chunks]
