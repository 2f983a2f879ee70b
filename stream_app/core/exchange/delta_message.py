"""The delta message: what a partition says to a home about the scopes that are at home there.

A scope is at home in one partition, by a hash of its name. What all partitions have of its curves is put together by
the owner of that partition, and nowhere else. The messages of one owner of a partition to one home are numbered, so
that one that comes twice or is missing shows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from xxhash import xxh3_64_intdigest

from stream_app.core.arrays import Ints, distinct_in
from stream_app.core.changelog.columns import Column, FormatError, pack, pack_signed, unpack, unpack_signed
from stream_app.core.cuts.histogram import Cells
from stream_app.core.decoding import DECODE_ERRORS, LARGEST, LONGEST_NAME, are_numbers
from stream_app.core.exchange.curve_deltas import EMERGED, CurveDelta
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME

VERSION = 3
"""Above those of the messages with whole curves."""
_CELL_BYTES = 28
"""Of a cell, at most: its columns have 4, 8, 8 and 8 bytes."""
_NAME_BYTES = 4 * LONGEST_NAME
_SCOPE_BYTES = 2 * (_NAME_BYTES + 3) + 4
"""Of the name of a scope, at most."""
_LOWEST = EMERGED
"""The bit of the sign."""


def home_of(scope: ScopeName, partitions: int) -> int:
    """Return the partition where a scope is at home."""
    return xxh3_64_intdigest("\0".join(scope).encode()) % partitions


class DeltaMessage(msgspec.Struct, array_like=True):
    """Additions to curves. A curve is 2 · scope + role, by the place of the scope in `scopes`."""

    version: int
    source: int
    """The partition whose ledger it is about."""
    epoch: int
    """Of the ownership of that partition."""
    home: int
    """The partition where its scopes are at home."""
    number: int
    """Of the messages of this epoch to this home, from 0."""
    is_everything: bool
    """Nothing that came before holds any more; all that there is follows, up to a message without `has_more`."""
    has_more: bool
    scopes: list[ScopeName]
    replaced: Column
    """Curves of which nothing that came before holds any more."""
    curve: Column
    value: Column
    users: Column
    total: Column
    horizon: int = NO_TIME
    """Where the window of the ledger ended, epoch ms."""
    newest: int = NO_TIME
    """The newest event that was counted, epoch ms: after the window if another source has still to be read up to it."""

    @property
    def nbytes(self) -> int:
        """Bytes of its cells."""
        return sum(len(column.data) for column in (self.replaced, self.curve, self.value, self.users, self.total))

    def cells(self) -> Cells:
        """Return the cells, with curves as in the message."""
        values = unpack(self.value).astype(np.int64) + _LOWEST
        return Cells(unpack(self.curve).astype(np.int64), values, unpack_signed(self.users), unpack_signed(self.total))


class DeltaSource(NamedTuple):
    """Whose messages they are."""

    source: int
    epoch: int


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(DeltaMessage)


def encode(message: DeltaMessage) -> bytes:
    """Encode as the value of a record."""
    return _ENCODER.encode(message)


def decode(value: bytes) -> DeltaMessage:
    """Decode the value of a record. Raises FormatError for another version, or for what no worker can have written."""
    try:
        message = _DECODER.decode(value)
        if message.version != VERSION:
            raise FormatError(f"additions of version {message.version}, this release reads {VERSION}: run one release")
        is_sound = _is_sound(message)
    except (*DECODE_ERRORS, ValueError) as error:
        raise FormatError(f"not additions to curves: {error}") from error
    if not is_sound:
        raise FormatError("not additions to curves: its columns do not fit together, or hold impossible numbers")
    return message


def messages_of(
    delta: CurveDelta, names: Sequence[ScopeName], sender: DeltaSource, home: int, first_number: int, most_bytes: int
) -> Iterator[DeltaMessage]:
    """Yield the messages about a delta, whose scopes are all at home in `home`, of at most about `most_bytes` each."""
    cells, replaced = delta.cells, delta.replaced
    ends = _ends(cells, names, most_bytes)
    for place, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        part = Cells(*(column[start:end] for column in cells))
        anew = _beginning(cells.curves, replaced, start, end) if len(replaced) else replaced
        scopes = distinct_in(np.concatenate([part.curves, anew]) >> 1)
        yield DeltaMessage(
            version=VERSION,
            source=sender.source,
            epoch=sender.epoch,
            home=home,
            number=first_number + place,
            is_everything=delta.is_everything and place == 0,
            has_more=place + 1 < len(ends),
            scopes=[names[scope] for scope in scopes.tolist()],
            replaced=pack(_local(anew, scopes)),
            curve=pack(_local(part.curves, scopes)),
            value=pack(part.values - _LOWEST),
            users=pack_signed(part.users),
            total=pack_signed(part.totals),
        )


def _beginning(curves: Ints, replaced: Ints, start: int, end: int) -> Ints:
    """Return the replaced curves whose cells begin in a part; those without cells are in the first one."""
    first = np.searchsorted(curves, replaced)
    has_cells = np.isin(replaced, curves)
    found: Ints = replaced[np.where(has_cells, (first >= start) & (first < end), start == 0)]
    return found


def _ends(cells: Cells, names: Sequence[ScopeName], most_bytes: int) -> list[int]:
    """Return where the parts of sorted cells end: there is at least one, which may be empty."""
    scopes = cells.curves >> 1
    if len(scopes) * (_CELL_BYTES + _SCOPE_BYTES) < most_bytes - _NAME_BYTES:
        return [len(scopes)]
    is_new = np.diff(scopes, prepend=-1) != 0
    sizes = np.full(len(scopes), _CELL_BYTES)
    named = [4 + sum(len(name.encode()) + 3 for name in names[scope]) for scope in scopes[is_new].tolist()]
    sizes[is_new] += np.array(named, np.int64)
    parts = (np.cumsum(sizes) - 1) // max(most_bytes - _NAME_BYTES, _CELL_BYTES)
    return [*(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(scopes)]


def _local(curves: Ints, scopes: Ints) -> Ints:
    return np.searchsorted(scopes, curves >> 1) << 1 | curves & 1


def _is_sound(message: DeltaMessage) -> bool:
    """Return whether the message can be applied: whatever it holds, no sum may overflow or miss a scope."""
    curves, values = unpack(message.curve), unpack(message.value)
    packed = (message.replaced, message.curve, message.value, message.users, message.total)
    columns = [unpack(column) for column in packed]
    most = 2 * len(message.scopes)
    users, totals = unpack_signed(message.users), unpack_signed(message.total)
    return (
        are_numbers((message.source, message.epoch, message.home, message.number))
        and are_numbers((message.horizon, message.newest), NO_TIME)
        and all(len(name) <= LONGEST_NAME for scope in message.scopes for name in scope)
        and all(column.dtype.kind == "u" and int(column.max(initial=0)) <= 2 * LARGEST for column in columns)
        and len(curves) == len(values) == len(users) == len(totals)
        and all(not len(column) or int(column.max()) < most for column in columns[:2])
        and are_numbers((int(values.max(initial=0)),))
        and float(np.abs(users).sum(dtype=np.float64)) <= LARGEST
        and float(np.abs(totals).sum(dtype=np.float64)) <= LARGEST
    )
