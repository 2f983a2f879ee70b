"""The message in which one partition publishes the curves of its scopes."""

import msgspec
import numpy as np
from xxhash import xxh3_64_intdigest

from stream_app.core.changelog.columns import Column, FormatError, pack, unpack
from stream_app.core.cuts.histogram import Cells
from stream_app.core.state.scopes import ScopeName

VERSION = 1
BUCKETS = 64
"""Scopes are published in this many groups: few messages where topics are many, small ones where they are few."""


def bucket_of(scope: ScopeName) -> int:
    """The group that a scope is published in."""
    return xxh3_64_intdigest("\0".join(scope).encode()) % BUCKETS


class CurveMessage(msgspec.Struct, array_like=True):
    """What one partition says about the scopes of one bucket: all of them, complete."""

    version: int
    partition: int
    bucket: int
    scopes: list[ScopeName]
    flagged: tuple[Column, Column]
    """Users entered or fading, by role and scope."""
    emerging: tuple[Column, Column]
    curve: Column
    """2 · scope + role of each cell."""
    value: Column
    users: Column
    total: Column
    epoch: int = 0
    """The ownership that published it: a frozen former owner may publish after the next one has begun to."""

    def cells(self) -> Cells:
        """The cells, with local curve numbers."""
        return Cells(*(unpack(column).astype(np.int64) for column in (self.curve, self.value, self.users, self.total)))


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CurveMessage)


def encode(curves: CurveMessage) -> bytes:
    """As the value of a record."""
    return _ENCODER.encode(curves)


def decode(value: bytes) -> CurveMessage:
    """From the value of a record; FormatError when it is of another version."""
    try:
        curves = _DECODER.decode(value)
    except msgspec.DecodeError as error:
        raise FormatError(f"not curves of version {VERSION}: {error}") from error
    if curves.version != VERSION:
        raise FormatError(f"curves of version {curves.version}, this release reads {VERSION}: run one release")
    return curves


def packed(cells: Cells) -> tuple[Column, Column, Column, Column]:
    """The columns of a message."""
    return pack(cells.curves), pack(cells.values), pack(cells.users), pack(cells.totals)
