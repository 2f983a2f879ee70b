"""Deltas: which deltas of a partition are in the log, what retractions have changed again, and what is superseded."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from stream_app.core.changelog.replay import ReplayedLog


class Delta(NamedTuple):
    """A delta in the log."""

    keys: list[bytes]
    panes: frozenset[int]
    """Those that it says anything of."""
    stored_bytes: int


class Deltas:
    """The deltas that are not garbage, by sequence: they have no gaps."""

    def __init__(self) -> None:
        self._held: dict[int, Delta] = {}
        self.carried = 0
        """The newest delta that carries on what those before it say of packed panes; 0 for none."""
        self._carried_panes: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all of them in the log."""
        return sum(delta.stored_bytes for delta in self._held.values())

    def oldest(self, sequence: int) -> int:
        """Return the sequence of the oldest; `sequence` if there are none."""
        return min(self._held, default=sequence)

    def carry(self, sequence: int, panes: frozenset[int]) -> None:
        """Note that a delta carries on all that those before it say of some panes."""
        self.carried, self._carried_panes = sequence, panes

    def is_carried(self, panes: frozenset[int]) -> bool:
        """Return whether a delta carries on these panes, and none after it says anything of them."""
        if self.carried not in self._held or not panes <= self._carried_panes:
            return False
        later = (delta.panes for sequence, delta in self._held.items() if sequence > self.carried)
        return all(map(panes.isdisjoint, later))

    def add(self, sequence: int, panes: frozenset[int], written: Mapping[bytes, bytes]) -> None:
        """Note a delta that was written."""
        self._held[sequence] = Delta(list(written), panes, sum(map(len, written.values())))

    def restore(self, held: ReplayedLog, carried: int) -> None:
        """Note the deltas that are in the log; `carried`: see above."""
        for key, parts in held.deltas.items():
            panes = frozenset(pane for part in parts for pane in part.panes)
            self._held[key.sequence] = Delta(key.parts(len(parts)), panes, sum(part.nbytes for part in parts))
        self.carry(carried, self._held[carried].panes if carried in self._held else frozenset())

    def carried_at(self, sequence: int) -> frozenset[int]:
        """Return the panes of which a later delta carries on what this one says."""
        return self._carried_panes if sequence < self.carried else frozenset()

    def take_superseded(self, is_needed: Callable[[int, frozenset[int]], bool]) -> list[bytes]:
        """Leave out the oldest deltas, up to the first that is needed. Returns their keys."""
        garbage: list[bytes] = []
        for sequence, delta in list(self._held.items()):
            if is_needed(sequence, delta.panes):
                break
            garbage += delta.keys
            del self._held[sequence]
        return garbage
