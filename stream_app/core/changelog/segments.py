"""Segments: immutable pieces of a ledger in their stored format, and their keys."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Floats, Hashes, Ints, Mask
from stream_app.core.changelog.columns import Column, FormatError, pack, runs, unpack
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.state.watermark import Source

Kind = Literal["delta", "pane", "epoch"]

VERSION = 1
MOST_ENTRIES = 8_000
"""Entries per stored part: a third of a megabyte with names of usual length …"""
MOST_BYTES = 900_000
"""… and bytes, because a name may be a kilobyte long. Kafka's default limit is one megabyte."""
_MORE_PARTS = 8
"""Bytes that the number of parts may take when it is written again."""


class SegmentKey(NamedTuple):
    """The key of one part of a segment. No key is ever written twice with different content."""

    partition: int
    kind: Kind
    pane: int
    """Pane number of a sealed pane, 0 for the other kinds."""
    epoch: int
    """Epoch of the ownership that wrote it."""
    sequence: int
    """Number of batches that the ledger had counted, this one included."""
    part: int

    def encode(self) -> bytes:
        """Encode as a table key."""
        return f"{self.partition}/{self.kind}/{self.pane}/{self.epoch}/{self.sequence}/{self.part}".encode()

    @classmethod
    def decode(cls, key: bytes) -> "SegmentKey":
        """Decode a table key. Raises FormatError if it is no segment key."""
        try:
            partition, kind, *numbers = key.decode().split("/")
            pane, epoch, sequence, part = map(int, numbers)
            if kind not in {"delta", "pane", "epoch"}:
                raise ValueError(kind)
            return cls(int(partition), kind, pane, epoch, sequence, part)  # type: ignore[arg-type]
        except ValueError as error:
            raise FormatError(f"{key!r} is not the key of a segment: {error}") from error


class Entries(NamedTuple):
    """Counts of users in scopes: columns of equal length."""

    scopes: Ints
    users: Ints
    posts: Ints
    impressions: Ints
    squares: Floats
    """Σ impressions² over the events, needed for the variance of a compound Poisson count."""

    def part(self, run: slice | Mask) -> "Entries":
        """Return some of the entries."""
        return Entries(self.scopes[run], self.users[run], self.posts[run], self.impressions[run], self.squares[run])


class Header(msgspec.Struct, array_like=True):
    """State of the ledger after the segment: the progress of counting."""

    sources: dict[str, Source]
    horizon: int
    since: int
    """Event time of the first event ever read."""
    oldest: int
    """Sequence number of the oldest delta still needed. From there on no delta may be missing."""
    erased: int = 0
    """Offset in the erasures topic up to which erasures are carried out in this ledger."""
    pane_ms: int = 0
    """Length of the panes that the segments are cut into; 0 before release 0.3, which did not say it."""


class Segment(msgspec.Struct, array_like=True):
    """One stored part of a delta (what one batch added) or of a sealed pane (all it holds)."""

    version: int
    header: Header
    parts: int
    scopes: list[tuple[str, str]]
    """(population, topic) by local number."""
    packed_users: msgspec.Raw
    """Users by local number, still encoded: strings take ten times the memory, and few segments are read again."""
    panes: list[int]
    entry_counts: list[int]
    """Entries of each pane, in the order of `panes`."""
    hash_counts: list[int]
    scope: Column
    user: Column
    posts: Column
    impressions: Column
    several: Column
    """Indices of entries with several events, whose `squares` is not simply `impressions` squared."""
    squares: Column
    """Σ impressions² of these entries."""
    hashes: Column
    """Event id hashes, sorted within each pane."""

    @property
    def nbytes(self) -> int:
        """Size of the stored value; the columns are views of it."""
        return memoryview(self.hashes.data.obj).nbytes

    def users(self) -> list[str]:
        """Decode the users, by local number."""
        return _USERS.decode(self.packed_users)

    def entries(self, run: slice) -> Entries:
        """Return the entries in `run`, with local scope and user numbers."""
        scopes, users, posts, impressions = (
            unpack(column)[run].astype(np.int64) for column in (self.scope, self.user, self.posts, self.impressions)
        )
        squares = impressions.astype(np.float64) ** 2
        several = unpack(self.several)
        first, last = np.searchsorted(several, (run.start, run.stop)).tolist()
        squares[several[first:last].astype(np.int64) - run.start] = unpack(self.squares)[first:last]
        return Entries(scopes, users, posts, impressions, squares)

    def by_pane(self) -> Iterable[tuple[int, slice, Hashes]]:
        """Yield each pane, the run of its entries, and its hashes."""
        hashes = unpack(self.hashes)
        for pane, run, hashed in zip(self.panes, runs(self.entry_counts), runs(self.hash_counts), strict=True):
            yield pane, run, hashes[hashed].astype(np.uint64, copy=False)


_USERS = msgspec.msgpack.Decoder(list[str])
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Segment)


_PaneEntries = tuple[int, Entries, Hashes]


def encode(
    header: Header,
    scopes: Sequence[tuple[str, str]],
    users: Sequence[str],
    panes: Sequence[_PaneEntries],
    most_bytes: int = MOST_BYTES,
) -> list[bytes]:
    """Encode the parts of a segment, of at most `most_bytes` each.

    `scopes` and `users` are the names by ledger number, as used in the entries. Names are long only where somebody
    wants them to be, so a part is cut by its entries first, and halved if it turns out too large.
    """
    cuts = list(_split(panes))
    parts = [_encode_part(header, len(cuts), scopes, users, part) for part in cuts]
    room = most_bytes - _MORE_PARTS
    if all(len(part) <= room for part in parts):
        return parts
    while large := [place for place, part in enumerate(parts) if len(part) > room and _size(cuts[place]) > 1]:
        for place in reversed(large):
            cuts[place : place + 1] = halves = _halves(cuts[place])
            parts[place : place + 1] = [_encode_part(header, 0, scopes, users, half) for half in halves]
    return [_encode_part(header, len(cuts), scopes, users, part) for part in cuts]


def _size(part: list[_PaneEntries]) -> int:
    return max(len(part), sum(max(len(entries.users), len(hashes)) for _, entries, hashes in part))


def _halves(part: list[_PaneEntries]) -> list[list[_PaneEntries]]:
    """Cut a part in two: between its panes, or within its only one."""
    if len(part) > 1:
        return [part[: len(part) // 2], part[len(part) // 2 :]]
    ((pane, entries, hashes),) = part
    middle, middle_hash = (len(entries.users) + 1) // 2, (len(hashes) + 1) // 2
    first = (pane, entries.part(slice(middle)), hashes[:middle_hash])
    return [[first], [(pane, entries.part(slice(middle, None)), hashes[middle_hash:])]]


def _split(panes: Sequence[_PaneEntries]) -> Iterable[list[_PaneEntries]]:
    part: list[_PaneEntries] = []
    room = MOST_ENTRIES
    for pane, entries, hashes in panes:
        size = max(len(entries.users), len(hashes))
        for start in range(0, max(size, 1), MOST_ENTRIES):
            piece = slice(start, start + MOST_ENTRIES)
            if (used := max(len(entries.users[piece]), len(hashes[piece]))) > room:
                yield part
                part, room = [], MOST_ENTRIES
            part.append((pane, entries.part(piece), np.sort(hashes[piece])))
            room -= used
    yield part


def _encode_part(
    header: Header,
    parts: int,
    scopes: Sequence[tuple[str, str]],
    users: Sequence[str],
    panes: list[tuple[int, Entries, Hashes]],
) -> bytes:
    columns = [np.concatenate(column) for column in zip(*(entries for _, entries, _ in panes), strict=True)]
    if not columns:
        columns = [np.empty(0, np.int64)] * 4 + [np.empty(0)]
    scope_numbers, local_scopes = np.unique(columns[0], return_inverse=True)
    user_numbers, local_users = np.unique(columns[1], return_inverse=True)
    several = np.flatnonzero(columns[4] != columns[3].astype(np.float64) ** 2)
    segment = Segment(
        version=VERSION,
        header=header,
        parts=parts,
        scopes=[scopes[number] for number in scope_numbers.tolist()],
        packed_users=msgspec.Raw(_ENCODER.encode([users[number] for number in user_numbers.tolist()])),
        panes=[pane for pane, _, _ in panes],
        entry_counts=[len(entries.users) for _, entries, _ in panes],
        hash_counts=[len(hashes) for _, _, hashes in panes],
        scope=pack(local_scopes),
        user=pack(local_users),
        posts=pack(columns[2]),
        impressions=pack(columns[3]),
        several=pack(several),
        squares=pack(columns[4][several]),
        hashes=pack(np.concatenate([hashes for _, _, hashes in panes]) if panes else np.empty(0, np.uint64)),
    )
    return _ENCODER.encode(segment)


def decode(value: bytes) -> Segment:
    """Decode a stored part; its columns are views of `value`. Raises FormatError if damaged or of another version."""
    try:
        segment = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not a segment of version {VERSION}: {error}; {_found(value)}") from error
    if segment.version != VERSION:
        raise FormatError(
            f"segment of version {segment.version}, this release reads {VERSION}: run the release that wrote it"
        )
    return segment


def _found(value: bytes) -> str:
    try:
        return f"it says version {msgspec.msgpack.decode(value)[0]}"
    except (msgspec.DecodeError, TypeError, LookupError):
        return f"it begins with {value[:16]!r}"
