"""The curve message: the curves of a bucket of scopes, as published by one partition.

A bucket that is too large for one message is published in parts (`curve_parts`). A bucket in one message is of version
1, which 0.1 and 0.2 read; a part is of version 2, which they refuse, and keep what they have of the bucket.
"""

import msgspec
import numpy as np
from xxhash import xxh3_64_intdigest

from stream_app.core.changelog.columns import Column, FormatError, pack, unpack
from stream_app.core.cuts.histogram import Cells
from stream_app.core.decoding import DECODE_ERRORS, LARGEST, LONGEST_NAME, are_numbers
from stream_app.core.state.scopes import ScopeName

VERSION = 1
PART_VERSION = 2
MOST_PARTS = 1024
"""Of a bucket: 32 MB in the smallest messages that the settings allow."""
BUCKETS = 64
"""Number of buckets that scopes are published in."""


def bucket_of(scope: ScopeName) -> int:
    """Return the bucket that a scope is published in."""
    return xxh3_64_intdigest("\0".join(scope).encode()) % BUCKETS


class CurveMessage(msgspec.Struct, array_like=True):
    """The curves of all scopes that one partition has in one bucket."""

    version: int
    partition: int
    bucket: int
    scopes: list[ScopeName]
    flagged: tuple[Column, Column]
    """Users whose standing is entered or fading, by role and scope."""
    emerging: tuple[Column, Column]
    curve: Column
    """Curve of each cell: 2 · scope + role."""
    value: Column
    users: Column
    total: Column
    epoch: int = 0
    """Epoch of the publisher, because a frozen former owner may still publish after its successor has started."""
    publication: int = 0
    """Of a part, the digest of its whole bucket: parts of the same one belong together."""
    part: int = 0
    parts: int = 1

    def cells(self) -> Cells:
        """Return the cells, with local curve numbers."""
        return Cells(*(unpack(column).astype(np.int64) for column in (self.curve, self.value, self.users, self.total)))


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CurveMessage)


def encode(curves: CurveMessage) -> bytes:
    """Encode as the value of a record."""
    return _ENCODER.encode(curves)


def decode(value: bytes) -> CurveMessage:
    """Decode the value of a record. Raises FormatError for another version, or for what no worker can have written."""
    try:
        curves = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not curves of version {VERSION}: {error}") from error
    if curves.version not in {VERSION, PART_VERSION}:
        raise FormatError(
            f"curves of version {curves.version}, this release reads {VERSION} and {PART_VERSION}: run one release"
        )
    try:
        is_sound = _is_sound(curves)
    except ValueError as error:  # a column is cut off, or has no type
        raise FormatError(f"not curves: {error}") from error
    if not is_sound:
        raise FormatError("not curves: its columns do not fit together, or hold numbers that no partition can have")
    return curves


def _is_sound(curves: CurveMessage) -> bool:
    """Return whether the message can be added to the others: whatever it holds, no sum may overflow or miss a scope."""
    scopes = len(curves.scopes)
    cells = [unpack(column) for column in (curves.curve, curves.value, curves.users, curves.total)]
    counts = [unpack(column) for column in (*curves.flagged, *curves.emerging)]
    return (
        0 <= curves.bucket < BUCKETS
        and 0 <= curves.part < curves.parts <= MOST_PARTS
        and are_numbers((curves.partition, curves.epoch))
        and all(len(name) <= LONGEST_NAME for scope in curves.scopes for name in scope)
        and all(column.dtype.kind == "u" for column in (*cells, *counts))
        and all(len(column) == len(cells[0]) for column in cells)
        and all(len(column) == scopes for column in counts)
        and are_numbers(int(column.max(initial=0)) for column in (*cells, *counts))
        and int(cells[0].max(initial=0)) < max(2 * scopes, 1)
        and all(column.min(initial=1) > 0 for column in cells[1:])
        and float(cells[2].sum(dtype=np.float64)) <= LARGEST
        and float(cells[3].sum(dtype=np.float64)) <= LARGEST
    )


def packed(cells: Cells) -> tuple[Column, Column, Column, Column]:
    """Pack cells into the columns of a message."""
    return pack(cells.curves), pack(cells.values), pack(cells.users), pack(cells.totals)
