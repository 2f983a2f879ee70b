"""Counted events: what each event was counted as, in columns, so that it can be taken back.

Rows and panes hold sums. What a single event added to them (to whom, in which scopes, how many impressions, when) is
stored beside its hash, and decoded only when it is taken back or its pane is sealed: nothing else needs it.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Hashes, Ints
from stream_app.core.changelog.columns import Column, pack, unpack


class Worth(IntEnum):
    """What is known of the events in a run of hashes. The numbers are stored."""

    UNKNOWN = 0
    """A release before 0.4 counted them: they cannot be taken back."""
    NOTHING = 1
    """They added nothing, or it was taken out."""
    POST = 2
    SHARE = 3


IN_COLUMNS = frozenset({Worth.POST, Worth.SHARE})


class CountedEvents(NamedTuple):
    """Events of one pane as columns of equal length, but for `scopes`: those of one event follow those of another."""

    hashes: Hashes
    after_ms: Ints
    """Event time, ms after the start of the pane."""
    users: Ints
    impressions: Ints
    sizes: Ints
    """Scopes of each event."""
    scopes: Ints

    def at(self, places: Ints) -> "CountedEvents":
        """Return the events at `places`, in that order."""
        sizes = self.sizes[places].astype(np.int64)
        starts = np.cumsum(self.sizes, dtype=np.int64)[places] - sizes
        return CountedEvents(
            *(self.hashes[places], self.after_ms[places], self.users[places], self.impressions[places]),
            *(sizes, self.scopes[_runs(starts, sizes)]),
        )

    def part(self, run: slice) -> "CountedEvents":
        """Return a run of the events."""
        ends = np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])
        start, stop, _ = run.indices(len(self.hashes))
        scopes = self.scopes[ends[start] : ends[max(start, stop)]]
        hashes, after_ms, users, impressions, sizes, _ = self
        return CountedEvents(hashes[run], after_ms[run], users[run], impressions[run], sizes[run], scopes)

    def slim(self) -> "CountedEvents":
        """Return the same events in narrower types, to save memory."""
        return self._replace(
            after_ms=self.after_ms.astype(np.int32),
            users=self.users.astype(np.int32),
            sizes=self.sizes.astype(np.int32),
            scopes=self.scopes.astype(np.int32),
        )

    def wide(self) -> "CountedEvents":
        """Return the same events in the types to calculate with."""
        hashes, *columns = self
        return CountedEvents(hashes, *(column.astype(np.int64, copy=False) for column in columns))

    def is_sound(self, scopes: int) -> bool:
        """Return whether the columns fit together, and to so many scopes."""
        count = len(self.hashes)
        return (
            all(len(column) == count for column in (self.after_ms, self.users, self.impressions, self.sizes))
            and int(self.sizes.sum()) == len(self.scopes)
            and (not len(self.scopes) or int(self.scopes.max()) < scopes)
        )

    def pairs(self) -> Ints:
        """Return the place of the event that each of `scopes` belongs to."""
        return np.repeat(np.arange(len(self.hashes)), self.sizes)


def joined_events(parts: Sequence[CountedEvents]) -> CountedEvents:
    """Return several as one."""
    columns = [np.concatenate(column) for column in zip(NO_EVENTS, *parts, strict=True)]
    return CountedEvents(*columns)


_NONE = np.empty(0, np.int64)
NO_EVENTS = CountedEvents(np.empty(0, np.uint64), _NONE, _NONE, _NONE, _NONE, _NONE)


class PackedEvents(msgspec.Struct, array_like=True):
    """The columns of events, but for their hashes, as they are stored; numbers of users and scopes are local."""

    after_ms: Column
    users: Column
    impressions: Column
    sizes: Column
    scopes: Column

    def unpacked(self, hashes: Hashes) -> CountedEvents:
        """Return the events, given their hashes."""
        columns = (self.after_ms, self.users, self.impressions, self.sizes, self.scopes)
        return CountedEvents(hashes, *(unpack(column).astype(np.int64) for column in columns))


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(PackedEvents)
NOTHING_PACKED = msgspec.Raw(b"\xc0")


def packed_events(events: CountedEvents, users: Ints, scopes: Ints) -> msgspec.Raw:
    """Pack the columns but for the hashes; `users`, `scopes`: the numbers to be stored, in place of the ledger's."""
    columns = (events.after_ms, users, events.impressions, events.sizes, scopes)
    return msgspec.Raw(_ENCODER.encode(PackedEvents(*map(pack, columns))))


def unpacked_events(packed: msgspec.Raw, hashes: Hashes) -> CountedEvents:
    """Unpack the columns of events with these hashes."""
    return _DECODER.decode(packed).unpacked(hashes)


def _runs(starts: Ints, sizes: Ints) -> Ints:
    """Return the numbers of consecutive runs that begin at `starts`."""
    offsets = starts - (np.cumsum(sizes) - sizes)
    return np.repeat(offsets, sizes) + np.arange(int(sizes.sum()))
