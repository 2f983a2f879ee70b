"""Names to small numbers and back."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_BYTES_EACH = 180


class Names:
    """Distinct strings, numbered 0, 1, 2 … in order of arrival."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = list(names)
        self.numbers = {name: number for number, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    @property
    def nbytes(self) -> int:
        """About the bytes held: a string, a number, and their places in the list and the dict."""
        return _BYTES_EACH * len(self.names)

    def add(self, names: Sequence[str]) -> NDArray[np.int64]:
        """The number of each name; new ones get the next."""
        numbers = list(map(self.numbers.get, names))
        if None in numbers:
            for place, number in enumerate(numbers):
                if number is None:
                    numbers[place] = self._number(names[place])
        return np.array(numbers, np.int64)

    def _number(self, name: str) -> int:
        number = self.numbers.setdefault(name, len(self.names))
        if number == len(self.names):
            self.names.append(name)
        return number
