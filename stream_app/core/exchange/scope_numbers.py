"""Scope numbers: numbers the scopes of a home 0, 1, 2 … in order of arrival, and keeps their names in little room.

A name kept as a tuple with strings of its own, in a list and as the key of a dict, takes 260 bytes. Here the topics of
each population are the keys of a dict, and a name is put together when it is asked for: 120 bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.state.interning import Numbers
from stream_app.core.state.scopes import ScopeName


class ScopeNumbers(Sequence[ScopeName]):
    """The names of scopes, by number."""

    def __init__(self, names: Iterable[ScopeName] = (), pool: Numbers | None = None) -> None:
        """`pool`: the int objects to share with other homes."""
        self.pool = Numbers() if pool is None else pool
        self._numbers: dict[str, dict[str, int]] = {}
        """By population and topic."""
        self._same: dict[str, str] = {}
        """One string for each population, which each message brings anew."""
        self._topics: list[str] = []
        self._populations: list[str] = []
        self.add(names)

    def __len__(self) -> int:
        return len(self._topics)

    @overload
    def __getitem__(self, number: int) -> ScopeName: ...
    @overload
    def __getitem__(self, number: slice) -> list[ScopeName]: ...
    def __getitem__(self, number: int | slice) -> ScopeName | list[ScopeName]:
        if isinstance(number, slice):
            return list(map(ScopeName, self._populations[number], self._topics[number]))
        return ScopeName(self._populations[number], self._topics[number])

    def __iter__(self) -> Iterator[ScopeName]:
        return map(ScopeName, self._populations, self._topics)

    def find(self, name: ScopeName) -> int | None:
        """Return the number of a scope, None if it has none."""
        topics = self._numbers.get(name.population)
        return None if topics is None else topics.get(name.topic)

    def add(self, names: Iterable[ScopeName]) -> Ints:
        """Return the number of each scope; new ones get the next numbers."""
        return np.fromiter(map(self._number, names), np.int64)

    def _number(self, name: ScopeName) -> int:
        topics = self._numbers.setdefault(name.population, {})
        number = topics.get(name.topic)
        if number is None:
            number = topics[name.topic] = self.pool.up_to(len(self._topics))
            self._topics.append(name.topic)
            self._populations.append(self._same.setdefault(name.population, name.population))
        return number
