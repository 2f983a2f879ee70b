"""Global cuts: sums the curves of all partitions and computes the cut of every scope and role.

The problem: the users of a scope are spread over all partitions, and the cut needs all of them sorted by value. No
worker can hold them all, and no worker may be special.

The solution: histograms can be added up across partitions. Every partition publishes the curves (histograms) of its
scopes, one message per bucket of scopes. Every worker reads all messages and adds them up. So all workers compute the
same cuts, and none is a single point of failure.

    partition 0 ── bucket 7 ──┐
    partition 1 ── bucket 7 ──┼─▶ merged cells of bucket 7 ─▶ cuts of its scopes
    partition 2 ── bucket 7 ──┘     (recomputed when one of the messages changes)

Invariants: a message holds all scopes that its partition has in its bucket, so it replaces the previous message
entirely. Scope numbers here differ from those of a ledger (`ScopeMap` translates); they are valid for one `generation`.
Change together: `curve_message` (what is sent), `curve_updates` (what a ledger sends), `histogram` (what is exact).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.changelog.columns import unpack
from stream_app.core.cuts.curve_message import BUCKETS, CurveMessage, bucket_of
from stream_app.core.cuts.cut import cuts_of, merge, users_above
from stream_app.core.cuts.histogram import NO_BIN, Cells, bins_of
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

_SCOPES_FORGOTTEN = 10_000
"""Scopes without curves that may keep their numbers before all scopes are renumbered."""


class ScopeCuts(NamedTuple):
    """The cuts of n scopes: arrays of shape (2, n), by role. Zero if a scope has no user with a value."""

    users: Ints
    totals: Ints
    k: Ints
    thresholds: Ints
    ties: Ints
    flagged: Ints
    emerging: Ints
    coverage: Floats
    gini: Floats
    exact: Mask

    @classmethod
    def empty(cls, size: int) -> "ScopeCuts":
        """Return empty cuts for `size` scopes."""
        shape = (2, size)
        users, totals, k, thresholds, ties, flagged, emerging = np.zeros((7, *shape), np.int64)
        coverage, gini = np.zeros((2, *shape))
        exact = np.ones(shape, np.bool_)
        return cls(users, totals, k, thresholds, ties, flagged, emerging, coverage, gini, exact)

    def of(self, scopes: Ints) -> "ScopeCuts":
        """Return the cuts of some scopes, by number."""
        columns: list[Any] = [column[:, scopes] for column in self]
        return ScopeCuts(*columns)


class PartitionCurves(NamedTuple):
    """The latest message of a partition for a bucket, without the names of its scopes, and their numbers."""

    message: CurveMessage
    numbers: Ints


class GlobalCuts:
    """The cuts of all scopes, from the curves received so far."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._curves: list[dict[int, PartitionCurves]] = [{} for _ in range(BUCKETS)]
        self._cells: list[Cells | None] = [None] * BUCKETS
        self._scopes = [np.empty(0, np.int64)] * BUCKETS
        self._dirty: set[int] = set()
        self._numbers: dict[ScopeName, int] = {}
        self._populations: dict[str, str] = {}
        self._cuts = ScopeCuts.empty(64)
        self.names: list[ScopeName] = []
        self.generation = 0
        self.version = 0
        """Increases whenever cuts change."""

    def update(self, curves: CurveMessage) -> None:
        """Apply a message: it replaces the previous curves of its partition and bucket."""
        numbers = self.numbers(curves.scopes)
        nameless = msgspec.structs.replace(curves, scopes=[])
        self._curves[curves.bucket][curves.partition] = PartitionCurves(nameless, numbers)
        self._dirty.add(curves.bucket)

    def numbers(self, scopes: list[ScopeName]) -> Ints:
        """Return the number of each scope. New scopes get the next numbers, even without curves."""
        numbers = [self._number(scope) for scope in scopes]
        if len(self.names) > self._cuts.users.shape[1]:
            wider = ScopeCuts.empty(max(len(self.names), self._cuts.users.shape[1] * 5 // 4))
            for column, known in zip(wider, self._cuts, strict=True):
                column[:, : known.shape[1]] = known
            self._cuts = wider
        return np.array(numbers, np.int64)

    def _number(self, scope: ScopeName) -> int:
        number = self._numbers.get(scope)
        if number is not None:
            return number
        population = self._populations.setdefault(scope.population, scope.population)  # most scopes share one
        name = ScopeName(population, scope.topic)
        number = self._numbers[name] = len(self.names)
        self.names.append(name)
        return number

    def find(self, scope: ScopeName) -> int | None:
        """Return the number of a scope; None if it is unknown."""
        return self._numbers.get(scope)

    def cuts(self, scopes: Ints) -> ScopeCuts:
        """Return the cuts of some scopes, by number."""
        return self._cuts.of(scopes)

    def cells(self, scope: ScopeName, role: int) -> Cells:
        """Return the merged cells of one curve; empty if no partition has it."""
        held = self._cells[bucket_of(scope)]
        if held is None or (number := self.find(scope)) is None:
            return Cells(*np.empty((4, 0), np.int64))
        curve = number << 1 | role
        start, end = np.searchsorted(held.curves, (curve, curve + 1))
        return Cells(*(column[start:end] for column in held))

    def recompute(self) -> list[int]:
        """Recompute the cuts of changed buckets. Returns these buckets."""
        changed = sorted(self._dirty)
        self._dirty.clear()
        for bucket in changed:
            self._recompute(bucket)
        self.version += bool(changed)
        self._forget()
        return changed

    def scopes_of(self, bucket: int) -> Ints:
        """Return the numbers of the scopes with curves in a bucket, as of the last `recompute`."""
        return self._scopes[bucket]

    def ranks(self, scopes: Sequence[ScopeName], roles: Sequence[int] | Ints, values: Ints) -> Ints:
        """Return the rank of each value in its scope and role: users with a higher value, plus one. Exact to a bin."""
        curves = self.numbers(list(scopes)) << 1 | np.asarray(roles, np.int64)
        buckets = np.array([bucket_of(scope) for scope in scopes], np.int64)
        ranks = np.ones(len(values), np.int64)
        for bucket in np.unique(buckets).tolist():
            cells, places = self._cells[bucket], np.flatnonzero(buckets == bucket)
            if cells is not None:
                ranks[places] += users_above(cells, curves[places], values[places])
        return ranks

    def _recompute(self, bucket: int) -> None:
        cuts, curves = self._cuts, self._curves[bucket].values()
        before, self._scopes[bucket] = self._scopes[bucket], np.unique(np.concatenate([n for _, n in curves]))
        for scopes in (before, self._scopes[bucket]):
            for column, blank in zip(cuts, ScopeCuts.empty(len(scopes)), strict=True):
                column[:, scopes] = blank
        all_cells = []
        for message, numbers in curves:
            for role in (0, 1):
                np.add.at(cuts.flagged[role], numbers, unpack(message.flagged[role]).astype(np.int64))
                np.add.at(cuts.emerging[role], numbers, unpack(message.emerging[role]).astype(np.int64))
            cells = message.cells()
            all_cells.append(cells._replace(curves=numbers[cells.curves >> 1] << 1 | cells.curves & 1))
        together = Cells(*(np.concatenate(columns) for columns in zip(*all_cells, strict=True)))
        self._cells[bucket] = merged = merge(together)
        if not len(merged.curves):
            return
        found = cuts_of(merged, self._share)
        place = (found.curves & 1, found.curves >> 1)
        cuts.users[place], cuts.totals[place], cuts.k[place] = found.users, found.totals, found.k
        cuts.thresholds[place], cuts.ties[place] = found.thresholds, found.ties
        cuts.coverage[place], cuts.gini[place], cuts.exact[place] = found.coverage, found.gini, found.exact

    def _forget(self) -> None:
        """Renumber the scopes once many of them no longer have curves."""
        live = sum(map(len, self._scopes))
        if len(self.names) - live <= max(_SCOPES_FORGOTTEN, live):
            return
        self.generation += 1
        self._scopes = [np.empty(0, np.int64)] * BUCKETS
        names = self.names
        self._numbers, self._populations, self.names, self._cuts = {}, {}, [], ScopeCuts.empty(64)
        for bucket, by_partition in enumerate(self._curves):
            for partition, known in by_partition.items():
                by_partition[partition] = known._replace(
                    numbers=self.numbers([names[number] for number in known.numbers.tolist()])
                )
            if by_partition:
                self._recompute(bucket)


class ScopeMap:
    """Maps the scope numbers of one ledger to global ones."""

    def __init__(self) -> None:
        self._state = (-1, -1)
        self._numbers = np.empty(0, np.int64)

    def cuts(self, ledger: Ledger, global_cuts: GlobalCuts) -> ScopeCuts:
        """Return the cuts of the ledger's scopes, by the ledger's scope numbers."""
        state = (ledger.renumbered, global_cuts.generation)
        if state != self._state:
            self._state, self._numbers = state, np.empty(0, np.int64)
        if len(self._numbers) < len(ledger.scopes):
            new = global_cuts.numbers(ledger.scopes.names()[len(self._numbers) :])
            self._numbers = np.concatenate([self._numbers, new])
        return global_cuts.cuts(self._numbers)


def exact_bins(cuts: ScopeCuts) -> Ints:
    """Return the bin of θ by curve (2 · scope + role); the bins around it are kept exact."""
    thresholds = cuts.thresholds.T.reshape(-1)
    return np.where(thresholds > 0, bins_of(np.maximum(thresholds, 1)), NO_BIN)
