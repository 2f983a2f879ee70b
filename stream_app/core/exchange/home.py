"""A home: puts together the curves of the scopes at home in one partition, and computes their cuts.

The problem: the users of a scope are spread over all partitions, and the cut needs all of them sorted by value. If
every worker put together every scope, more workers would not help.

How: histograms can be added up. Each scope is at home in one partition, and its owner adds up what all partitions send.

    partition 0 ── additions for home 2 ──┐
    partition 1 ── additions for home 2 ──┼─▶ cells of the scopes at home in 2 ─▶ cuts of those that have changed
    partition 2 ── (its own) ─────────────┘

Invariants: of each partition, the messages of one owner are added in the order of their numbers, none twice and none
left out; after a gap nothing is added until everything is sent again. Cuts count once all partitions have sent it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from stream_app.core.arrays import Ints, Mask, distinct_in
from stream_app.core.changelog.columns import unpack
from stream_app.core.cuts.curve_points import FEW_CELLS, points_of
from stream_app.core.cuts.cut import CurveCuts, cuts_of
from stream_app.core.cuts.cut_interval import intervals_of
from stream_app.core.cuts.histogram import Cells
from stream_app.core.cuts.scope_cuts import MOST_USERS, ScopeCuts, ScopeIntervals
from stream_app.core.decoding import LARGEST
from stream_app.core.exchange.cell_table import CellTable, SourceCells, negated
from stream_app.core.exchange.curve_deltas import EMERGED, FLAGGED
from stream_app.core.exchange.cut_record import VERSION, CutRecord
from stream_app.core.exchange.delta_message import DeltaMessage
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.exchange.heard_messages import HeardMessages
from stream_app.core.exchange.scope_numbers import ScopeNumbers
from stream_app.core.flags.ranking import RANKED, UNRANKED, RankingRules, ranking_of
from stream_app.core.messages import OTHER, OWN_ROLES, ROLE_BITS, ROLE_MASK, ROLES
from stream_app.core.state.interning import Numbers
from stream_app.core.state.scopes import ScopeName

_UNUSED_KEPT = 10_000
"""Scopes without users that may keep their numbers before all scopes are renumbered."""
_MOST_APART = 64
"""Additions that are kept one by one before they are put together."""


class Home:
    """The scopes at home in one partition. Their numbers change only in `forget_unused`."""

    def __init__(self, partitions: int, share: float, rules: RankingRules, pool: Numbers | None = None) -> None:
        """`pool`: the int objects to share with the other homes of the process."""
        self._share = share
        self._rules = rules
        self._heard = HeardMessages(partitions)
        self._table = CellTable()
        self._added: list[SourceCells] = []
        self._changed: list[Ints] = []
        self.names = ScopeNumbers(pool=pool)
        self.cuts = ScopeCuts.empty(64)
        self._used = 0
        """Scopes with users or standings, as of the last `recompute`."""

    @property
    def is_complete(self) -> bool:
        """Whether every partition has sent everything."""
        return self._heard.is_complete

    def unheard(self) -> list[int]:
        """Return the partitions that have to send everything: never heard, or with a gap."""
        return self._heard.unheard()

    def has_heard(self, source: int, epoch: int, next_number: int) -> bool:
        """Return whether all messages of a partition before `next_number` are added; `epoch`: that of its owner."""
        return self._heard.has_heard(source, epoch, next_number)

    def hear(self, message: DeltaMessage) -> None:
        """Add a message; leave out what comes twice, after a gap, or from a former owner."""
        parts = self._heard.hear(message)
        if parts and parts[0].is_everything:
            self._take_out(message.source)
        for part in parts:
            self._take(part)

    def recompute(self, now_ms: int, *, ranks: bool = True) -> Ints:
        """Recompute the cuts of the scopes that have changed; the window ends at `now_ms`. Returns these, sorted.

        `ranks`: whether it is decided anew which of these scopes are ranked.

        Sums that no users can have say that somebody else has written to the topic: the home forgets what it heard, and
        is not complete.
        """
        self._flush()
        changed, self._changed = self._changed, []
        if not changed:
            return np.empty(0, np.int64)
        curves = distinct_in(np.concatenate(changed))
        cells = self._table.of(curves)
        if not _can_be(cells):
            self._heard.forget()
            self._table = CellTable()
            self._changed = [_curves_of(np.arange(len(self.names))).ravel()]
            return np.empty(0, np.int64)
        self.cuts = self.cuts.reaching(len(self.names))
        scopes: Ints = distinct_in(curves >> ROLE_BITS)
        self._used -= int(np.count_nonzero(self._are_used(scopes)))
        before = self.cuts.of(scopes)
        self.cuts.clear(curves & ROLE_MASK, curves >> ROLE_BITS)
        for value, counts in ((FLAGGED, self.cuts.flagged), (EMERGED, self.cuts.emerging)):
            counted = cells.values == value
            counts[cells.curves[counted] & ROLE_MASK, cells.curves[counted] >> ROLE_BITS] = cells.users[counted]
        self._cut(Cells(*(column[cells.values > 0] for column in cells)))
        if ranks:
            self._rank(scopes, before, now_ms)
        else:
            self._changed.append(curves)  # what is not ranked now will be
            self.cuts.ranking[:, scopes], self.cuts.ranked_s[:, scopes] = before.ranking, before.ranked_s
        self._used += int(np.count_nonzero(self._are_used(scopes)))
        return scopes

    def begin(self, former: FollowedCuts) -> None:
        """Have all scopes count as changed, ranked as they are in the cuts of the `former` owner."""
        self._changed = [_curves_of(np.arange(len(self.names))).ravel()]
        self.cuts = self.cuts.reaching(len(self.names))
        known = former.cuts.of(np.array([former.find(name) for name in self.names], np.int64))
        self.cuts.ranking[:, : len(self.names)] = known.ranking
        self.cuts.ranked_s[:, : len(self.names)] = known.ranked_s

    def find(self, scope: ScopeName) -> int | None:
        """Return the number of a scope; None if it is unknown."""
        return self.names.find(scope)

    def cells(self, scope: ScopeName, role: int) -> Cells:
        """Return the cells of one curve, the highest value first; empty if it is unknown."""
        number = self.find(scope)
        self._flush()
        found = self._table.of(np.array([] if number is None else [number << ROLE_BITS | role], np.int64))
        return Cells(*(column[found.values > 0] for column in found))

    def has_users(self, scope: ScopeName, role: int, least: int = 1) -> bool:
        """Return whether a scope has at least so many users with a value."""
        number = self.find(scope)
        return number is not None and number < self.cuts.users.shape[1] and self.cuts.users[role, number] >= least

    def has_any_users(self, scope: ScopeName) -> bool:
        """Return whether a scope has users in any role."""
        return any(self.has_users(scope, role) for role in range(len(ROLES)))

    def curves(self, scopes: Ints) -> Cells:
        """Return the cells of all curves of some scopes (sorted); a curve is scope << ROLE_BITS | role."""
        found = self._table.of(_curves_of(scopes).ravel())
        return Cells(*(column[found.values > 0] for column in found))

    def record(self, scope: ScopeName, few_cells: int = FEW_CELLS) -> CutRecord | None:
        """Return what is known of a scope, a curve of no more than `few_cells` as a whole; None without users."""
        number = self.find(scope)
        if number is None or number >= self.cuts.users.shape[1] or not self.cuts.users[:, number].any():
            return None
        scopes = np.array([number])
        cells = self.curves(scopes)
        ((_, record),) = self.records(scopes, cells, self.intervals(scopes, cells), few_cells)
        return record

    def ranks(self, scope: ScopeName, role: int, values: Ints) -> Ints:
        """Return the rank of each value: users with a higher one, plus one; to the width of a bin."""
        cells = self.cells(scope, role)
        above = np.concatenate([[0], np.cumsum(cells.users)])
        found: Ints = above[np.searchsorted(-cells.values, -values)] + 1
        return found

    def intervals(self, scopes: Ints, cells: Cells) -> ScopeIntervals:
        """Compute the intervals of the cuts of some scopes (sorted) from their cells; none is kept."""
        bounds = ScopeIntervals.empty(len(scopes))
        # Of the others it has heard since.
        is_cut = self.cuts.users[cells.curves & ROLE_MASK, cells.curves >> ROLE_BITS] > 0
        if is_cut.any():
            cells = Cells(*(column[is_cut] for column in cells))
            curves, *found = intervals_of(cells, self._cuts_in(cells), self._share)
            for column, known in zip(bounds, found, strict=True):
                column[curves & ROLE_MASK, np.searchsorted(scopes, curves >> ROLE_BITS)] = known
        return bounds

    def records(
        self, scopes: Ints, cells: Cells, intervals: ScopeIntervals, few_cells: int = FEW_CELLS
    ) -> Iterator[tuple[ScopeName, CutRecord]]:
        """Yield the records of some scopes (sorted) from their cells and intervals; `few_cells`: see `points_of`."""
        points = points_of(cells, few_cells)
        curves = _curves_of(scopes)
        starts, ends = (np.searchsorted(points.curves, curves, side).tolist() for side in ("left", "right"))
        rows = list(zip(*(column.tolist() for column in points[1:]), strict=True))
        known = self.cuts.of(scopes)._asdict() | intervals._asdict()
        is_used = _are_any([known[name] for name in ("users", "flagged", "emerging")])
        roles_of = np.where(is_used, np.arange(1, len(ROLES) + 1)[:, np.newaxis], OWN_ROLES).max(axis=0)
        most = int(roles_of.max(initial=OWN_ROLES))
        columns = {name: column[:most].T.tolist() for name, column in known.items()}
        for place, scope in enumerate(scopes.tolist()):
            roles = int(roles_of[place])
            of_roles = [rows[starts[place][role] : ends[place][role]] for role in range(roles)]
            fields = {name: tuple(values[place]) for name, values in columns.items()}
            if roles < most:
                fields = {name: values[:roles] for name, values in fields.items()}
            yield self.names[scope], CutRecord(version=VERSION, points=tuple(of_roles), **fields)

    def forget_unused(self) -> Ints | None:
        """Renumber the scopes once many of them have no users any more. Returns the numbers kept, in the new order.

        To be called after `recompute`, before anything else is heard.
        """
        if len(self.names) - self._used <= max(_UNUSED_KEPT, self._used):
            return None
        kept: Ints = np.flatnonzero(self._are_used(np.arange(len(self.names))))
        self._table.renumber(_curves_of(kept, 1 << ROLE_BITS).ravel())
        self.names = ScopeNumbers([self.names[number] for number in kept.tolist()], self.names.pool)
        self.cuts = self.cuts.of(kept)
        return kept

    def _are_used(self, scopes: Ints) -> Mask:
        """Return which scopes have users or standings."""
        counts = (self.cuts.users, self.cuts.flagged, self.cuts.emerging)
        return np.asarray(_are_any([column[:, scopes] for column in counts]).any(axis=0))

    def _take(self, message: DeltaMessage) -> None:
        numbers = self.names.add(message.scopes)

        def known_as(curves: Ints) -> Ints:
            known: Ints = numbers[curves >> ROLE_BITS] << ROLE_BITS | curves & ROLE_MASK
            return known

        replaced = known_as(unpack(message.replaced).astype(np.int64))
        if len(replaced):
            self._take_out(message.source, distinct_in(replaced))
        curves, values, users, totals = message.cells()
        sources = np.full(len(curves), message.source)
        self._added.append(SourceCells(known_as(curves), values, sources, users, totals))
        if len(self._added) > _MOST_APART:  # of a home that is not complete nobody asks for cuts
            self._flush()

    def _take_out(self, source: int, curves: Ints | None = None) -> None:
        self._flush()
        self._added.append(negated(self._table.of_source(source, curves)))

    def _cuts_in(self, cells: Cells) -> CurveCuts:
        """Return the cuts that are known of the curves of some cells."""
        curves = distinct_in(cells.curves)
        return CurveCuts(
            curves,
            *(getattr(self.cuts, name)[curves & ROLE_MASK, curves >> ROLE_BITS] for name in CurveCuts._fields[1:]),
        )

    def _flush(self) -> None:
        if self._added:
            added, self._added = self._added, []
            together = SourceCells(*(np.concatenate(columns) for columns in zip(*added, strict=True)))
            self._changed.append(self._table.add(together))
            if len(self._changed) > _MOST_APART:
                self._changed = [distinct_in(np.concatenate(self._changed))]

    def _cut(self, cells: Cells) -> None:
        if not len(cells.curves):
            return
        found = cuts_of(cells, self._share)
        for name, column in zip(CurveCuts._fields[1:], found[1:], strict=True):
            getattr(self.cuts, name)[found.curves & ROLE_MASK, found.curves >> ROLE_BITS] = column

    def _rank(self, scopes: Ints, before: ScopeCuts, now_ms: int) -> None:
        cuts = self.cuts
        ranking = ranking_of(cuts.users[:, scopes], cuts.k[:, scopes], before.ranking, self._rules)
        for place in np.flatnonzero(np.any(ranking > UNRANKED, axis=0)).tolist():
            if OTHER in self.names[int(scopes[place])]:  # its users have nothing in common
                ranking[:, place] = UNRANKED
        since_s = np.where(before.ranking == RANKED, before.ranked_s, max(now_ms // 1000, 0))
        cuts.ranking[:, scopes], cuts.ranked_s[:, scopes] = ranking, np.where(ranking == RANKED, since_s, 0)


def _curves_of(scopes: Ints, roles: int = len(ROLES)) -> Ints:
    """Return the curves of scopes: of shape (scopes, roles)."""
    curves: Ints = scopes[:, np.newaxis] << ROLE_BITS | np.arange(roles)
    return curves


def _are_any(counts: Sequence[Ints]) -> Mask:
    """Return where any of the counts is not zero."""
    found: Mask = np.logical_or.reduce([column != 0 for column in counts])
    return found


def _can_be(cells: Cells) -> bool:
    """Return whether users can have made these cells: none has fewer than no users, or less than they must have."""
    users, totals, values = cells.users.astype(np.float64), cells.totals.astype(np.float64), cells.values
    least = users * np.maximum(values, 0) * (1 - 1e-9)
    starts = np.flatnonzero(np.diff(cells.curves, prepend=-1))
    within = [
        np.all(np.add.reduceat(column, starts) <= most)
        for column, most in ((users, MOST_USERS), (totals, LARGEST))
        if len(starts)
    ]
    return bool(np.all((users > 0) & (totals >= least)) and all(within))
