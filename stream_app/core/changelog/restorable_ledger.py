"""What a ledger holds, and how it is restored from the segments of its log."""

from collections.abc import Collection, Container, Iterable, Iterator

import numpy as np

from stream_app.core.changelog.content.pane_content import NO_SLOT, Entries
from stream_app.core.changelog.header import Header
from stream_app.core.changelog.segments import Segment, SegmentKey, StoredRun
from stream_app.core.dedup.deduplicator import Deduplicator
from stream_app.core.dedup.seen_events import SeenEvents
from stream_app.core.events.identity import Hashing, HashingPlan
from stream_app.core.retractions.pane_events import Names, PaneEvents
from stream_app.core.state.interning import Interner, Numbers
from stream_app.core.state.panes import Pane, RowEntries, summed
from stream_app.core.state.rows import RowTable
from stream_app.core.state.scope_limits import ScopeAdmission, ScopeLimits
from stream_app.core.state.scopes import ScopeTable
from stream_app.core.state.short_sums import ShortSums
from stream_app.core.state.watermark import NO_TIME, Source
from stream_app.core.state.window import Window


class RestorableLedger:
    """The state of a ledger; `Ledger` counts."""

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
        self.events = PaneEvents()
        self.retracted = Deduplicator(Hashing.RETRACTION)
        """The events that were taken back at a time in the window, by the pane of that time; in packed panes too."""
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

    def header(self, oldest: int = 0, carried: int = 0) -> Header:
        """Return the state to store with a segment; `oldest`: sequence number of the oldest delta still needed."""
        state = (self.sources, self.horizon, self.since, oldest, self.erased)
        return Header(*state, pane_ms=self.window.pane_ms, event_key=self.event_key, carried=carried)

    @property
    def hashing(self) -> HashingPlan:
        """Which hashes `apply` needs of the events of a batch."""
        return HashingPlan(self.event_key, self.seen.compares_ids(self.window.first_pane(self.horizon)))

    @property
    def names(self) -> Names:
        """The numbers of users and scopes."""
        return Names(self.users, self.scopes)

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
        self.panes.setdefault(number, Pane())
        settled = self.is_settled(number)
        for run, entries in self._load(parts):
            self._restore_run(run, entries, settled=settled)
        for part in parts if not settled else ():
            self.events.restore(part, {number}, self.names)
        self.seal(number, key, parts, pack=settled)

    def restore_delta(self, parts: list[Segment], sealed: Container[int]) -> None:
        """Restore what a batch added, except in panes whose seal contains it (`sealed`) or that have expired."""
        first = self.window.first_pane(self.horizon)
        needed = {pane for part in parts for pane in part.panes if pane >= first and pane not in sealed}
        # Skip superseded parts altogether, names included: they may name people who were erased.
        for run, entries in self._load(part for part in parts if not needed.isdisjoint(part.panes)):
            if run.pane in needed:
                self._restore_run(run, entries, settled=False)
        for part in parts:
            self.events.restore(part, needed.intersection(part.panes), self.names)

    def seal(self, number: int, key: SegmentKey, parts: list[Segment], *, pack: bool) -> None:
        """Mark a pane as stored in `parts`. With `pack` they are its only copy from now on."""
        self.panes[number].seal(key, parts, pack=pack)
        if pack:
            self.events.forget({number})

    def is_settled(self, pane: int) -> bool:
        """Return whether a pane is older than the short window, so that nothing reads it until it expires."""
        return (pane + 1) * self.window.pane_ms <= self.window.short_start_ms(self.horizon)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, without the stored segments."""
        panes = sum(pane.nbytes for pane in self.panes.values() if pane.chunks)
        tables = self.rows.nbytes + self._short.nbytes + self.users.nbytes
        return tables + panes + self.seen.nbytes + self.retracted.nbytes + self.events.nbytes

    def _restore_run(self, run: StoredRun, entries: RowEntries, *, settled: bool) -> None:
        if run.hashing is Hashing.TAKEN_BACK:
            entries = entries.negative()
            self.events.take(run.pane, run.hashes)
        self._count(entries)
        self.seen.note(run.pane, run.hashes, run.hashing)
        if run.hashing is Hashing.RETRACTION:
            self.retracted.restore(run.hashes, run.pane)
        if settled:
            return
        self.panes.setdefault(run.pane, Pane()).add(entries.slim())
        self.seen.restore(run.hashes, run.pane, run.hashing)
        if run.slot_ms != NO_SLOT:
            self._short.add(self.window.slot(run.pane * self.window.pane_ms + run.slot_ms), summed(*entries))

    def _count(self, entries: RowEntries) -> None:
        self.rows.add(*entries)

    def named(self, entries: RowEntries) -> Entries:
        """Return entries with scope and user in place of the row."""
        scopes, users = self.rows.scopes_of(entries.rows), self.rows.users_of(entries.rows)
        return Entries(scopes, users, *entries[1:])

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
                yield run, RowEntries(rows, *entries[2:])

    def _advance_short(self) -> None:
        self._short.advance(self.window.first_short_slot(self.horizon))
