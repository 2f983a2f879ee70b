"""Interning: maps distinct strings to numbers 0, 1, 2 … and back."""

from collections.abc import Iterable, Sequence

import numpy as np

from stream_app.core.arrays import Ints, distinct_in

_BYTES_EACH = 180


class Numbers(list[int]):
    """A pool of int objects 0, 1, 2 …, shared by interners to save memory: all of them count from 0."""

    def up_to(self, number: int) -> int:
        """Return the pool's int object for `number`."""
        while len(self) <= number:
            self.append(len(self))
        return self[number]


class Interner(dict[str, int]):
    """Distinct strings, numbered in order of arrival; looking up a new string gives it the next number."""

    def __init__(self, names: Iterable[str] = (), numbers: Numbers | None = None) -> None:
        """`numbers`: the pool to share with other interners; by default a new one."""
        self.names = list(names)
        """All strings by number: a list that grows in place."""
        self.numbers = Numbers() if numbers is None else numbers
        super().__init__((name, self.numbers.up_to(number)) for number, name in enumerate(self.names))

    def __missing__(self, name: str) -> int:
        number = self[name] = self.numbers.up_to(len(self.names))
        self.names.append(name)
        return number

    @property
    def nbytes(self) -> int:
        """Approximate bytes in memory: string, number, and their entries in list and dict."""
        return _BYTES_EACH * len(self)

    def drop_unused(self, start: int, used: Ints) -> Ints:
        """Drop the strings from number `start` on that are not `used`; return `used` with the numbers that are left."""
        kept = distinct_in(used[used >= start])
        names = [self.names[number] for number in kept.tolist()]
        for name in self.names[start:]:
            del self[name]
        del self.names[start:]
        self.add(names)
        return np.where(used >= start, start + np.searchsorted(kept, used), used)

    def add(self, names: Sequence[str]) -> Ints:
        """Return the number of each string; new strings get the next numbers."""
        return np.fromiter(map(self.__getitem__, names), np.int64, len(names))
