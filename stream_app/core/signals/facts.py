"""Facts: what a signal says about one person, in numbers and in words; and the same of many people, as columns."""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.signals.signal_limits import SignalLimits


class Signal(StrEnum):
    """What can be noticed about a person."""

    REGULAR = "regular"
    """The gaps between own events are nearly all the same."""
    ONE_SIDED = "one_sided"
    """Nearly all shares credit one author."""
    EFFECTIVE_SHARERS = "effective_sharers"
    """The shares that credit somebody come from few people."""
    SYNCHRONY = "synchrony"
    """Shares come together with those of others, more often than the pace of the posts explains."""
    AUDIENCE_JUMP = "audience_jump"
    """The audience grew faster than audiences do."""
    ALWAYS_ON = "always_on"
    """Active in nearly every hour of a day."""


class Fact(msgspec.Struct, frozen=True):
    """One signal about one person. Who has one is marked; what it means is for people to judge."""

    name: Signal
    value: float
    limit: float
    events: int
    """Events that it rests on."""
    numbers: dict[str, float] = {}
    """What else belongs to it, such as the distinct posts of one-sided shares."""


class SignalValues(NamedTuple):
    """One signal about many people: columns of equal length."""

    name: Signal
    limit: float
    values: Floats
    """NaN where nothing is known."""
    events: Ints
    is_marked: Mask
    numbers: Mapping[str, Floats] = MappingProxyType({})

    def fact(self, place: int) -> Fact:
        """Return the fact about the person at `place`, who is marked."""
        numbers = {name: _short(column[place]) for name, column in self.numbers.items()}
        return Fact(self.name, _short(self.values[place]), self.limit, int(self.events[place]), numbers)


def facts_at(measured: Iterable[SignalValues], place: int = 0) -> Iterator[Fact]:
    """Yield the facts about the person at `place`."""
    return (one.fact(place) for one in measured if one.is_marked[place])


def are_marked(measured: Iterable[SignalValues]) -> Mask:
    """Return who has a fact."""
    found: Mask = np.logical_or.reduce([one.is_marked for one in measured])
    return found


def quotient(above: Ints | Floats, below: Ints | Floats) -> Floats:
    """Divide; NaN where the divisor is 0."""
    found = np.full(len(above), np.nan)
    np.divide(above, below, out=found, where=below != 0)
    return found


def _short(number: float) -> float:
    return round(float(number), 4)


NAMES: Mapping[Signal, str] = {
    Signal.REGULAR: "regular",
    Signal.ONE_SIDED: "one-sided",
    Signal.EFFECTIVE_SHARERS: "few sharers",
    Signal.SYNCHRONY: "in step",
    Signal.AUDIENCE_JUMP: "audience jump",
    Signal.ALWAYS_ON: "always on",
}


def said(fact: Fact) -> str:
    """Say a fact with its numbers."""
    numbers = fact.numbers.get
    match fact.name:
        case Signal.REGULAR:
            pause = f"{numbers('mean_gap_s', 0.0):,.0f} s"
            words = f"pauses of {pause} ± {100 * fact.value:.0f} % between {fact.events:,} events"
        case Signal.ONE_SIDED:
            posts = f"distinct posts {numbers('distinct_posts', 0.0):,.0f}"
            words = f"{100 * fact.value:.0f} % of {fact.events:,} shares credit one author, {posts}"
        case Signal.EFFECTIVE_SHARERS:
            words = f"{fact.events:,} shares, as if from {numbers('effective_sharers', 0.0):,.0f} people"
        case Signal.SYNCHRONY:
            step = SignalLimits().step_ms // 1000
            expected = f"{numbers('expected', 0.0):,.1f} expected"
            words = f"{numbers('in_step', 0.0):,.0f} of {fact.events:,} shares within {step} s of another, {expected}"
        case Signal.AUDIENCE_JUMP:
            words = f"the audience grew to {fact.value:,.1f} times the one before"
        case Signal.ALWAYS_ON:
            words = f"active in {fact.value:.0f} of 24 hours"
    return f"{NAMES[fact.name]}: {words}"


def all_said(facts: Iterable[Fact]) -> str:
    """Say several facts in one line; empty for none."""
    return "; ".join(map(said, facts))
