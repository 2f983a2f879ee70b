"""The curves of all partitions put together: the cut of every scope and role."""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from stream_app.core.columns import Column, FormatError, pack, unpack
from stream_app.core.curve import NO_BIN, Cells, bins_of
from stream_app.core.cut import cuts_of
from stream_app.core.scopes import ScopeName
from stream_app.core.watermark import NO_TIME

VERSION = 1
BUCKETS = 64
"""Scopes are exchanged in this many groups: few messages where topics are many, small ones where they are few."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def bucket_of(scope: ScopeName) -> int:
    """The group that a scope is exchanged in."""
    return xxh3_64_intdigest("\0".join(scope).encode()) % BUCKETS


class Curves(msgspec.Struct, array_like=True):
    """What one partition says about the scopes of one bucket: all of them, complete."""

    version: int
    partition: int
    bucket: int
    horizon: int
    """Where the window of the partition ends, epoch ms."""
    scopes: list[ScopeName]
    flagged: tuple[list[int], list[int]]
    """Users entered or fading, by role and scope."""
    emerging: tuple[list[int], list[int]]
    curve: Column
    """2 · scope + role of each cell."""
    value: Column
    users: Column
    total: Column

    def cells(self) -> Cells:
        """The cells, with local curve numbers."""
        return Cells(*(unpack(column).astype(np.int64) for column in (self.curve, self.value, self.users, self.total)))


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Curves)


def encode(curves: Curves) -> bytes:
    """As the value of a record."""
    return _ENCODER.encode(curves)


def decode(value: bytes) -> Curves:
    """From the value of a record; FormatError when it is of another version."""
    try:
        curves = _DECODER.decode(value)
    except msgspec.DecodeError as error:
        raise FormatError(f"not curves of version {VERSION}: {error}") from error
    if curves.version != VERSION:
        raise FormatError(f"curves of version {curves.version}, this release reads {VERSION}: upgrade all workers")
    return curves


def packed(cells: Cells) -> tuple[Column, Column, Column, Column]:
    """The columns of a message."""
    return pack(cells.curves), pack(cells.values), pack(cells.users), pack(cells.totals)


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
    exact: NDArray[np.bool_]

    @classmethod
    def empty(cls, size: int) -> "ScopeCuts":
        """No cut for `size` scopes."""
        users, totals, k, thresholds, ties, flagged, emerging = np.zeros((7, 2, size), np.int64)
        coverage, gini = np.zeros((2, 2, size))
        exact = np.ones((2, size), np.bool_)
        return cls(users, totals, k, thresholds, ties, flagged, emerging, coverage, gini, exact)


class Bucket:
    """The cuts of the scopes of one bucket."""

    def __init__(self) -> None:
        self.scopes: dict[ScopeName, int] = {}
        self.cuts = ScopeCuts.empty(0)
        self._cells = Cells(*(np.empty(0, np.int64) for _ in range(4)))

    def recompute(self, partitions: list[Curves], share: float) -> None:
        """Put the curves of the partitions together and cut them."""
        self.scopes = {}
        for message in partitions:
            for scope in message.scopes:
                self.scopes.setdefault(scope, len(self.scopes))
        size = len(self.scopes)
        cuts = ScopeCuts.empty(size)
        merged = []
        for message in partitions:
            numbers = np.array([self.scopes[scope] for scope in message.scopes], np.int64)
            for role in (0, 1):
                np.add.at(cuts.flagged[role], numbers, message.flagged[role])
                np.add.at(cuts.emerging[role], numbers, message.emerging[role])
            cells = message.cells()
            merged.append(cells._replace(curves=numbers[cells.curves >> 1] << 1 | cells.curves & 1))
        self.cuts = cuts
        if not any(len(cells.curves) for cells in merged):
            return
        self._cells = Cells(*(np.concatenate(columns) for columns in zip(*merged, strict=True)))
        found = cuts_of(self._cells, share)
        place = (found.curves & 1, found.curves >> 1)
        cuts.users[place], cuts.totals[place], cuts.k[place] = found.users, found.totals, found.k
        cuts.thresholds[place], cuts.ties[place] = found.thresholds, found.ties
        cuts.coverage[place], cuts.gini[place], cuts.exact[place] = found.coverage, found.gini, found.exact

    def rank(self, scope: ScopeName, role: int, value: int) -> int:
        """Users of the scope with a higher value, plus one; exact but for the width of a bin."""
        cells = self._cells
        higher = (cells.curves == self.scopes[scope] * 2 + role) & (cells.values > value)
        return int(cells.users[higher].sum()) + 1


class Whole:
    """All buckets, as far as the partitions have told."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._told: dict[int, dict[int, Curves]] = {bucket: {} for bucket in range(BUCKETS)}
        self._dirty: set[int] = set()
        self.buckets = [Bucket() for _ in range(BUCKETS)]
        self.version = 0
        """Grows with every change."""
        self.newest_ms = NO_TIME
        """The newest event time that any partition has reached."""

    def tell(self, curves: Curves) -> None:
        """A partition's word on one bucket; it replaces the one before."""
        self._told[curves.bucket][curves.partition] = curves
        self._dirty.add(curves.bucket)

    def recompute(self) -> list[int]:
        """Bring the cuts up to date; returns the buckets that changed."""
        changed = sorted(self._dirty)
        self._dirty.clear()
        for bucket in changed:
            self.buckets[bucket].recompute(list(self._told[bucket].values()), self._share)
        self.version += bool(changed)
        return changed

    def cuts_of(self, scopes: list[ScopeName]) -> ScopeCuts:
        """The cuts of the named scopes, in that order."""
        cuts = ScopeCuts.empty(len(scopes))
        for number, bucket in enumerate(map(bucket_of, scopes)):
            place = self.buckets[bucket].scopes.get(scopes[number])
            if place is not None:
                for column, known in zip(cuts, self.buckets[bucket].cuts, strict=True):
                    column[:, number] = known[:, place]
        return cuts


def exact_bins(cuts: ScopeCuts) -> Ints:
    """The bin of θ by curve (2 · scope + role): the neighbourhood to keep exact."""
    thresholds = cuts.thresholds.T.reshape(-1)
    return np.where(thresholds > 0, bins_of(np.maximum(thresholds, 1)), NO_BIN)
