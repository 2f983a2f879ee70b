"""Known keys: 64-bit keys of those who were forgotten, so that who comes back is not taken for new."""

import numpy as np

from stream_app.core.arrays import Ints, Mask

_GENERATIONS = 8


class KnownKeys:
    """Keys by the time of their forgetting, 8 bytes each; dropped by the eighth of the time they are kept."""

    def __init__(self, remember_ms: int) -> None:
        """`remember_ms`: how long keys are kept, at least."""
        self._remember_ms = remember_ms
        self._generations: dict[int, Ints] = {}
        """Sorted keys."""

    def __len__(self) -> int:
        return sum(map(len, self._generations.values()))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(keys.nbytes for keys in self._generations.values())

    def add(self, keys: Ints, now_ms: int) -> None:
        """Add keys that are forgotten at `now_ms`."""
        if not len(keys):
            return
        number = self._number(now_ms)
        before = self._generations.get(number, keys[:0])
        self._generations[number] = np.sort(np.concatenate([before, keys]))

    def contains(self, keys: Ints) -> Mask:
        """Return which keys are known."""
        known = np.zeros(len(keys), np.bool_)
        for held in self._generations.values():
            known |= held[np.minimum(np.searchsorted(held, keys), len(held) - 1)] == keys
        return known

    def expire(self, now_ms: int) -> None:
        """Drop what has been kept long enough."""
        first = self._number(now_ms - self._remember_ms)
        for number in [number for number in self._generations if number < first]:
            del self._generations[number]

    def _number(self, now_ms: int) -> int:
        return now_ms * _GENERATIONS // self._remember_ms
