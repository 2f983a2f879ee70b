"""The event history: what the funnel needs of each event in the window, so that any of them can be taken back.

The problem: episodes are sums. Once the first event of an episode is gone, the entry is the next one, with a recruiter
of its own; and without one in the middle an episode may be two. Only the other events of the person say so.

The invariant: an event that may still be taken back is in the log in one of two places, the delta of its batch or a
*chunk*, a copy of what the deltas of some sequences had. What is older than the window is never taken back: of it the
episodes are enough, each cut to its last event before the window where it goes on into it (`LastTimes`). So a chunk is
needed until its events have left the window, and their last times are in the log with a decision.

    deltas    7: events │ 8: events │ 9: e is taken back │ 10: decision, also of what was taken back
    chunk               │ (5, 8]                                    from here on 7 and 8 may be garbage
    decide    e is looked up in the chunks, then all others of its person: these replace the episodes of e's keys

Taken events stay in their chunk; their hashes are remembered beside, with decisions. Chunks are stored as panes with
numbers before any time, like journals of the signals. Each event is written twice, and read again when it is looked up
and when it leaves the window. (Panes of the ledger hold the same events, but not whom they name, no order of events of
one time, and none of who has no audience. In decisions they would be written a third time.)
Change together: `signal_log`, which has the numbers above these; `stored_funnel`, which says what is taken back.
"""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.changelog.columns import Column, FormatError, pack, unpack
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.dedup.deduplicator import contained
from stream_app.core.funnel.funnel import Funnel
from stream_app.core.funnel.funnel_events import EventColumns
from stream_app.core.funnel.stored.stored_events import (
    EventKeys,
    NamedEvents,
    decode_named,
    encode_named,
    joined_events,
    keys_in,
    names_in,
)
from stream_app.core.state.watermark import NO_TIME

_FIRST_CHUNK = -(2**60)
FIRST_OTHER = -(2**59) - 2**20
"""Numbers of panes below this are those of chunks."""
_MUCH = 256_000
"""Bytes of events in deltas that are copied into a chunk."""


class _StoredChunk(msgspec.Struct, array_like=True):
    """A chunk as it is stored."""

    sequences: Column
    """Of the deltas whose events are in it."""
    first_ms: int
    last_ms: int
    events: memoryview


class _EventsPart(NamedTuple):
    """Events of a delta or a chunk."""

    first_ms: int
    last_ms: int
    events: bytes | memoryview
    sequences: Column = pack(np.empty(0, np.int64))
    """Of a chunk."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_StoredChunk)


TakenTimes = tuple[Hashes, Ints]
"""Hashes of events that were taken back, and when they happened."""
NOTHING_TAKEN: TakenTimes = (np.empty(0, np.uint64), np.empty(0, np.int64))


class EventHistory:
    """The events of one partition that may be taken back."""

    def __init__(self) -> None:
        self.start_ms = NO_TIME
        """Events before it have left the window."""
        self._deltas: dict[int, _EventsPart] = {}
        """By sequence: what no chunk has."""
        self._delta_bytes = 0
        self._chunks: dict[int, _EventsPart] = {}
        """By number."""
        self._keys: dict[int, list[bytes]] = {}
        """Of each chunk in the log."""
        self._next_number = _FIRST_CHUNK
        self._covered: set[int] = set()
        """The deltas whose events are in a chunk that was restored."""
        self._left: list[bytes] = []
        """Keys of chunks that are garbage once a decision says what of them is still to be known."""
        self._hashes, self._times_ms = NOTHING_TAKEN
        """What was taken back, sorted by hash, and when it happened."""
        self._retracted: list[Hashes] = []
        """What is taken back with the next decision."""

    @property
    def stored_bytes(self) -> int:
        """Bytes of the chunks in the log that are needed."""
        return sum(len(chunk.events) for chunk in self._chunks.values())

    @property
    def nbytes(self) -> int:
        """Bytes in memory, besides the chunks."""
        return self._delta_bytes + 2 * self._hashes.nbytes

    @property
    def names(self) -> set[str]:
        """Who is named in it."""
        parts = (*self._chunks.values(), *self._deltas.values())
        return {name for part in parts for name in names_in(part.events)}

    @property
    def has_left(self) -> bool:
        """Whether chunks wait for a decision."""
        return bool(self._left)

    def add(self, sequence: int, times_ms: Ints, events: bytes) -> None:
        """Add the events of a delta."""
        self._deltas[sequence] = _EventsPart(int(times_ms.min()), int(times_ms.max()), events)
        self._delta_bytes += len(events)

    def holds_alone(self, sequence: int) -> bool:
        """Return whether a delta has events that no chunk has."""
        return sequence in self._deltas

    def has_taken(self, hashes: Hashes) -> Mask:
        """Return which events were taken back, as far as that is decided."""
        return contained(hashes, self._hashes)

    def retract(self, hashes: Hashes) -> None:
        """Note that events are to be taken back."""
        self._retracted.append(hashes)

    def take_back(self, funnel: Funnel) -> EventColumns | None:
        """Have the funnel take back what is to be, with its next decision. Returns what was found of it, if any."""
        if not self._retracted:
            return None
        hashes, self._retracted = np.unique(np.concatenate(self._retracted)), []
        found = self._chosen(lambda keys: contained(keys.hashes, hashes))
        if not found:
            return None
        taken = joined_events(found).numbered(funnel)
        self.note_taken(taken.hashes, taken.ts_ms)
        persons = np.unique(taken.persons)
        others = self._chosen(lambda keys: contained(keys.persons, persons))
        left = joined_events(others).numbered(funnel) if others else taken.at(taken.ts_ms == NO_TIME)
        funnel.replace(taken, left)
        return taken

    def taken(self) -> TakenTimes:
        """Return the hashes and times of all that was taken back and is in the window."""
        return self._hashes, self._times_ms

    def note_taken(self, hashes: Hashes, times_ms: Ints) -> None:
        """Remember what was taken back."""
        hashes, times_ms = np.concatenate([self._hashes, hashes]), np.concatenate([self._times_ms, times_ms])
        self._hashes, places = np.unique(hashes, return_index=True)
        self._times_ms = times_ms[places]

    def leave(self, start_ms: int) -> Iterator[NamedEvents]:
        """Drop what is before `start_ms`, after yielding those events of it that were not taken back."""
        for part in (*self._chunks.values(), *self._deltas.values()):
            if part.first_ms < start_ms:
                events = self._left_of(decode_named(part.events))
                yield events.at(events.columns.ts_ms < start_ms)
        self.start_ms = start_ms
        for number in [number for number, chunk in self._chunks.items() if chunk.last_ms < start_ms]:
            del self._chunks[number]
            self._left += self._keys.pop(number)
        in_window = self._times_ms >= start_ms
        self._hashes, self._times_ms = self._hashes[in_window], self._times_ms[in_window]

    def take_left(self) -> list[bytes]:
        """Return the keys of chunks that are garbage, now that a decision in the log has what is needed of them."""
        left, self._left = self._left, []
        for sequence in [sequence for sequence, delta in self._deltas.items() if delta.last_ms < self.start_ms]:
            self._delta_bytes -= len(self._deltas.pop(sequence).events)
        return left

    def due(self, *, is_sealing: bool) -> tuple[int, bytes] | None:
        """Return number and content of the chunk that is to be written now: none without a reason.

        There is one if much is in deltas alone, or while panes are sealed, so that these deltas may be garbage.
        """
        if not self._deltas or not (is_sealing or self._delta_bytes > _MUCH):
            return None
        parts = [*self._deltas.values()]
        events = encode_named(joined_events([decode_named(part.events) for part in parts]))
        times_ms = min(part.first_ms for part in parts), max(part.last_ms for part in parts)
        sequences = pack(np.array([*self._deltas]))
        return self._next_number, _encoded(_EventsPart(*times_ms, events, sequences))

    def written(self, number: int, value: bytes | memoryview, keys: list[bytes]) -> None:
        """Note that a chunk is in the log."""
        stored = _decoded(value)
        chunk = _EventsPart(stored.first_ms, stored.last_ms, stored.events, stored.sequences)
        self._chunks[number], self._keys[number] = chunk, keys
        if number == self._next_number:
            self._deltas, self._delta_bytes = {}, 0
        self._next_number = max(self._next_number, number + 1)

    def restore(self, number: int, value: bytes | memoryview, keys: list[bytes]) -> None:
        """Restore a chunk of the log, after the decisions and before the deltas."""
        self.written(number, value, keys)
        self._covered.update(unpack(self._chunks[number].sequences).tolist())
        if self._chunks[number].last_ms < self.start_ms:
            del self._chunks[number]
            self._left += self._keys.pop(number)

    def restore_delta(self, sequence: int, events: bytes | memoryview) -> None:
        """Restore the events of a delta, if they are in no chunk."""
        if sequence not in self._covered and len(times_ms := decode_named(events).columns.ts_ms):
            self.add(sequence, times_ms, bytes(events))

    def take_out(self, names: Collection[str], persons: Hashes) -> Iterator[tuple[int, bytes, list[bytes]]]:
        """Remove people who are erased. Yields number and content of chunks that change, and their keys so far."""
        for sequence, delta in self._deltas.items():
            left = decode_named(delta.events).without(names, persons)
            self._deltas[sequence] = delta._replace(events=encode_named(left))
        for number, chunk in [*self._chunks.items()]:
            events = decode_named(chunk.events)
            if not {*names}.isdisjoint(events.people) or np.isin(events.columns.persons, persons).any():
                less = chunk._replace(events=encode_named(events.without(names, persons)))
                yield number, _encoded(less), self._keys[number]

    def _chosen(self, are_chosen: Callable[[EventKeys], Mask]) -> list[NamedEvents]:
        """Return some of the events that may be taken back, by the parts that have any."""
        parts = [part.events for part in (*self._chunks.values(), *self._deltas.values())]
        masks = ((part, are_chosen(keys_in(part))) for part in parts)
        chosen = (self._left_of(decode_named(part).at(mask)) for part, mask in masks if mask.any())
        return [events for events in chosen if len(events.columns.ts_ms)]

    def _left_of(self, events: NamedEvents) -> NamedEvents:
        """Return those events that may be taken back."""
        return events.at((events.columns.ts_ms >= self.start_ms) & ~self.has_taken(events.columns.hashes))


def is_chunk(number: int) -> bool:
    """Return whether what is stored as a pane is a chunk."""
    return number < FIRST_OTHER


def _encoded(part: _EventsPart) -> bytes:
    return _ENCODER.encode(_StoredChunk(part.sequences, part.first_ms, part.last_ms, memoryview(part.events)))


def _decoded(value: bytes | memoryview) -> _StoredChunk:
    try:
        return _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not a chunk of the history of events: {error}") from error
