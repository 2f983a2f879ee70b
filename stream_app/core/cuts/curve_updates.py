"""Curve updates: collects the curves of a ledger that have changed since they were last published."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.changelog.columns import Column, pack
from stream_app.core.cuts.curve_message import BUCKETS, VERSION, CurveMessage, bucket_of, packed
from stream_app.core.cuts.global_cuts import ScopeCuts, exact_bins
from stream_app.core.cuts.histogram import Cells, cells_of
from stream_app.core.flags.standing import EMERGING, ENTERED
from stream_app.core.state.ledger import Ledger


class _Order(NamedTuple):
    """The scopes of a ledger, grouped by bucket."""

    scopes: Ints
    """Scope numbers, bucket by bucket."""
    ends: Ints
    """End of each bucket in `scopes`."""
    places: Ints
    """Index of each scope within its bucket, by scope number."""

    def of(self, bucket: int) -> Ints:
        """Return the scopes of one bucket."""
        return self.scopes[self.ends[bucket - 1] if bucket else 0 : self.ends[bucket]]


class CurveUpdates:
    """Tracks which curves of one ledger have been published."""

    def __init__(self, partition: int, epoch: int) -> None:
        self._partition = partition
        self._epoch = epoch
        self._published = set(range(BUCKETS))  # a former owner may have published all of them
        self._renumbered = -1
        self._buckets = np.empty(0, np.int64)

    def collect(self, ledger: Ledger, cuts: ScopeCuts) -> list[CurveMessage]:
        """Build a message for each bucket with a changed scope or an inexact θ; `cuts`: by scope number."""
        dirty = self._vanished(ledger)
        self._place_scopes(ledger)
        rows, scopes = ledger.rows, ledger.rows.scopes
        changed: Mask = ~np.logical_and(*cuts.exact)
        touched = rows.take_touched()
        changed[scopes[touched.rows if touched else slice(None)]] = True
        dirty |= set(np.unique(self._buckets[changed]).tolist())
        if not dirty:
            return []
        self._published |= dirty
        wanted = np.isin(self._buckets, list(dirty))
        held = np.flatnonzero(wanted[scopes])
        curves = np.concatenate([scopes[held] << 1, scopes[held] << 1 | 1])
        cells = cells_of(curves, rows.totals[:, held].reshape(-1), exact_bins(cuts))
        return self._messages(ledger, sorted(dirty), cells)

    def repeat(self) -> None:
        """Publish everything again at the next `collect`."""
        self._renumbered = -1

    def _messages(self, ledger: Ledger, buckets: list[int], cells: Cells) -> list[CurveMessage]:
        order = self._order()
        flagged, emerging = _standing_counts(ledger, len(self._buckets))
        bucket_of_cell = self._buckets[cells.curves >> 1]
        by_bucket = np.argsort(bucket_of_cell, kind="stable")
        ends = np.cumsum(np.bincount(bucket_of_cell, minlength=BUCKETS))
        names = ledger.scopes.names()
        messages = []
        for bucket in buckets:
            scopes = order.of(bucket)
            chosen = by_bucket[ends[bucket - 1] if bucket else 0 : ends[bucket]]
            curves, values, users, totals = (column[chosen] for column in cells)
            local = Cells(order.places[curves >> 1] << 1 | curves & 1, values, users, totals)
            curve, value, user, total = packed(local)
            messages.append(
                CurveMessage(
                    version=VERSION,
                    partition=self._partition,
                    bucket=bucket,
                    scopes=[names[scope] for scope in scopes.tolist()],
                    flagged=_packed_pair(flagged[:, scopes]),
                    emerging=_packed_pair(emerging[:, scopes]),
                    curve=curve,
                    value=value,
                    users=user,
                    total=total,
                    epoch=self._epoch,
                )
            )
        return messages

    def _place_scopes(self, ledger: Ledger) -> None:
        names = ledger.scopes.names()
        if len(self._buckets) < len(names):
            new = [bucket_of(name) for name in names[len(self._buckets) :]]
            self._buckets = np.concatenate([self._buckets, np.array(new, np.int64)])

    def _vanished(self, ledger: Ledger) -> set[int]:
        """Return the buckets to publish again after a renumbering, because scopes may have vanished from them."""
        if self._renumbered == ledger.renumbered:
            return set()
        self._renumbered, self._buckets = ledger.renumbered, np.empty(0, np.int64)
        return set(self._published)

    def _order(self) -> _Order:
        scopes = np.argsort(self._buckets, kind="stable")
        ends = np.cumsum(np.bincount(self._buckets, minlength=BUCKETS))
        starts = np.concatenate([[0], ends[:-1]])
        places = np.empty(len(scopes), np.int64)
        places[scopes] = np.arange(len(scopes)) - starts[self._buckets[scopes]]
        return _Order(scopes, ends, places)


def _standing_counts(ledger: Ledger, size: int) -> tuple[Ints, Ints]:
    """Count users by role and scope, shape (2, size): entered or fading, and emerging."""
    scopes, standings = ledger.rows.scopes, ledger.rows.standings
    flagged = [np.bincount(scopes[of_role >= ENTERED], minlength=size) for of_role in standings]
    emerging = [np.bincount(scopes[of_role == EMERGING], minlength=size) for of_role in standings]
    return np.array(flagged), np.array(emerging)


def _packed_pair(counts: Ints) -> tuple[Column, Column]:
    return pack(counts[0]), pack(counts[1])
