"""The curves of all partitions put together: the cut of every scope and role."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.changelog.columns import unpack
from stream_app.core.cuts.curve_message import BUCKETS, CurveMessage, bucket_of
from stream_app.core.cuts.cut import cuts_of, merge, users_above
from stream_app.core.cuts.histogram import NO_BIN, Cells, bins_of
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName

_SCOPES_FORGOTTEN = 10_000
"""So many scopes that nobody tells of any more may stay numbered."""


class ScopeCuts(NamedTuple):
    """The cuts of n scopes: arrays of shape (2, n), by role; zero where a scope has no user with a value."""

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
        """No cut for `size` scopes."""
        shape = (2, size)
        users, totals, k, thresholds, ties, flagged, emerging = np.zeros((7, *shape), np.int64)
        coverage, gini = np.zeros((2, *shape))
        exact = np.ones(shape, np.bool_)
        return cls(users, totals, k, thresholds, ties, flagged, emerging, coverage, gini, exact)

    def of(self, scopes: Ints) -> "ScopeCuts":
        """The cuts of some scopes, by number."""
        columns: list[Any] = [column[:, scopes] for column in self]
        return ScopeCuts(*columns)


class PartitionCurves(NamedTuple):
    """A message, and the numbers of its scopes."""

    message: CurveMessage
    numbers: Ints


class GlobalCuts:
    """All scopes, as far as the partitions have told. Scopes are numbered; the numbers hold for one `generation`."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._told: list[dict[int, PartitionCurves]] = [{} for _ in range(BUCKETS)]
        self._cells: list[Cells | None] = [None] * BUCKETS
        self._scopes = [np.empty(0, np.int64)] * BUCKETS
        self._dirty: set[int] = set()
        self._numbers: dict[ScopeName, int] = {}
        self._cuts = ScopeCuts.empty(64)
        self.names: list[ScopeName] = []
        self.generation = 0
        self.version = 0
        """Grows with every change."""

    def tell(self, curves: CurveMessage) -> None:
        """A partition's word on one bucket; it replaces the one before."""
        self._told[curves.bucket][curves.partition] = PartitionCurves(curves, self.numbers(curves.scopes))
        self._dirty.add(curves.bucket)

    def numbers(self, scopes: list[ScopeName]) -> Ints:
        """The number of each scope; scopes that nobody has told of get one too, and no cut."""
        numbers = [self._numbers.setdefault(scope, len(self._numbers)) for scope in scopes]
        self.names += [scope for scope, number in zip(scopes, numbers, strict=True) if number >= len(self.names)]
        if len(self.names) > self._cuts.users.shape[1]:
            wider = ScopeCuts.empty(2 * len(self.names))
            for column, known in zip(wider, self._cuts, strict=True):
                column[:, : known.shape[1]] = known
            self._cuts = wider
        return np.array(numbers, np.int64)

    def find(self, scope: ScopeName) -> int | None:
        """The number of a scope; None where nobody has told of it."""
        return self._numbers.get(scope)

    def cuts(self, scopes: Ints) -> ScopeCuts:
        """The cuts of some scopes, by number."""
        return self._cuts.of(scopes)

    def cells(self, scope: ScopeName, role: int) -> Cells:
        """The merged cells of one curve; none where nobody has told of it."""
        held = self._cells[bucket_of(scope)]
        if held is None or (number := self.find(scope)) is None:
            return Cells(*np.empty((4, 0), np.int64))
        curve = number << 1 | role
        start, end = np.searchsorted(held.curves, (curve, curve + 1))
        return Cells(*(column[start:end] for column in held))

    def recompute(self) -> list[int]:
        """Bring the cuts up to date; returns the buckets that changed."""
        changed = sorted(self._dirty)
        self._dirty.clear()
        for bucket in changed:
            self._recompute(bucket)
        self.version += bool(changed)
        self._forget()
        return changed

    def scopes_of(self, bucket: int) -> Ints:
        """Numbers of the scopes that any partition tells of in a bucket, as last recomputed."""
        return self._scopes[bucket]

    def ranks(self, scopes: Sequence[ScopeName], roles: Sequence[int] | Ints, values: Ints) -> Ints:
        """Users of the scope and role with a higher value, plus one, by value; exact but for the width of a bin."""
        curves = self.numbers(list(scopes)) << 1 | np.asarray(roles, np.int64)
        buckets = np.array([bucket_of(scope) for scope in scopes], np.int64)
        ranks = np.ones(len(values), np.int64)
        for bucket in np.unique(buckets).tolist():
            cells, places = self._cells[bucket], np.flatnonzero(buckets == bucket)
            if cells is not None:
                ranks[places] += users_above(cells, curves[places], values[places])
        return ranks

    def _recompute(self, bucket: int) -> None:
        cuts, told = self._cuts, self._told[bucket].values()
        before, self._scopes[bucket] = self._scopes[bucket], np.unique(np.concatenate([n for _, n in told]))
        for scopes in (before, self._scopes[bucket]):
            for column, blank in zip(cuts, ScopeCuts.empty(len(scopes)), strict=True):
                column[:, scopes] = blank
        told_cells = []
        for message, numbers in told:
            for role in (0, 1):
                np.add.at(cuts.flagged[role], numbers, unpack(message.flagged[role]).astype(np.int64))
                np.add.at(cuts.emerging[role], numbers, unpack(message.emerging[role]).astype(np.int64))
            cells = message.cells()
            told_cells.append(cells._replace(curves=numbers[cells.curves >> 1] << 1 | cells.curves & 1))
        together = Cells(*(np.concatenate(columns) for columns in zip(*told_cells, strict=True)))
        self._cells[bucket] = merged = merge(together)
        if not len(merged.curves):
            return
        found = cuts_of(merged, self._share)
        place = (found.curves & 1, found.curves >> 1)
        cuts.users[place], cuts.totals[place], cuts.k[place] = found.users, found.totals, found.k
        cuts.thresholds[place], cuts.ties[place] = found.thresholds, found.ties
        cuts.coverage[place], cuts.gini[place], cuts.exact[place] = found.coverage, found.gini, found.exact

    def _forget(self) -> None:
        """Number the scopes anew once many of them are not told of any more."""
        live = sum(map(len, self._scopes))
        if len(self.names) - live <= max(_SCOPES_FORGOTTEN, live):
            return
        self.generation += 1
        self._scopes = [np.empty(0, np.int64)] * BUCKETS
        self._numbers, self.names, self._cuts = {}, [], ScopeCuts.empty(64)
        for bucket, told in enumerate(self._told):
            for partition, known in told.items():
                told[partition] = PartitionCurves(known.message, self.numbers(known.message.scopes))
            if told:
                self._recompute(bucket)


class ScopeMap:
    """Where the scopes of one ledger are among all."""

    def __init__(self) -> None:
        self._state = (-1, -1)
        self._numbers = np.empty(0, np.int64)

    def cuts(self, ledger: Ledger, global_cuts: GlobalCuts) -> ScopeCuts:
        """The cuts of the ledger's scopes, by its own scope numbers."""
        state = (ledger.renumbered, global_cuts.generation)
        if state != self._state:
            self._state, self._numbers = state, np.empty(0, np.int64)
        if len(self._numbers) < len(ledger.scopes):
            new = global_cuts.numbers(ledger.scopes.names()[len(self._numbers) :])
            self._numbers = np.concatenate([self._numbers, new])
        return global_cuts.cuts(self._numbers)


def exact_bins(cuts: ScopeCuts) -> Ints:
    """The bin of θ by curve (2 · scope + role): the neighbourhood to keep exact."""
    thresholds = cuts.thresholds.T.reshape(-1)
    return np.where(thresholds > 0, bins_of(np.maximum(thresholds, 1)), NO_BIN)
