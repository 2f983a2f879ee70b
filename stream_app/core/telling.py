"""What a ledger tells the others: the curves of its scopes that changed since it last told."""

import numpy as np
from numpy.typing import NDArray

from stream_app.core.curve import cells_of
from stream_app.core.ledger import Ledger
from stream_app.core.scopes import ScopeName
from stream_app.core.standing import EMERGING, ENTERED
from stream_app.core.whole import BUCKETS, VERSION, Curves, ScopeCuts, bucket_of, exact_bins, packed


class Teller:
    """Remembers what one ledger has told."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._told = set(range(BUCKETS))  # an owner before may have told of any
        self._renumbered = -1
        self._names: list[ScopeName] = []
        self._buckets = np.empty(0, np.int64)

    def tell(self, ledger: Ledger, cuts: ScopeCuts) -> list[Curves]:
        """One message per bucket with a changed scope, or with a θ not yet known exactly; `cuts` by scope number."""
        self._name_scopes(ledger)
        rows = ledger.rows
        scopes = rows.scopes
        changed = np.zeros(len(self._names), np.bool_)
        changed[scopes[rows.touched]] = True
        changed |= ~cuts.exact.all(axis=0)
        rows.touched[:] = False
        dirty = set(self._buckets[changed].tolist()) | self._gone(ledger)
        if not dirty:
            return []
        wanted = np.isin(self._buckets, list(dirty))
        held = np.flatnonzero(wanted[scopes])
        curves = np.concatenate([scopes[held] << 1, scopes[held] << 1 | 1])
        cells = cells_of(curves, rows.totals[:, held].reshape(-1), exact_bins(cuts))
        standing_counts = self._standing_counts(ledger)
        bucket_of_cell = self._buckets[cells.curves >> 1]
        messages = []
        for bucket in sorted(dirty):
            numbers = np.flatnonzero(self._buckets == bucket)
            local = np.zeros(len(self._names), np.int64)
            local[numbers] = np.arange(len(numbers))
            chosen = bucket_of_cell == bucket
            picked = cells._replace(**{name: column[chosen] for name, column in cells._asdict().items()})
            picked = picked._replace(curves=local[picked.curves >> 1] << 1 | picked.curves & 1)
            curve, value, users, total = packed(picked)
            flagged, emerging = standing_counts
            messages.append(
                Curves(
                    version=VERSION,
                    partition=self._partition,
                    bucket=bucket,
                    horizon=ledger.horizon,
                    scopes=[self._names[number] for number in numbers.tolist()],
                    flagged=(flagged[0][numbers].tolist(), flagged[1][numbers].tolist()),
                    emerging=(emerging[0][numbers].tolist(), emerging[1][numbers].tolist()),
                    curve=curve,
                    value=value,
                    users=users,
                    total=total,
                )
            )
        self._told |= dirty
        return messages

    def _name_scopes(self, ledger: Ledger) -> None:
        if self._renumbered != ledger.renumbered:
            self._names, self._buckets = [], np.empty(0, np.int64)
        if len(self._names) < len(ledger.scopes):
            names = ledger.scopes.names()
            new = [bucket_of(name) for name in names[len(self._names) :]]
            self._names, self._buckets = names, np.concatenate([self._buckets, np.array(new, np.int64)])

    def _gone(self, ledger: Ledger) -> set[int]:
        """After a renumbering scopes may have vanished from anything told before."""
        if self._renumbered == ledger.renumbered:
            return set()
        self._renumbered = ledger.renumbered
        return set(self._told)

    def _standing_counts(self, ledger: Ledger) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
        flagged, emerging = [], []
        for standings in ledger.rows.standings:
            size = len(self._names)
            flagged.append(np.bincount(ledger.rows.scopes[standings >= ENTERED], minlength=size))
            emerging.append(np.bincount(ledger.rows.scopes[standings == EMERGING], minlength=size))
        return flagged, emerging
