"""Curve parts: a bucket of curves as messages of a bounded size, and the bucket put together again.

The problem: a bucket holds the curves of all its scopes, and names and values come from outside. A message that is too
large for its topic could never be written.

How: a message that is too large is halved, and its halves if need be: between scopes, or within the cells of a single
scope, which are added up when read. A reader takes a bucket once it has all parts of one publication; until then what
it had before holds. So a publication of which a crash left only some parts counts for nothing, like one that was never
sent, and so do parts of an earlier one that had more.
"""

import msgspec
import numpy as np
from xxhash import xxh3_64_intdigest

from stream_app.core.arrays import Ints, Mask
from stream_app.core.changelog.columns import Column, pack, unpack
from stream_app.core.cuts.curve_message import PART_VERSION, CurveMessage, encode, packed
from stream_app.core.cuts.histogram import Cells

_MORE_PARTS = 16
"""Bytes that the numbers of the parts may take."""


def encoded(message: CurveMessage, most_bytes: int) -> list[bytes]:
    """Encode a bucket as the values of its parts, of at most `most_bytes` each: one, if it fits."""
    value = encode(message)
    if len(value) <= most_bytes:
        return [value]
    parts = [msgspec.structs.replace(message, publication=xxh3_64_intdigest(value))]
    while large := [place for place, part in enumerate(parts) if _is_large(part, most_bytes - _MORE_PARTS)]:
        for place in reversed(large):
            parts[place : place + 1] = _halves(parts[place])
    return [
        encode(msgspec.structs.replace(part, version=PART_VERSION, part=number, parts=len(parts)))
        for number, part in enumerate(parts)
    ]


class CurveParts:
    """Puts buckets together from their parts as these come."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], dict[int, CurveMessage]] = {}

    def together(self, message: CurveMessage) -> CurveMessage | None:
        """Return the whole bucket that a message is or completes; None while parts of it are missing."""
        place = (message.partition, message.bucket)
        if message.parts == 1:
            self._parts.pop(place, None)
            return message
        parts = self._parts.setdefault(place, {})
        if any(_publication(part) != _publication(message) for part in parts.values()):
            parts.clear()
        parts[message.part] = message
        if len(parts) < message.parts:
            return None
        del self._parts[place]
        return _joined([parts[number] for number in sorted(parts)])


def _publication(message: CurveMessage) -> tuple[int, int, int]:
    return message.epoch, message.publication, message.parts


def _is_large(message: CurveMessage, most_bytes: int) -> bool:
    can_be_halved = len(message.scopes) > 1 or len(unpack(message.curve)) > 1
    return can_be_halved and len(encode(message)) > most_bytes


def _halves(message: CurveMessage) -> list[CurveMessage]:
    cells, count = message.cells(), len(message.scopes)
    if count > 1:
        middle = (count + 1) // 2
        first = cells.curves < middle << 1
        rest = cells._replace(curves=cells.curves - (middle << 1))
        return [_part(message, slice(middle), cells, first), _part(message, slice(middle, None), rest, ~first)]
    first = np.arange(len(cells.curves)) < (len(cells.curves) + 1) // 2
    no_users = pack(np.zeros(1, np.int64))
    uncounted = msgspec.structs.replace(message, flagged=(no_users, no_users), emerging=(no_users, no_users))
    return [_part(message, slice(None), cells, first), _part(uncounted, slice(None), cells, ~first)]


def _part(message: CurveMessage, scopes: slice, cells: Cells, chosen: Mask) -> CurveMessage:
    curve, value, users, total = packed(Cells(*(column[chosen] for column in cells)))
    return msgspec.structs.replace(
        message,
        scopes=message.scopes[scopes],
        flagged=_pair([unpack(column)[scopes] for column in message.flagged]),
        emerging=_pair([unpack(column)[scopes] for column in message.emerging]),
        curve=curve,
        value=value,
        users=users,
        total=total,
    )


def _joined(parts: list[CurveMessage]) -> CurveMessage:
    """Return the bucket of all parts. A scope that is in several parts is in it several times: readers add them up."""
    starts = np.cumsum([0, *(len(part.scopes) for part in parts)]).tolist()
    all_cells = [part.cells() for part in parts]
    shifted = [
        cells._replace(curves=cells.curves + (start << 1)) for cells, start in zip(all_cells, starts, strict=False)
    ]
    curve, value, users, total = packed(Cells(*(np.concatenate(columns) for columns in zip(*shifted, strict=True))))
    return msgspec.structs.replace(
        parts[0],
        publication=0,
        scopes=[scope for part in parts for scope in part.scopes],
        flagged=_pair([np.concatenate([unpack(part.flagged[role]) for part in parts]) for role in (0, 1)]),
        emerging=_pair([np.concatenate([unpack(part.emerging[role]) for part in parts]) for role in (0, 1)]),
        curve=curve,
        value=value,
        users=users,
        total=total,
        part=0,
        parts=1,
    )


def _pair(counts: list[Ints]) -> tuple[Column, Column]:
    posts, impressions = (pack(of_role) for of_role in counts)
    return posts, impressions
