"""The cut record: what the home of a scope says about it to all workers, on the compacted topic of the exchange.

It has everything that is known of the cuts of the scope but the curves themselves, so that any worker can hold its
users against the cut, and show it. A scope with too few users to flag anybody has no record, unless there are few.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from stream_app.core.arrays import Ints
from stream_app.core.changelog.columns import FormatError
from stream_app.core.cuts.scope_cuts import MOST_USERS, ScopeCuts, ScopeIntervals
from stream_app.core.decoding import DECODE_ERRORS, LARGEST, LONGEST_NAME, are_numbers
from stream_app.core.flags.ranking import RANKED
from stream_app.core.messages import ROLES
from stream_app.core.state.scopes import ScopeName

VERSION = 2
PREFIX = b"cut/"
_MOST_POINTS = 512
"""Of a published record."""

ByRole = Annotated[tuple[int, ...], Meta(min_length=1, max_length=len(ROLES))]
"""In the order of ROLES; without the last of them if nobody is anything there."""
_Numbers = Annotated[tuple[float, ...], Meta(min_length=1, max_length=len(ROLES))]
Point = tuple[int, int, int]
"""A value, the users with a higher one, and the sum of their values."""


class CutRecord(msgspec.Struct, array_like=True):
    """The cuts of a scope, by role."""

    version: int
    users: ByRole
    totals: ByRole
    k: ByRole
    thresholds: ByRole
    ties: ByRole
    flagged: ByRole
    emerging: ByRole
    coverage: _Numbers
    gini: _Numbers
    exact: Annotated[tuple[bool, ...], Meta(min_length=1, max_length=len(ROLES))]
    points: Annotated[tuple[list[Point], ...], Meta(min_length=1, max_length=len(ROLES))]
    """Of the curve, by role, the highest value first."""
    ranking: ByRole
    """Whether users of the scope can be flagged, see `core/flags/ranking.py`."""
    ranked_s: ByRole
    """Event time since which that is so, epoch s."""
    k_low: ByRole
    """0, like the other three, where no interval is known."""
    k_high: ByRole
    threshold_low: ByRole
    threshold_high: ByRole


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CutRecord)
_NAME_ENCODER = msgspec.json.Encoder()
_NAME_DECODER = msgspec.json.Decoder(tuple[str, str])


def key_of(scope: ScopeName) -> bytes:
    """Return the key of the record of a scope."""
    return PREFIX + _NAME_ENCODER.encode(scope)


def scope_of(key: bytes) -> ScopeName:
    """Return the scope of a record. Raises FormatError if it is the key of none."""
    try:
        scope = ScopeName(*_NAME_DECODER.decode(key.removeprefix(PREFIX)))
    except DECODE_ERRORS as error:
        raise FormatError(f"{key[:100]!r} is not the key of a cut: {error}") from error
    if any(len(name) > LONGEST_NAME for name in scope):
        raise FormatError(f"{key[:100]!r} is not the key of a cut: its name is too long")
    return scope


def encode(record: CutRecord) -> bytes:
    """Encode as the value of a record."""
    return _ENCODER.encode(record)


def decode(value: bytes) -> CutRecord:
    """Decode the value of a record. Raises FormatError for another version, or for what no worker can have written."""
    try:
        record = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not a cut of version {VERSION}: {error}") from error
    if record.version != VERSION:
        raise FormatError(f"a cut of version {record.version}, this release reads {VERSION}: run one release")
    if not is_sound(record, _MOST_POINTS):
        raise FormatError("not a cut: it has numbers that no scope can have")
    return record


def is_sound(record: CutRecord, most_points: int) -> bool:
    """Return whether a worker can have made the record."""
    counts = (record.users, record.k, record.ties, record.flagged, record.emerging, record.k_low, record.k_high)
    return (
        record.version == VERSION
        and len({len(getattr(record, name)) for name in record.__struct_fields__[1:]}) == 1
        and all(are_numbers(pair) and max(pair) <= MOST_USERS for pair in counts)
        and are_numbers(record.totals + record.thresholds + record.threshold_low + record.threshold_high)
        and are_numbers(record.ranking + record.ranked_s)
        and max(record.ranking) <= RANKED
        and max(record.ranked_s) < 2**32
        and all(0.0 <= number <= LARGEST for number in record.coverage)
        and all(-1.0 <= number <= 1.0 for number in record.gini)
        and all(len(points) <= most_points for points in record.points)
        and all(are_numbers(point) for points in record.points for point in points)
        and all(one[0] > other[0] for points in record.points for one, other in pairwise(points))
    )


def cuts_in(record: CutRecord) -> ScopeCuts:
    """Return the cuts as columns of one scope."""
    empty = ScopeCuts.empty(1)
    for name, column in empty._asdict().items():
        column[: len(record.users), 0] = getattr(record, name)
    return empty


def intervals_in(record: CutRecord) -> ScopeIntervals:
    """Return the intervals of the cuts as columns of one scope."""
    empty = ScopeIntervals.empty(1)
    for name, column in empty._asdict().items():
        column[: len(record.users), 0] = getattr(record, name)
    return empty


def of_role(numbers: Sequence[int], role: int) -> int:
    """Return one of the numbers of a record; 0 where it has none of this role."""
    return numbers[role] if role < len(numbers) else 0


def points_in(record: CutRecord, role: int) -> Ints:
    """Return the points of one curve as columns (value, users above, their total)."""
    known = record.points[role] if role < len(record.points) else []
    points = np.empty((len(known), 3), np.int64)
    if len(points):
        points[:] = known
    return points
