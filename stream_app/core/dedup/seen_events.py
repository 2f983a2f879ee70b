"""The events counted in the window: those of this release by their identity, those of 0.2 and before by event id alone.

The problem: releases up to 0.2 stored a hash of the event id alone. Such an event that comes again after the upgrade
must not count again; and while workers of both releases are in a group, an event counted here may come again at one of
0.2.

How: until the last pane with hashes of 0.2 has left the window, an event is also looked up by its event id, among the
events that 0.2 counted in the pane of its time. Just as long the event id of everything counted here is stored too
(`Hashing.EVENT_ID_TOO`), which 0.2 reads like its own and this release ignores. After that all of this costs nothing.
A partition in which 0.2 has counted nothing may still go to one of its workers: `store_ids_until` says so.
"""

from collections.abc import Container, Mapping, Sequence

import numpy as np

from stream_app.core.arrays import Hashes, Ints, Mask
from stream_app.core.dedup.deduplicator import UNKNOWN, Deduplicator
from stream_app.core.events.credit import Credits
from stream_app.core.events.identity import Hashing
from stream_app.core.state.panes import Pane
from stream_app.core.state.watermark import NO_TIME

_Panes = Mapping[int, Pane]


class SeenEvents:
    """Which events a ledger has counted, in open panes; events in packed panes are looked up in their segments."""

    def __init__(self) -> None:
        self._events = Deduplicator(Hashing.EVENT)
        self._ids = Deduplicator(Hashing.EVENT_ID)
        self._ids_too: dict[int, list[Hashes]] = {}
        self._newest_by_id = UNKNOWN
        """The newest pane in which 0.2 has counted, or might have."""
        self._rebuilds = 0

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        too = sum(hashes.nbytes for chunks in self._ids_too.values() for hashes in chunks)
        return self._events.nbytes + self._ids.nbytes + too

    def take_rebuilds(self) -> int:
        """Return how often an index was made again because hashes collided in it, since the last call."""
        before, self._rebuilds = self._rebuilds, self._events.rebuilds + self._ids.rebuilds
        return self._rebuilds - before

    def compares_ids(self, first_pane: int) -> bool:
        """Return whether 0.2 has counted, or might have, in the window, which begins with `first_pane`."""
        return self._newest_by_id >= first_pane

    def store_ids_until(self, ts_ms: int, pane_ms: int) -> None:
        """Store event ids too until `ts_ms` has left the window: workers of 0.2 were in the group until then.

        `NO_TIME` changes nothing.
        """
        if ts_ms > NO_TIME:
            self._newest_by_id = max(self._newest_by_id, ts_ms // pane_ms)

    def first(self, batch: Credits, panes: Ints, candidates: Mask, held: _Panes) -> Mask:
        """Return which of the `candidates` are new, and remember them. Of repeated events the first is new."""
        if batch.id_hashes is not None:
            candidates = candidates & ~self._ids.known(batch.id_hashes, panes, held)
        if candidates.all():
            return self._events.first(batch.hashes, panes, held)
        fresh = np.zeros(len(panes), np.bool_)
        fresh[candidates] = self._events.first(batch.hashes[candidates], panes[candidates], held)
        return fresh

    def panes_of(self, hashes: Hashes) -> Ints:
        """Return the open pane in which each event was counted; `UNKNOWN` for none."""
        return self._events.panes_of(hashes)

    def added(self, pane: int, id_hashes: Hashes | None) -> Mapping[Hashing, Hashes]:
        """Remember the event ids of what a batch added to a pane, and return what is to be stored of them."""
        if id_hashes is None:
            return {}
        self._ids_too.setdefault(pane, []).append(id_hashes)
        return {Hashing.EVENT_ID_TOO: id_hashes}

    def restore(self, hashes: Hashes, pane: int, hashing: Hashing) -> None:
        """Restore events of an open pane."""
        match hashing:
            case Hashing.EVENT:
                self._events.restore(hashes, pane)
            case Hashing.EVENT_ID:
                self._ids.restore(hashes, pane)
            case Hashing.EVENT_ID_TOO:
                self._ids_too.setdefault(pane, []).append(hashes)

    def note(self, pane: int, hashes: Hashes, hashing: Hashing) -> None:
        """Note that a pane of the log has such hashes, whether it is open or not."""
        if hashing is Hashing.EVENT_ID and len(hashes):
            self._newest_by_id = max(self._newest_by_id, pane)

    def content(self, number: int, pane: Pane, first_pane: int) -> tuple[Hashes, dict[Hashing, Hashes]]:
        """Return all hashes of a pane, to be stored: of events, and of event ids as long as they are compared."""
        events = np.concatenate([self._events.of_pane(number), *pane.packed_hashes(Hashing.EVENT)])
        if not self.compares_ids(first_pane):
            return events, {}
        ids: dict[Hashing, Sequence[Hashes]] = {
            Hashing.EVENT_ID: [self._ids.of_pane(number), *pane.packed_hashes(Hashing.EVENT_ID)],
            Hashing.EVENT_ID_TOO: [*self._ids_too.get(number, ()), *pane.packed_hashes(Hashing.EVENT_ID_TOO)],
        }
        return events, {hashing: joined for hashing, some in ids.items() if len(joined := _joined(some))}

    def forget(self, panes: Container[int]) -> None:
        """Drop the events of `panes`, which are packed or have left the window."""
        self._events.forget(panes)
        self._ids.forget(panes)
        self._ids_too = {pane: chunks for pane, chunks in self._ids_too.items() if pane not in panes}


def _joined(some: Sequence[Hashes]) -> Hashes:
    return np.concatenate([np.empty(0, np.uint64), *some])
