"""Names to small numbers and back."""

from collections.abc import Iterable, Sequence

import numpy as np

from stream_app.core.arrays import Ints

_BYTES_EACH = 180


_NUMBERS: list[int] = []


def _shared(number: int) -> int:
    """`number`, the same object for every ledger of the process: all of them count from 0."""
    while len(_NUMBERS) <= number:
        _NUMBERS.append(len(_NUMBERS))
    return _NUMBERS[number]


class Interner(dict[str, int]):
    """Distinct strings, numbered 0, 1, 2 … in order of arrival; a new one that is asked for gets the next number."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = list(names)
        """Every name, by number: a list that grows with the names."""
        super().__init__((name, _shared(number)) for number, name in enumerate(self.names))

    def __missing__(self, name: str) -> int:
        number = self[name] = _shared(len(self.names))
        self.names.append(name)
        return number

    @property
    def nbytes(self) -> int:
        """About the bytes held: a string, a number, and their places in the list and the dict."""
        return _BYTES_EACH * len(self)

    def add(self, names: Sequence[str]) -> Ints:
        """The number of each name; new ones get the next."""
        return np.fromiter(map(self.__getitem__, names), np.int64, len(names))
