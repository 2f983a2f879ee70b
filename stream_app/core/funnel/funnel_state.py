"""The state of a funnel, to be stored: all that it holds, or what one decision changed, and what its numbers name."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, distinct_in
from stream_app.core.funnel.episodes.episode_table import EpisodesOfKeys
from stream_app.core.funnel.scope_cells import CellCounts
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME

NOBODY = np.empty(0, np.int64)


class FunnelState(NamedTuple):
    """Episodes replace those that are held of their keys; counts are added. Events that are not decided are not in it.

    Events that are in it may be added again after it is restored: they change nothing.
    """

    scopes: Sequence[ScopeName]
    people: Sequence[str]
    """Those who are credited."""
    entries: EpisodesOfKeys
    """`credited` is a number in `people`, if it is not negative."""
    shares: EpisodesOfKeys
    counts: CellCounts
    """The scopes are numbers in `scopes`."""
    newcomers: CellCounts
    decided_ms: int
    known: tuple[Ints, Ints] = (NOBODY, NOBODY)
    """Keys whose episodes are forgotten, and when each had its last event, more or less."""
    start_ms: int = NO_TIME
    """Events before it are not taken back any more."""
    before_window: tuple[tuple[Ints, Ints], tuple[Ints, Ints]] = ((NOBODY, NOBODY), (NOBODY, NOBODY))
    """Of entries and of shares: see `LastTimes`."""

    @property
    def has_news(self) -> bool:
        """Whether there is anything in it that must not be lost."""
        noted = (keys for keys, _ in self.before_window)
        return any(map(len, (self.entries.keys, self.shares.keys, *noted)))

    def with_own_numbers(self) -> "FunnelState":
        """Return the same with only the scopes and people that occur in it."""
        scopes = distinct_in(np.concatenate([self.counts.scopes, self.newcomers.scopes]))
        credited = np.concatenate([self.entries.episodes.records["credited"], self.shares.episodes.records["credited"]])
        people = distinct_in(credited[credited >= 0].astype(np.int64))
        own = self.with_numbers(_places(scopes), _places(people))
        return own._replace(
            scopes=[self.scopes[scope] for scope in scopes.tolist()],
            people=[self.people[person] for person in people.tolist()],
        )

    def with_numbers(self, scopes: Ints, people: Ints) -> "FunnelState":
        """Return the same with other numbers: scope s becomes `scopes[s]`, person p `people[p]`."""
        return self._replace(
            entries=_renumbered(self.entries, people),
            shares=_renumbered(self.shares, people),
            counts=self.counts._replace(scopes=scopes[self.counts.scopes]),
            newcomers=self.newcomers._replace(scopes=scopes[self.newcomers.scopes]),
        )


def _places(numbers: Ints) -> Ints:
    """Return the place of each of some sorted numbers, by number."""
    places = np.zeros(int(numbers.max(initial=-1)) + 1, np.int64)
    places[numbers] = np.arange(len(numbers))
    return places


def _renumbered(held: EpisodesOfKeys, people: Ints) -> EpisodesOfKeys:
    records = held.episodes.records.copy()
    credits_somebody = records["credited"] >= 0
    records["credited"][credits_somebody] = people[records["credited"][credits_somebody]]
    return held._replace(episodes=held.episodes._replace(records=records))
