"""Segments: immutable pieces of a ledger in their stored format, and their keys."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, distinct_in, together
from stream_app.core.changelog.columns import Column, FormatError, pack, runs, unpack
from stream_app.core.changelog.content.counted_events import (
    IN_COLUMNS,
    NO_EVENTS,
    NOTHING_PACKED,
    CountedEvents,
    Worth,
    joined_events,
    packed_events,
    unpacked_events,
)
from stream_app.core.changelog.content.pane_content import NO_ENTRIES, Entries, PaneContent
from stream_app.core.changelog.content.parts import NO_PIECE, SegmentPart, parts_of
from stream_app.core.changelog.content.stored_credits import NONE_STORED, are_sound, credits_in, stored_credits
from stream_app.core.changelog.header import Header
from stream_app.core.decoding import DECODE_ERRORS, are_numbers
from stream_app.core.events.identity import Hashing

Kind = Literal["delta", "pane", "epoch", "funnel"]

VERSION = 1
SINCE_0_4 = 2
"""Version of segments with something that earlier releases would count wrongly: these must not read it.

They would add what is taken back, and leave out what others did for somebody."""
READABLE = frozenset({VERSION, SINCE_0_4})
MOST_BYTES = 900_000
"""Of a stored part, because a name may be a kilobyte long. Kafka's default limit is one megabyte."""
_LITTLE = 3
"""What the funnel needs is in the last part, if it takes no more than one in so many bytes of it."""
_DECISIONS = -(2**61)
"""Decisions are stored as panes from here downwards: releases before 0.4 know no other kind, and delete old panes."""
_MORE_PARTS = 8
"""Bytes that the number of parts may take when it is written again."""


class SegmentKey(NamedTuple):
    """The key of one part of a segment. No key is ever written twice with different content."""

    partition: int
    kind: Kind
    pane: int
    """Pane number of a sealed pane, number of a decision of the funnel, 0 for the other kinds."""
    epoch: int
    """Epoch of the ownership that wrote it."""
    sequence: int
    """Number of batches that the ledger had counted, this one included."""
    part: int

    def encode(self) -> bytes:
        """Encode as a table key."""
        kind, pane = ("pane", _DECISIONS - self.pane) if self.kind == "funnel" else (self.kind, self.pane)
        return f"{self.partition}/{kind}/{pane}/{self.epoch}/{self.sequence}/{self.part}".encode()

    def parts(self, count: int) -> list[bytes]:
        """Return the table keys of the first parts, given the key of the first of them."""
        return [self._replace(part=part).encode() for part in range(count)]

    @classmethod
    def decode(cls, key: bytes) -> "SegmentKey":
        """Decode a table key. Raises FormatError if it is no segment key."""
        try:
            partition, kind, *numbers = key.decode().split("/")
            pane, epoch, sequence, part = map(int, numbers)
            if kind not in {"delta", "pane", "epoch"}:
                raise ValueError(kind)
            if kind == "pane" and pane <= _DECISIONS:
                kind, pane = "funnel", _DECISIONS - pane
            if not are_numbers((abs(pane), epoch, sequence, part)):
                raise ValueError("its numbers are such as no worker has written")
            return cls(int(partition), kind, pane, epoch, sequence, part)  # type: ignore[arg-type]
        except ValueError as error:
            raise FormatError(f"{key!r} is not the key of a segment: {error}") from error


class StoredRun(NamedTuple):
    """A run as it stands in a segment."""

    pane: int
    slot_ms: int
    entries: slice
    """Places of its entries, for `Segment.entries`."""
    hashes: Hashes
    hashing: Hashing
    worth: Worth
    events: slice
    """Places of its events, for `Segment.events`; empty if their worth is not in columns."""


class Segment(msgspec.Struct, array_like=True):
    """One stored part of a delta (what one batch added) or of a sealed pane (all it holds)."""

    version: int
    header: Header
    parts: int
    packed_scopes: msgspec.Raw
    """(population, topic) by local number, still encoded, like the users."""
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
    """Hashes of events, sorted within each run."""
    hashings: list[int] = []
    """What the hashes of each run are made of, in the order of `panes`; missing in segments of releases up to 0.2."""
    slots_ms: list[int] = []
    """Where the slot of each run begins, ms after its pane, in the order of `panes`; missing up to 0.3."""
    worths: list[int] = []
    """What is known of the events of each run, in the order of `panes`; missing up to 0.3."""
    packed_events: msgspec.Raw = NOTHING_PACKED
    """The events of runs whose worth is in columns, still encoded: few segments are looked at for a single event."""
    packed_credits: msgspec.Raw = NONE_STORED
    """What entries have of credits for what others did."""
    funnel: memoryview = NO_PIECE
    """Of what the funnel needs, a piece: it has parts of its own."""
    looked_at: list[memoryview] = []
    """Values of the signals, see `signal_log`; missing up to 0.3."""

    @property
    def nbytes(self) -> int:
        """Size of the stored value; the columns are views of it."""
        return memoryview(self.hashes.data.obj).nbytes

    def scopes(self) -> list[tuple[str, str]]:
        """Decode the scopes, (population, topic) by local number."""
        return _SCOPES.decode(self.packed_scopes)

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
        return Entries(scopes, users, posts, impressions, squares, *credits_in(self.packed_credits, run))

    def events(self) -> CountedEvents:
        """Return the events of all runs whose worth is in columns, with local scope and user numbers."""
        hashes = [run.hashes for run in self.runs() if run.worth in IN_COLUMNS]
        return unpacked_events(self.packed_events, np.concatenate(hashes)) if hashes else NO_EVENTS

    def runs(self) -> Iterable[StoredRun]:
        """Yield the runs of the segment; without slots, all that a pane holds counts as done at its start."""
        hashes, count = unpack(self.hashes), len(self.panes)
        hashings, slots_ms = self.hashings or [Hashing.EVENT_ID] * count, self.slots_ms or [0] * count
        worths, place = self.worths or [Worth.UNKNOWN] * count, 0
        lengths = runs(self.entry_counts), runs(self.hash_counts)
        for pane, slot_ms, run, hashed, hashing, worth in zip(
            self.panes, slots_ms, *lengths, hashings, worths, strict=True
        ):
            own = hashes[hashed].astype(np.uint64, copy=False)
            events = slice(place, place := place + len(own) * (worth in IN_COLUMNS))
            yield StoredRun(pane, slot_ms, run, own, Hashing(hashing), Worth(worth), events)


_SCOPES = msgspec.msgpack.Decoder(list[tuple[str, str]])
_USERS = msgspec.msgpack.Decoder(list[str])
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Segment)


def encode(
    header: Header,
    scopes: Sequence[tuple[str, str]],
    users: Sequence[str],
    panes: Sequence[PaneContent],
    most_bytes: int = MOST_BYTES,
    funnel: bytes = b"",
    looked_at: Sequence[bytes] = (),
) -> list[bytes]:
    """Encode the parts of a segment, of at most `most_bytes` each; `funnel`, `looked_at`: what funnel and signals need.

    `scopes` and `users` are the names by ledger number, as used in the entries. Names are long only where somebody
    wants them to be, so a part is cut by its entries first, and halved if it turns out too large.
    """
    cuts = parts_of([run for content in panes for run in content.runs()], looked_at, most_bytes // 2)
    room, piece = most_bytes - _MORE_PARTS, memoryview(funnel)
    is_little = len(funnel) <= room // _LITTLE  # nearly always: so a batch is one record
    whole = [*cuts[:-1], cuts[-1]._replace(funnel=piece)] if is_little else cuts
    parts = [_encode_part(header, len(cuts), scopes, users, part) for part in whole]
    if is_little and all(len(part) <= room for part in parts):
        return parts
    while large := [place for place, part in enumerate(parts) if len(part) > room and cuts[place].can_be_halved]:
        for place in reversed(large):
            cuts[place : place + 1] = halves = cuts[place].halves()
            parts[place : place + 1] = [_encode_part(header, 0, scopes, users, half) for half in halves]
    cuts += [SegmentPart([], funnel=one) for one in _pieces(header, piece, room)]
    return [_encode_part(header, len(cuts), scopes, users, part) for part in cuts]


def _pieces(header: Header, funnel: memoryview, room: int) -> list[memoryview]:
    """Cut what the funnel needs into pieces that fit into a part of their own."""
    size = max(room - len(_encode_part(header, 0, (), (), SegmentPart([]))), 1)
    return [funnel[start : start + size] for start in range(0, len(funnel), size)]


def _encode_part(
    header: Header,
    parts: int,
    scopes: Sequence[tuple[str, str]],
    users: Sequence[str],
    part: SegmentPart,
) -> bytes:
    panes = part.runs
    entries, sizes = [NO_ENTRIES, *(run.entries for run in panes)], [0, *(len(run.entries.users) for run in panes)]
    *own, recruits, amplified = zip(*entries, strict=True)
    columns = [np.concatenate(column) for column in own]
    credits_ = stored_credits(together(recruits, sizes), together(amplified, sizes))
    is_new = credits_ is not NONE_STORED or any(run.hashing >= Hashing.TAKEN_BACK for run in panes)
    events = joined_events([run.events for run in panes])
    scope_numbers = distinct_in(np.concatenate([columns[0], events.scopes]))
    user_numbers = distinct_in(np.concatenate([columns[1], events.users]))
    several = np.flatnonzero(columns[4] != columns[3].astype(np.float64) ** 2)
    segment = Segment(
        version=SINCE_0_4 if is_new else VERSION,
        header=header,
        parts=parts,
        packed_scopes=msgspec.Raw(_ENCODER.encode([scopes[number] for number in scope_numbers.tolist()])),
        packed_users=msgspec.Raw(_ENCODER.encode([users[number] for number in user_numbers.tolist()])),
        panes=[run.pane for run in panes],
        entry_counts=[len(run.entries.users) for run in panes],
        hash_counts=[len(run.hashes) for run in panes],
        scope=pack(np.searchsorted(scope_numbers, columns[0])),
        user=pack(np.searchsorted(user_numbers, columns[1])),
        posts=pack(columns[2]),
        impressions=pack(columns[3]),
        several=pack(several),
        squares=pack(columns[4][several]),
        hashes=pack(np.concatenate([run.hashes for run in panes]) if panes else np.empty(0, np.uint64)),
        hashings=[run.hashing for run in panes],
        slots_ms=[run.slot_ms for run in panes],
        worths=[run.worth for run in panes],
        packed_events=packed_events(
            events, np.searchsorted(user_numbers, events.users), np.searchsorted(scope_numbers, events.scopes)
        )
        if len(events.hashes)
        else NOTHING_PACKED,
        packed_credits=credits_,
        funnel=part.funnel,
        looked_at=[memoryview(value) for value in part.looked_at],
    )
    # A copy: the encoder's own bytes may keep the room that they grew into, and their columns stay in memory.
    return bytes(memoryview(_ENCODER.encode(segment)))


def decode(value: bytes) -> Segment:
    """Decode a stored part; its columns are views of `value`. Raises FormatError if damaged or of another version."""
    try:
        segment = _DECODER.decode(value)
        scopes = segment.scopes()  # raises here, not when it is used
        is_readable = segment.version in READABLE
        events = segment.events() if is_readable else NO_EVENTS
        are_credits = are_sound(segment.packed_credits, sum(segment.entry_counts)) if is_readable else True
    except DECODE_ERRORS as error:
        raise FormatError(f"not a segment of version {VERSION}: {error}; {_found(value)}") from error
    if segment.version not in READABLE:
        raise FormatError(
            f"segment of version {segment.version}, this release reads {VERSION} and {SINCE_0_4}: "
            "run the release that wrote it"
        )
    if not (events.is_sound(len(scopes)) and are_credits):
        raise FormatError("a segment with columns of events that do not fit together")
    return segment


def joined_pieces(parts: Sequence[Segment]) -> bytes:
    """Return what the parts of a segment have for the funnel."""
    return b"".join([part.funnel for part in parts])


def _found(value: bytes) -> str:
    try:
        return f"it says version {msgspec.msgpack.decode(value)[0]}"
    except (msgspec.DecodeError, TypeError, LookupError):
        return f"it begins with {value[:16]!r}"
