"""Interning: distinct strings to the numbers 0, 1, 2 … and back."""

from collections.abc import Iterable, Sequence

import numpy as np

from stream_app.core.arrays import Ints

_BYTES_EACH = 180


class Numbers(list[int]):
    """The integers 0, 1, 2 …: one object each for all interners that share them, because all of them count from 0."""

    def up_to(self, number: int) -> int:
        """`number`, as the shared object."""
        while len(self) <= number:
            self.append(len(self))
        return self[number]


class Interner(dict[str, int]):
    """Distinct strings, numbered in order of arrival; a new one that is asked for gets the next number."""

    def __init__(self, names: Iterable[str] = (), numbers: Numbers | None = None) -> None:
        """`numbers`: those of other interners, to share; else of its own."""
        self.names = list(names)
        """Every string, by number: a list that grows with them."""
        self.numbers = Numbers() if numbers is None else numbers
        super().__init__((name, self.numbers.up_to(number)) for number, name in enumerate(self.names))

    def __missing__(self, name: str) -> int:
        number = self[name] = self.numbers.up_to(len(self.names))
        self.names.append(name)
        return number

    @property
    def nbytes(self) -> int:
        """About the bytes held: a string, a number, and their places in the list and the dict."""
        return _BYTES_EACH * len(self)

    def add(self, names: Sequence[str]) -> Ints:
        """The number of each string; new ones get the next."""
        return np.fromiter(map(self.__getitem__, names), np.int64, len(names))
