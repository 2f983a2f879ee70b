"""Scopes: one topic within one population, whose users are ranked together; and the scopes of each event."""

from collections.abc import Sequence
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask, distinct_in
from stream_app.core.dedup.hash_index import HashIndex
from stream_app.core.events.names import RESERVED, normal_topic
from stream_app.core.events.schema import MAX_ID_BYTES
from stream_app.core.messages import ALL_TOPICS, OTHER
from stream_app.core.state.interning import Interner, Numbers

_TOPIC_BITS = 32
_TOPIC_MASK = (1 << _TOPIC_BITS) - 1
_SHORT = MAX_ID_BYTES // 4
"""Characters that are never over MAX_ID_BYTES."""
_MOST_SPELLINGS = 16_384
"""Spellings whose topic is remembered: the memory for them is bounded, whatever is written."""
_OTHER_TOPIC = 1
_OTHER_POPULATION = 0


class ScopeName(NamedTuple):
    """The name of a scope."""

    population: str
    topic: str


class EventScopes(NamedTuple):
    """The (event, scope) pairs to count, as columns: first every event in its `*`, then the events in their topics.

    A scope is a code, population number and topic number, because it may not be in the table yet.
    """

    events: Ints
    codes: Ints
    beyond: int
    """How often a topic counts as `(other)` because its event has too many."""


class NamesBefore(NamedTuple):
    """How many names the table had before a batch."""

    populations: int
    topics: int


class ScopeTable:
    """The scopes of a ledger, numbered 0, 1, 2 … in order of arrival."""

    def __init__(self, numbers: Numbers | None = None) -> None:
        """`numbers`: the pool of ints to share with other tables."""
        self._topics = Interner([ALL_TOPICS, OTHER], numbers)
        self._populations = Interner([OTHER])
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

    def of_events(
        self, populations: Sequence[str], topics: Sequence[tuple[str, ...]], most: int, *, in_order: bool = False
    ) -> EventScopes:
        """Return the scopes that each event counts in: `*`, and each of its distinct topics up to `most` of them.

        New names get numbers, new scopes do not. `in_order`: the topics of an event in the order in which it has them.
        """
        everybody = self._population_numbers(populations) << _TOPIC_BITS
        sizes = np.fromiter(map(len, topics), np.int64, len(topics))
        events = np.repeat(np.arange(len(topics)), sizes)
        numbers = self._topic_numbers(list(chain.from_iterable(topics)))
        counted = numbers != 0  # drops blank topics and "(other)", and "*", which every event counts in already
        events, numbers = events[counted], numbers[counted]
        largest, beyond = sizes.max(initial=0), 0
        if largest > most:
            events, numbers = _in_order(events, numbers)
            places = np.arange(len(events)) - np.searchsorted(events, events)
            beyond = int(np.count_nonzero(places >= most))
            numbers = np.where(places < most, numbers, _OTHER_TOPIC)
        if largest > 1:
            events, numbers = _in_order(events, numbers) if in_order else _distinct(events, numbers)
        codes = np.concatenate([everybody, everybody[events] | numbers])
        return EventScopes(np.concatenate([np.arange(len(topics)), events]), codes, beyond)

    def named(self, populations: Sequence[str], topics: Sequence[tuple[str, ...]]) -> EventScopes:
        """Return the scopes that events name as a ledger names them, which are all that they count in."""
        events = np.repeat(np.arange(len(topics)), np.fromiter(map(len, topics), np.int64, len(topics)))
        numbers = self._topics.add([*chain.from_iterable(topics)])
        return EventScopes(events, self._population_numbers(populations)[events] << _TOPIC_BITS | numbers, 0)

    def names_before(self) -> NamesBefore:
        """Return how many names there are, for `drop_names` after `of_events`."""
        return NamesBefore(len(self._populations), len(self._topics))

    def drop_names(self, before: NamesBefore, codes: Ints) -> Ints:
        """Drop the names since `before` that are in none of the `codes`; return the codes with the numbers left."""
        populations = self._populations.drop_unused(before.populations, codes >> _TOPIC_BITS)
        topics = self._topics.drop_unused(before.topics, codes & _TOPIC_MASK)
        self._spellings.clear()
        return populations << _TOPIC_BITS | topics

    def find_codes(self, codes: Ints) -> Ints:
        """Return the number of each scope, −1 if it is not in the table."""
        return self._index.find(codes)

    def add_codes(self, codes: Ints) -> Ints:
        """Return the number of each scope; new scopes get the next numbers."""
        return self._index.add(codes)

    def are_everybody(self, scopes: Ints) -> Mask:
        """Return which of some scopes are the `*` of their population."""
        mask: Mask = self._index.keys[scopes] & _TOPIC_MASK == 0
        return mask

    def is_other(self) -> Mask:
        """Return which scopes are `(other)` or of the population `(other)`, by scope number: nobody is ranked there."""
        return is_other(self._index.keys)

    def is_named(self) -> Mask:
        """Return which scopes are topics that events name, by scope number."""
        return is_named(self._index.keys)

    def renumber(self, kept: Ints) -> "ScopeTable":
        """Return a new table with only the scopes in `kept` (numbers), numbered in that order."""
        names = self.names()
        fewer = ScopeTable(self._topics.numbers)
        fewer.add([names[number] for number in kept.tolist()])
        return fewer

    def _population_numbers(self, populations: Sequence[str]) -> Ints:
        if populations and populations.count(populations[0]) == len(populations):  # nearly always the default
            return np.repeat(self._populations.add(populations[:1]), len(populations))
        return self._populations.add(populations)

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
            number = self._spellings[spelling] = self._number_of(normal_topic(spelling))
        return number

    def _number_of(self, topic: str) -> int:
        if not topic or topic in RESERVED:
            return 0
        if len(topic) > _SHORT and len(topic.encode()) > MAX_ID_BYTES:  # normalised, a name can be longer
            return _OTHER_TOPIC
        return self._topics[topic]


def is_other(codes: Ints) -> Mask:
    """Return which scopes are `(other)` or of the population `(other)`."""
    mask: Mask = (codes & _TOPIC_MASK == _OTHER_TOPIC) | (codes >> _TOPIC_BITS == _OTHER_POPULATION)
    return mask


def is_named(codes: Ints) -> Mask:
    """Return which scopes are topics that events name."""
    mask: Mask = (codes & _TOPIC_MASK > _OTHER_TOPIC) & (codes >> _TOPIC_BITS != _OTHER_POPULATION)
    return mask


def other_topic(codes: Ints) -> Ints:
    """Return the scope `(other)` of the population of each scope."""
    return codes & ~_TOPIC_MASK | _OTHER_TOPIC


def other_population(codes: Ints) -> Ints:
    """Return the scope of the population `(other)` that each scope counts in: `*` stays `*`."""
    everybody = codes & _TOPIC_MASK == 0
    return np.where(everybody, 0, _OTHER_TOPIC) | _OTHER_POPULATION << _TOPIC_BITS


def _distinct(events: Ints, numbers: Ints) -> tuple[Ints, Ints]:
    distinct = distinct_in(events << _TOPIC_BITS | numbers)
    return distinct >> _TOPIC_BITS, distinct & _TOPIC_MASK


def _in_order(events: Ints, numbers: Ints) -> tuple[Ints, Ints]:
    """Return the distinct pairs in order of appearance."""
    _, first = np.unique(events << _TOPIC_BITS | numbers, return_index=True)
    first.sort()
    return events[first], numbers[first]
