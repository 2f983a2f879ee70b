"""Known keys: 64-bit keys of those who were forgotten, so that who comes back is not taken for new."""

import numpy as np

from stream_app.core.arrays import Ints, Mask, distinct_in
from stream_app.core.state.watermark import NO_TIME

_GENERATIONS = 8


class KnownKeys:
    """Keys by the time of their last event, 8 bytes each, in generations of an eighth of the time they are kept."""

    def __init__(self, remember_ms: int) -> None:
        """`remember_ms`: how long keys are kept, at least."""
        self._width_ms = -(-remember_ms // _GENERATIONS)
        self._generations: dict[int, Ints] = {}
        """Sorted keys."""
        self._first = NO_TIME
        """The first generation that is kept."""

    def __len__(self) -> int:
        return sum(map(len, self._generations.values()))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(keys.nbytes for keys in self._generations.values())

    def add(self, keys: Ints, last_ms: Ints) -> None:
        """Add keys with the time of their last event."""
        kept = self.are_kept(last_ms)
        keys, numbers = keys[kept], last_ms[kept] // self._width_ms
        for number in distinct_in(numbers).tolist():
            before = self._generations.get(number, keys[:0])
            self._generations[number] = np.sort(np.concatenate([before, keys[numbers == number]]))

    def take_out(self, keys: Ints) -> None:
        """Remove some keys."""
        for number, held in self._generations.items():
            self._generations[number] = held[~np.isin(held, keys)]

    def all(self) -> tuple[Ints, Ints]:
        """Return all keys, each with a time of its generation."""
        none = np.empty(0, np.int64)
        keys = np.concatenate([none, *self._generations.values()])
        numbers = [np.full(len(held), number) for number, held in self._generations.items()]
        return keys, np.concatenate([none, *numbers]) * self._width_ms

    def are_kept(self, last_ms: Ints) -> Mask:
        """Return whose keys are kept, by the time of their last event."""
        mask: Mask = last_ms // self._width_ms >= self._first
        return mask

    def contains(self, keys: Ints) -> Mask:
        """Return which keys are known."""
        known = np.zeros(len(keys), np.bool_)
        for held in filter(len, self._generations.values()):
            known |= held[np.minimum(np.searchsorted(held, keys), len(held) - 1)] == keys
        return known

    def expire(self, now_ms: int) -> None:
        """Drop what has been kept long enough."""
        self._first = max(self._first, now_ms // self._width_ms - _GENERATIONS)
        for number in [number for number in self._generations if number < self._first]:
            del self._generations[number]
