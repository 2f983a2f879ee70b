"""The funnel of one partition: which events of its people are entries and amplifying shares, decided pane by pane."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Mask
from stream_app.core.funnel.episodes.deciding import decide
from stream_app.core.funnel.episodes.episode_records import EPISODE, ERASED, SHARED, Records
from stream_app.core.funnel.episodes.episode_table import EpisodeTable
from stream_app.core.funnel.episodes.pending_episodes import PendingEpisodes
from stream_app.core.funnel.funnel_counts import DAY_MS, MEASURES, counts_of, newcomers_of
from stream_app.core.funnel.funnel_events import (
    EventColumns,
    FunnelEvents,
    columns_of,
    entries_of,
    entry_keys,
    shares_of,
)
from stream_app.core.funnel.funnel_keys import FunnelKeys
from stream_app.core.funnel.funnel_scopes import FunnelScopes
from stream_app.core.funnel.funnel_state import FunnelState
from stream_app.core.funnel.funnel_sums import FunnelSums
from stream_app.core.funnel.influence_credits import InfluenceCredits, credits_of, joined
from stream_app.core.funnel.scope_cells import ScopeCells
from stream_app.core.state.interning import Interner
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME

FOREVER_MS = 2**62
_AT_ONCE = 16_384
"""About so many records are decided at a time."""
_UNUSED_KEPT = 1000


class FunnelSettings(NamedTuple):
    """What is decided, in ms of event time."""

    pane_ms: int
    gap_ms: int
    """After so long an absence somebody enters again."""
    share_gap_ms: int = FOREVER_MS
    """A share counts again if its sharer has not shared the post for so long."""
    remember_ms: int = FOREVER_MS
    """How long somebody whose episodes are forgotten is not taken for new."""
    post_key: int = 0
    """Of the hashes of posts, 64 bits: the same in all partitions, whose shares of a post meet at its author's."""


class Decided(NamedTuple):
    """What was decided of some keys."""

    credits: InfluenceCredits
    change: FunnelState
    """It must be durable before the credits are sent, so that the same are sent again after a crash.

    Numbers are those of the funnel, until it forgets: see `FunnelState.with_own_numbers`.
    """


class Funnel:
    """Entries and amplifying shares of the people of one partition."""

    def __init__(self, settings: FunnelSettings, secret: int) -> None:
        """`secret`: of the hashes, 64 bits; the same as long as the state lives."""
        self.settings = settings
        self.keys = FunnelKeys(secret)
        self._post_keys = FunnelKeys(settings.post_key)
        self.scopes = FunnelScopes(self.keys)
        self.people = Interner()
        """Those who are credited."""
        self.entries = EpisodeTable(EPISODE, settings.remember_ms)
        self.shares = EpisodeTable(SHARED, settings.remember_ms)
        self.counts = ScopeCells(len(MEASURES))
        self.newcomers = ScopeCells(1)
        """New people by day."""
        self.decided_ms = NO_TIME
        """All panes up to here are decided."""
        self.start_ms = NO_TIME
        """Events before it are not taken back any more."""
        self._pending_entries = PendingEpisodes(EPISODE, settings.pane_ms, settings.gap_ms)
        self._pending_shares = PendingEpisodes(SHARED, settings.pane_ms, settings.share_gap_ms)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        parts = (self.entries, self.shares, self.counts, self.newcomers, self.people)
        return sum(part.nbytes for part in parts) + self.pending_bytes

    @property
    def pending_bytes(self) -> int:
        """Bytes in memory of events that are not decided."""
        return self._pending_entries.nbytes + self._pending_shares.nbytes

    def add(self, batch: FunnelEvents) -> EventColumns:
        """Add fresh events: none that was counted before, and none that is late. Returns what is to be stored."""
        columns = self.columns_of(batch)
        self.add_again(columns)
        return columns

    def add_again(self, columns: EventColumns) -> None:
        """Add events that were stored before they were decided, with the numbers of this funnel."""
        entries, shares = self._records_of(columns)
        self._pending_entries.add(entries)
        self._pending_shares.add(shares)

    def columns_of(self, batch: FunnelEvents) -> EventColumns:
        """Return events with the hashes and numbers of this funnel."""
        scopes = self.scopes.add_used(batch.scope_names, batch.scopes)
        return columns_of(batch, self.keys, self._post_keys, self.people, scopes)

    def replace(self, retracted: EventColumns, remaining: EventColumns) -> None:
        """Take events back. `remaining`: all others of their people since `start_ms`."""
        entries, shares = self._records_of(retracted)
        other_entries, other_shares = self._records_of(remaining)
        self._pending_entries.replace(entries, other_entries)
        self._pending_shares.replace(shares, other_shares)

    def passes(self, until_ms: int) -> bool:
        """Return whether nothing is to be decided of the panes that end by `until_ms`; then they are decided."""
        if self._pending_entries.has_until(until_ms) or self._pending_shares.has_until(until_ms):
            return False
        self._note_decided(until_ms)
        return True

    def decide(self, until_ms: int, *, early: bool = False) -> Iterator[Decided]:
        """Decide the events of all panes that end by `until_ms`, and late events of panes before.

        `early`: all that is pending, also of later panes, of which later events may still correct it. It is done in
        parts, at least one, each as it is asked for: ask for all of them.
        """
        end_ms = FOREVER_MS if early else until_ms
        count = max(self._pending_entries.begin(end_ms), self._pending_shares.begin(end_ms))
        parts = count // _AT_ONCE + 1
        for part in range(1, parts + 1):
            if part == parts:
                self._note_decided(until_ms)
            yield self._decide(2**64 * part // parts - 2**63)

    def _note_decided(self, until_ms: int) -> None:
        self.decided_ms = max(self.decided_ms, until_ms // self.settings.pane_ms * self.settings.pane_ms)

    def _decide(self, end: int) -> Decided:
        """Decide what has keys below `end`."""
        settings = self.settings
        entries = decide(self.entries, *self._pending_entries.take_below(end), settings.gap_ms, self.start_ms)
        shares = decide(self.shares, *self._pending_shares.take_below(end), settings.share_gap_ms, self.start_ms)
        tables = self.entries.before_window, self.shares.before_window
        for table, decision in zip(tables, (entries, shares), strict=True):
            table.note(*decision.before_window)
        scopes, hashes, people = self.scopes.names, self.scopes.hashes, self.people.names
        counts, newcomers = counts_of(entries, settings.pane_ms), newcomers_of(entries)
        change = FunnelState(
            *(scopes, people, entries.after, shares.after, counts, newcomers, self.decided_ms),
            start_ms=self.start_ms,
            before_window=(tables[0].take_fresh(), tables[1].take_fresh()),
        )
        self._put(change)
        return Decided(joined([credits_of(one, scopes, hashes, people) for one in (entries, shares)]), change)

    def state(self) -> FunnelState:
        """Return all that is decided, with the numbers of the funnel."""
        held = self.entries.all(), self.shares.all(), self.counts.all(), self.newcomers.all()
        before_window = (self.entries.before_window.all(), self.shares.before_window.all())
        known = self.entries.known()
        return FunnelState(
            self.scopes.names, self.people.names, *held, self.decided_ms, known, self.start_ms, before_window
        )

    def restore(self, state: FunnelState) -> None:
        """Restore all that was decided, or what was decided next."""
        self.entries.remember(*state.known)
        self._put(state.with_numbers(self.scopes.add(state.scopes), self.people.add(state.people)))
        self.decided_ms = max(self.decided_ms, state.decided_ms)
        self.start_ms = max(self.start_ms, state.start_ms)
        for table, times in zip((self.entries, self.shares), state.before_window, strict=True):
            table.before_window.note(*times, is_stored=True)

    def sums(self, scope: ScopeName, panes: range | None = None) -> FunnelSums:
        """Return the stages that are counted here, in a window of decided panes, or in all that are kept.

        Participants are right if the last of them is the newest.
        """
        number = self.scopes.find(scope)
        if number is None:
            return FunnelSums()
        by_pane = self.counts.series(number, self.counts.panes if panes is None else panes)
        return FunnelSums(*by_pane.sum(axis=1).tolist())

    def leave(self, leaving: Iterable[EventColumns], start_ms: int) -> None:
        """Note that no event before `start_ms` is taken back from now on. `leaving`: all since it was noted last."""
        for columns in leaving:
            for table, records in zip((self.entries, self.shares), self._records_of(columns), strict=True):
                table.leave(records["key"], records["first_ms"], start_ms)
        for table in (self.entries, self.shares):
            table.forget_ended(start_ms)
        self.start_ms = start_ms

    def forget(self, window_start_ms: int, keep_ms: int = 0) -> None:
        """Forget what no event of the window can change, and not what came in the `keep_ms` before the window."""
        pane = (window_start_ms - max(self.settings.gap_ms, keep_ms)) // self.settings.pane_ms
        before_ms = pane * self.settings.pane_ms  # whole panes: who is forgotten is in no sum of participants any more
        self.entries.forget(before_ms)
        self.shares.forget(window_start_ms - self.settings.share_gap_ms)
        self.counts.forget(pane)
        self.newcomers.forget(before_ms // DAY_MS)
        self._drop_scopes()
        used = np.zeros(len(self.people), np.bool_)
        for credited in (self.entries, self.shares, self._pending_entries, self._pending_shares):
            used[credited.credited] = True
        if np.count_nonzero(~used) > max(_UNUSED_KEPT, len(used) // 2):
            self._keep_people(used)

    def take_out(self, names: Sequence[str]) -> None:
        """Remove people who are erased: their episodes, and their names where they were credited.

        What they did for others and for the sums stays, without a name. Of their shares stay keyed hashes, which are
        forgotten in time.
        """
        persons = self.keys.persons(names)
        for scope in self.scopes.hashes:
            self.entries.take_out(entry_keys(persons, scope))
        self._pending_entries.take_out(persons)
        self._pending_shares.take_out(persons)
        erased = {*names}
        self._keep_people(np.array([name not in erased for name in self.people.names], np.bool_))

    def _put(self, change: FunnelState) -> None:
        self.entries.put(change.entries)
        self.shares.put(change.shares)
        self.counts.add(change.counts)
        self.newcomers.add(change.newcomers)

    def _records_of(self, columns: EventColumns) -> tuple[Records, Records]:
        hashes = self.scopes.hashes[columns.scopes]
        entries = entries_of(columns, hashes, self._pending_entries.dtype)
        return entries, shares_of(columns, hashes, self._pending_shares.dtype)

    def _drop_scopes(self) -> None:
        used = self.counts.used(len(self.scopes)) | self.newcomers.used(len(self.scopes))
        used[self._pending_entries.scopes] = True
        if (numbers := self.scopes.drop(used)) is None:
            return
        for part in (self.counts, self.newcomers):
            part.renumber(numbers)
        for pending in (self._pending_entries, self._pending_shares):
            pending.renumber_scopes(numbers)

    def _keep_people(self, kept: Mask) -> None:
        """Keep only the names of some credited people, and renumber them."""
        numbers = np.where(kept, np.cumsum(kept) - 1, ERASED)
        for part in (self.entries, self.shares, self._pending_entries, self._pending_shares):
            part.renumber_credited(numbers)
        self.people = Interner(name for name, is_kept in zip(self.people.names, kept.tolist(), strict=True) if is_kept)
