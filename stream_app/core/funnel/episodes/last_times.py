"""Last times: of keys whose episode goes on into the window, when their last event before the window was."""

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.state.watermark import NO_TIME

_NO_KEYS = np.empty(0, np.int64)


class LastTimes:
    """Times by key, 16 bytes for each. Of several of one key the latest counts."""

    def __init__(self) -> None:
        self._keys, self._times_ms = _NO_KEYS, _NO_KEYS
        """Sorted by key."""
        self._more: list[tuple[Ints, Ints]] = []
        """What is not among them yet."""
        self._fresh: list[tuple[Ints, Ints]] = []

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self._keys.nbytes + self._times_ms.nbytes + sum(keys.nbytes * 2 for keys, _ in self._more)

    def note(self, keys: Ints, times_ms: Ints, *, is_stored: bool = False) -> None:
        """Note times."""
        if len(keys):
            self._more.append((keys, times_ms))
            self._fresh += [] if is_stored else self._more[-1:]

    def take_fresh(self) -> tuple[Ints, Ints]:
        """Return what was noted since the last call and is to be stored."""
        fresh, self._fresh = self._fresh, []
        return _united(fresh) if fresh else (_NO_KEYS, _NO_KEYS)

    def all(self) -> tuple[Ints, Ints]:
        """Return all keys and times."""
        if self._more:
            self._keys, self._times_ms = _united([(self._keys, self._times_ms), *self._more])
            self._more = []
        return self._keys, self._times_ms

    def of(self, keys: Ints) -> Ints:
        """Return the time of each key; NO_TIME where none is known."""
        known, times_ms = self.all()
        if not len(known):
            return np.full(len(keys), NO_TIME)
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[places] == keys, times_ms[places], NO_TIME)

    def keep(self, kept: Mask) -> None:
        """Keep only some of `all`."""
        self._keys, self._times_ms = self._keys[kept], self._times_ms[kept]

    def take_out(self, keys: Ints) -> None:
        """Remove some keys."""
        self.keep(~np.isin(self.all()[0], keys))
        fresh, times_ms = self.take_fresh()
        left = ~np.isin(fresh, keys)
        self._fresh = [(fresh[left], times_ms[left])]


def _united(parts: list[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    keys, times_ms = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((times_ms, keys))
    keys, times_ms = keys[order], times_ms[order]
    latest = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=latest[:-1])
    return keys[latest], times_ms[latest]
