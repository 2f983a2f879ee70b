"""Segments: immutable pieces of a ledger as they are stored, their keys, and which of them are valid."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream_app.core.columns import Column, FormatError, pack, runs, unpack
from stream_app.core.watermark import Source

VERSION = 1
MOST_ENTRIES = 25_000
"""Entries a stored part may hold: some 300 KB, so that a part fits a Kafka record of 1 MB with its names and hashes."""


class SegmentKey(NamedTuple):
    """Where a part of a segment is stored. No key is ever written twice with different contents."""

    partition: int
    kind: Literal["delta", "pane", "epoch"]
    pane: int
    """Pane number of a sealed pane, 0 for the other kinds."""
    epoch: int
    """Number of the ownership that wrote it."""
    sequence: int
    """How many batches the ledger had counted, this one included."""
    part: int

    def encode(self) -> bytes:
        """As the key of a table."""
        return f"{self.partition}/{self.kind}/{self.pane}/{self.epoch}/{self.sequence}/{self.part}".encode()

    @classmethod
    def decode(cls, key: bytes) -> "SegmentKey":
        """From the key of a table; FormatError where it is not one."""
        try:
            partition, kind, *numbers = key.decode().split("/")
            pane, epoch, sequence, part = map(int, numbers)
            if kind not in {"delta", "pane", "epoch"}:
                raise ValueError(kind)
            return cls(int(partition), kind, pane, epoch, sequence, part)  # type: ignore[arg-type]
        except ValueError as error:
            raise FormatError(f"{key!r} is not the key of a segment: {error}") from error


class Entries(NamedTuple):
    """What some users of some scopes made: columns of equal length."""

    scopes: NDArray[np.int64]
    users: NDArray[np.int64]
    posts: NDArray[np.int64]
    impressions: NDArray[np.int64]
    squares: NDArray[np.float64]
    """Σ impressions² of the single events: what the variance of a compound Poisson count needs."""


class Header(msgspec.Struct, array_like=True):
    """The state of the ledger after the segment: how far it has counted."""

    sources: dict[str, Source]
    horizon: int
    since: int
    """Event time of the first event ever read."""


class Segment(msgspec.Struct, array_like=True):
    """One stored part: what one batch added, or one whole pane ("sealed")."""

    version: int
    header: Header
    parts: int
    scopes: list[tuple[str, str]]
    """(population, topic) by local number."""
    users: list[str]
    panes: list[int]
    entry_counts: list[int]
    """Entries of each pane, in the order of `panes`."""
    hash_counts: list[int]
    scope: Column
    user: Column
    posts: Column
    impressions: Column
    squares: Column
    hashes: Column
    """Event id hashes, sorted within each pane."""

    def entries(self, run: slice) -> Entries:
        """The entries in `run`, with local scope and user numbers."""
        return Entries(*(unpack(c)[run] for c in (self.scope, self.user, self.posts, self.impressions, self.squares)))

    def by_pane(self) -> Iterable[tuple[int, slice, NDArray[np.uint64]]]:
        """Each pane, the run of its entries, and its hashes."""
        hashes = unpack(self.hashes)
        for pane, run, hashed in zip(self.panes, runs(self.entry_counts), runs(self.hash_counts), strict=True):
            yield pane, run, hashes[hashed]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Segment)
_VERSION = msgspec.msgpack.Decoder(tuple[int, ...])


def encode(
    header: Header,
    scopes: Sequence[tuple[str, str]],
    users: Sequence[str],
    panes: Sequence[tuple[int, Entries, NDArray[np.uint64]]],
) -> list[bytes]:
    """The parts of a segment. `scopes` and `users` name every number in the entries (global numbers)."""
    cuts = list(_split(panes))
    return [_encode_part(header, len(cuts), scopes, users, part) for part in cuts]


def _split(
    panes: Sequence[tuple[int, Entries, NDArray[np.uint64]]],
) -> Iterable[list[tuple[int, Entries, NDArray[np.uint64]]]]:
    part: list[tuple[int, Entries, NDArray[np.uint64]]] = []
    room = MOST_ENTRIES
    for pane, entries, hashes in panes:
        size = max(len(entries.users), len(hashes))
        for start in range(0, max(size, 1), MOST_ENTRIES):
            piece = slice(start, start + MOST_ENTRIES)
            if (used := max(len(entries.users[piece]), len(hashes[piece]))) > room:
                yield part
                part, room = [], MOST_ENTRIES
            part.append((pane, Entries(*(column[piece] for column in entries)), np.sort(hashes[piece])))
            room -= used
    yield part


def _encode_part(
    header: Header,
    parts: int,
    scopes: Sequence[tuple[str, str]],
    users: Sequence[str],
    panes: list[tuple[int, Entries, NDArray[np.uint64]]],
) -> bytes:
    columns = [np.concatenate(column) for column in zip(*(entries for _, entries, _ in panes), strict=True)]
    if not columns:
        columns = [np.empty(0, np.int64)] * 4 + [np.empty(0)]
    scope_numbers, local_scopes = np.unique(columns[0], return_inverse=True)
    user_numbers, local_users = np.unique(columns[1], return_inverse=True)
    segment = Segment(
        version=VERSION,
        header=header,
        parts=parts,
        scopes=[scopes[number] for number in scope_numbers.tolist()],
        users=[users[number] for number in user_numbers.tolist()],
        panes=[pane for pane, _, _ in panes],
        entry_counts=[len(entries.users) for _, entries, _ in panes],
        hash_counts=[len(hashes) for _, _, hashes in panes],
        scope=pack(local_scopes),
        user=pack(local_users),
        posts=pack(columns[2]),
        impressions=pack(columns[3]),
        squares=pack(columns[4]),
        hashes=pack(np.concatenate([hashes for _, _, hashes in panes]) if panes else np.empty(0, np.uint64)),
    )
    return _ENCODER.encode(segment)


def decode(value: bytes) -> Segment:
    """A stored part; its columns are views of `value`. FormatError when it is damaged or of another version."""
    try:
        segment = _DECODER.decode(value)
    except msgspec.DecodeError as error:
        raise FormatError(f"not a segment of version {VERSION}: {error}; {_found(value)}") from error
    if segment.version != VERSION:
        raise FormatError(f"segment of version {segment.version}, this release reads {VERSION}: run the release that wrote it")
    return segment


def _found(value: bytes) -> str:
    try:
        return f"it says version {msgspec.msgpack.decode(value)[0]}"
    except (msgspec.DecodeError, TypeError, LookupError):
        return f"it begins with {value[:16]!r}"


class Lineage(NamedTuple):
    """Who owned a partition, in order: (epoch, sequence the ledger had reached when that ownership began)."""

    epochs: tuple[tuple[int, int], ...] = ()

    def accepts(self, epoch: int, sequence: int) -> bool:
        """Whether a segment is part of the history: written by an owner, before the next owner had read the log.

        What a frozen worker writes after another took over lies beyond the point where the new owner began.
        """
        last = None
        for number, (owner, _) in enumerate(self.epochs):
            if owner == epoch:
                last = self.epochs[number + 1][1] if number + 1 < len(self.epochs) else sequence
        return last is not None and sequence <= last

    def begin(self, generation: int, sequence: int, live_epochs: Iterable[int]) -> "Lineage":
        """A new ownership that continues after `sequence`; older ones are kept while segments of theirs live."""
        newest = self.epochs[-1][0] if self.epochs else 0
        epoch = max(newest + 1, generation)
        live = set(live_epochs)
        oldest = min(live, default=epoch)
        kept = tuple(entry for entry in self.epochs if entry[0] >= oldest)
        return Lineage((*kept, (epoch, sequence)))

    @property
    def epoch(self) -> int:
        """The present ownership."""
        return self.epochs[-1][0]

    def encode(self) -> bytes:
        """As the value of the epoch record."""
        return _ENCODER.encode((VERSION, self.epochs))

    @classmethod
    def decode(cls, value: bytes) -> "Lineage":
        """From the value of an epoch record."""
        version, epochs = msgspec.msgpack.decode(value, type=tuple[int, tuple[tuple[int, int], ...]])
        if version != VERSION:
            raise FormatError(f"epoch record of version {version}, this release reads {VERSION}")
        return cls(epochs)


class Stored(NamedTuple):
    """The valid segments of a partition, read from its table."""

    lineage: Lineage
    sequence: int
    header: Header | None
    """State after the newest segment."""
    deltas: dict[SegmentKey, list[Segment]]
    """What each batch added, by the key of its first part, oldest first."""
    sealed: dict[int, tuple[SegmentKey, list[Segment]]]
    """The newest sealed segment of each pane."""
    garbage: list[bytes]
    """Keys of what is superseded, half written or written by a worker that had lost the partition."""


def fold(stored: Mapping[bytes, bytes], partition: int) -> Stored:
    """Sort out what the table holds for `partition`; the order in `stored` does not matter."""
    keys = {key: parsed for key in stored if (parsed := SegmentKey.decode(key)).partition == partition}
    epochs = {parsed: key for key, parsed in keys.items() if parsed.kind == "epoch"}
    newest = max(epochs, key=lambda parsed: parsed.epoch, default=None)
    lineage = Lineage.decode(stored[epochs[newest]]) if newest else Lineage()
    whole: dict[SegmentKey, list[Segment]] = {}
    for parsed, parts in _together(keys).items():
        segments = [decode(stored[key]) for key in parts]
        if lineage.accepts(parsed.epoch, parsed.sequence) and segments[0].parts == len(segments):
            whole[parsed] = segments
    sealed: dict[int, SegmentKey] = {}
    for parsed in sorted((p for p in whole if p.kind == "pane"), key=lambda p: (p.sequence, p.epoch)):
        sealed[parsed.pane] = parsed
    deltas = sorted((p for p in whole if p.kind == "delta"), key=lambda p: p.sequence)
    last = max((*deltas, *sealed.values()), key=lambda p: p.sequence, default=None)
    kept = {*deltas, *sealed.values()}
    first_parts = {p._replace(part=0) for p in kept}
    return Stored(
        lineage=lineage,
        sequence=last.sequence if last else 0,
        header=whole[last][0].header if last else None,
        deltas={p: whole[p] for p in deltas},
        sealed={pane: (p, whole[p]) for pane, p in sealed.items()},
        garbage=[key for key, p in keys.items() if p != newest and p._replace(part=0) not in first_parts],
    )


def _together(keys: Mapping[bytes, SegmentKey]) -> dict[SegmentKey, list[bytes]]:
    """The stored parts of each segment in order, by the key of its first part."""
    together: dict[SegmentKey, list[bytes]] = {}
    for key, parsed in sorted(keys.items(), key=lambda item: item[1].part):
        if parsed.kind != "epoch":
            together.setdefault(parsed._replace(part=0), []).append(key)
    return together
