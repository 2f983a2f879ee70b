"""Scopes: one topic within one population, whose users are ranked together; and the scopes of each event."""

from collections.abc import Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.messages import ALL_TOPICS
from stream_app.core.state.hash_index import HashIndex
from stream_app.core.state.interning import Interner

_TOPIC_BITS = 32
_TOPIC_MASK = (1 << _TOPIC_BITS) - 1
_MOST_SPELLINGS = 200_000


class ScopeName(NamedTuple):
    """The name of a scope."""

    population: str
    topic: str


def folded(topic: str) -> str:
    """Normalise a topic: trimmed, in lower case."""
    return topic.strip().lower()


class ScopeTable:
    """The scopes of a ledger, numbered 0, 1, 2 … in order of arrival."""

    def __init__(self) -> None:
        self._topics = Interner([ALL_TOPICS])
        self._populations = Interner()
        self._index = HashIndex()
        self._names: list[ScopeName] = []
        self._spellings: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._index)

    def names(self) -> list[ScopeName]:
        """Return the names of all scopes by number: a list that grows in place."""
        codes = self._index.keys[len(self._names) :]
        populations, topics = self._populations.names, self._topics.names
        pairs = zip((codes >> _TOPIC_BITS).tolist(), (codes & _TOPIC_MASK).tolist(), strict=True)
        self._names += [ScopeName(populations[population], topics[topic]) for population, topic in pairs]
        return self._names

    def find(self, name: ScopeName) -> int | None:
        """Return the number of a scope, or None. Creates no scope."""
        population, topic = self._populations.get(name.population), self._topics.get(name.topic)
        if population is None or topic is None:
            return None
        (number,) = self._index.find(np.array([population << _TOPIC_BITS | topic])).tolist()
        return None if number < 0 else int(number)

    def add(self, names: Sequence[tuple[str, str]]) -> Ints:
        """Return the number of each scope (population, topic); new scopes get the next numbers."""
        populations = self._populations.add([population for population, _ in names])
        return self._index.add(populations << _TOPIC_BITS | self._topics.add([topic for _, topic in names]))

    def of_events(self, populations: Sequence[str], topics: Sequence[tuple[str, ...]]) -> tuple[Ints, Ints]:
        """Return the (event, scope) pairs to count: each event in `*` and once in each of its distinct topics.

        The two columns of equal length hold event indices and scope numbers.
        """
        everybody = self._populations.add(populations) << _TOPIC_BITS
        sizes = np.fromiter(map(len, topics), np.int64, len(topics))
        events = np.repeat(np.arange(len(topics)), sizes)
        numbers = self._topic_numbers(list(chain.from_iterable(topics)))
        counted = numbers != 0  # drops blank topics, and "*", which every event counts in already
        events, numbers = events[counted], numbers[counted]
        if len(sizes) and sizes.max() > 1:
            distinct = np.unique(events << _TOPIC_BITS | numbers)
            events, numbers = distinct >> _TOPIC_BITS, distinct & _TOPIC_MASK
        codes = np.concatenate([everybody, everybody[events] | numbers])
        return np.concatenate([np.arange(len(topics)), events]), self._index.add(codes)

    def is_everybody(self) -> Mask:
        """Return which scopes are the `*` of their population, by scope number."""
        mask: Mask = self._index.keys & _TOPIC_MASK == 0
        return mask

    def renumber(self, kept: Ints) -> "ScopeTable":
        """Return a new table with only the scopes in `kept` (numbers), numbered in that order."""
        names = self.names()
        fewer = ScopeTable()
        fewer.add([names[number] for number in kept.tolist()])
        return fewer

    def _topic_numbers(self, topics: list[str]) -> Ints:
        numbers = np.fromiter(map(self._spellings.get, topics, repeat(-1)), np.int64, len(topics))
        for place in np.flatnonzero(numbers < 0).tolist():
            numbers[place] = self._number(topics[place])
        return numbers

    def _number(self, spelling: str) -> int:
        number = self._spellings.get(spelling)
        if number is None:
            if len(self._spellings) >= _MOST_SPELLINGS:
                self._spellings.clear()
            topic = folded(spelling)
            number = int(self._topics.add([topic])[0]) if topic else 0
            self._spellings[spelling] = number
        return number
