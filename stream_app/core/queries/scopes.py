"""Queries about scopes: which there are, their cuts and curves now, and how the cuts moved over the window."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.cuts.curve_points import MANY_CELLS, users_from
from stream_app.core.cuts.history import CutHistory, PastCut
from stream_app.core.cuts.lorenz import Points, lorenz
from stream_app.core.cuts.publication import Frame, PublishedCuts
from stream_app.core.events.names import normal_topic
from stream_app.core.exchange.cut_record import CutRecord, cuts_in, intervals_in, of_role, points_in
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.exchange.homes import Homes
from stream_app.core.flags.standing import StandingRules
from stream_app.core.messages import Cut, Role
from stream_app.core.privacy.min_group import CutSize, Disclosure
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.core.state.window import Window


class ScopeList(NamedTuple):
    """Scopes with users, those of the most users first."""

    numbers: Ints
    names: list[ScopeName]


@dataclass(kw_only=True)
class ScopeQueries:
    """Every worker answers them about the scopes that are followed, wherever they are at home."""

    followed: FollowedCuts
    past_cuts: CutHistory
    window: Window
    event_time_ms: Callable[[], int]
    frame_at: Callable[[int], Frame]
    """What all cuts have in common at an event time."""
    rules: StandingRules
    population_sizes: Mapping[str, int]
    disclosure: Disclosure
    _framed: tuple[tuple[int, int], Frame] | None = None

    @property
    def newest_ms(self) -> int:
        """Event time reached, epoch ms; negative before the first event."""
        return self.event_time_ms()

    @property
    def window_start_ms(self) -> int:
        """Where the window begins, event time; 0 before the first event."""
        return self._frame.window_start if self.newest_ms > NO_TIME else 0

    @property
    def panes(self) -> range:
        """The numbers of the panes in the window."""
        first = self.window_start_ms // self.window.pane_ms
        return range(first, first + self.window.panes)

    def find(self, population: str = "", *, topic: str = "", search: str = "") -> ScopeList:
        """The scopes of a population and topic (empty: any), with `search` in the topic."""
        names, wanted = self.followed.names, normal_topic(search)
        numbers = [
            number
            for number, name in enumerate(names)
            if (not population or name.population == population)
            and (not topic or name.topic == topic)
            and wanted in name.topic
        ]
        users = self.users(np.array(numbers, np.int64)).max(axis=0)
        order = np.argsort(-users, kind="stable")[: np.count_nonzero(users >= self.disclosure.least)]
        chosen = np.array(numbers, np.int64)[order]
        return ScopeList(chosen, [names[number] for number in chosen.tolist()])

    def users(self, numbers: Ints) -> Ints:
        """How many users some scopes have, by role and scope."""
        return self.followed.cuts.of(numbers).users

    def users_of(self, names: Iterable[ScopeName]) -> Ints:
        """How many users each scope has, by role and scope; 0 where it is unknown."""
        return self.users(np.fromiter(map(self.followed.find, names), np.int64))

    def cuts(self, numbers: Ints) -> Iterator[Cut]:
        """The cuts of some scopes; none before the first event."""
        if self.newest_ms == NO_TIME:
            return iter(())
        names = [self.followed.names[number] for number in numbers.tolist()]
        found, intervals = self.followed.cuts.of(numbers), self.followed.intervals.of(numbers)
        return self._messages(PublishedCuts(names, found, self._frame, intervals))

    def cut(self, scope: ScopeName, role: Role, record: CutRecord | None = None) -> Cut | None:
        """The present cut, from the `record` of its home if there is one; None where nobody has a value."""
        if self.newest_ms == NO_TIME:
            return None
        number = np.array([self.followed.find(scope)])
        found = self.followed.cuts.of(number) if record is None else cuts_in(record)
        intervals = self.followed.intervals.of(number) if record is None else intervals_in(record)
        cuts = self._messages(PublishedCuts([scope], found, self._frame, intervals))
        return next((cut for cut in cuts if cut.role == role), None)

    def size(self, scope: ScopeName, role: Role, record: CutRecord | None = None) -> CutSize:
        """What decides who may be named there, from the `record` of its home if there is one."""
        found = self.followed.cuts.of(np.array([self.followed.find(scope)])) if record is None else cuts_in(record)
        place = role.place
        return CutSize(*(int(column[place, 0]) for column in (found.users, found.k, found.thresholds, found.ties)))

    def sizes_of(self, names: Iterable[ScopeName]) -> CutSize:
        """The same of many scopes: columns by role and scope; without users where it is unknown."""
        found = self.followed.cuts.of(np.fromiter(map(self.followed.find, names), np.int64))
        return CutSize(found.users, found.k, found.thresholds, found.ties)

    def has(self, scope: ScopeName) -> bool:
        """Whether the scope is known, and something may be said of it."""
        number = self.followed.find(scope)
        return self.followed.has(scope) and bool(self.followed.cuts.users[:, number].max() >= self.disclosure.min_group)

    def history(self, scope: ScopeName, role: Role) -> Iterator[tuple[int, PastCut]]:
        """(when a pane ended, what the cut was then) for the panes of the window, the oldest first."""
        past = self.past_cuts.of(scope, role, self.panes.start)
        return (((pane + 1) * self.window.pane_ms, cut) for pane, cut in past)

    def lorenz(self, scope: ScopeName, role: Role, record: CutRecord | None = None) -> Points:
        """The Lorenz curve, from the `record` of its home if there is one; empty where nobody has a value."""
        place = role.place
        if record is not None:
            return lorenz(points_in(record, place), of_role(record.users, place), of_role(record.totals, place))
        number, cuts = self.followed.find(scope), self.followed.cuts
        return lorenz(self.followed.points(scope, place), *(int(c[place, number]) for c in (cuts.users, cuts.totals)))

    def with_evidence(self, scope: ScopeName, role: Role, record: CutRecord | None = None) -> int:
        """How many users have the least evidence that a flag needs; an estimate where the curve is long."""
        place, number = role.place, self.followed.find(scope)
        points = self.followed.points(scope, place) if record is None else points_in(record, place)
        users = of_role(record.users, place) if record else int(self.followed.cuts.users[place, number])
        return users_from(self.rules.floors[place], points, users)

    def _messages(self, cuts: PublishedCuts) -> Iterator[Cut]:
        return cuts.messages(self.rules.ranking, self.population_sizes, self.disclosure)

    @property
    def _frame(self) -> Frame:
        """Made once for as long as the cuts stay the same."""
        state = (self.followed.version, self.newest_ms)
        if self._framed is None or self._framed[0] != state:
            self._framed = (state, self.frame_at(self.newest_ms))
        return self._framed[1]


class AtHome(NamedTuple):
    """What the home of a scope knows of it."""

    record: CutRecord
    ranks: list[list[int]]
    """Of the values that were asked about, by role."""


def at_home(homes: Homes, scope: ScopeName, values: Sequence[Sequence[int]], *, with_curve: bool) -> AtHome | None:
    """Ask a home that is here about a scope and the ranks of `values` (by role); None where it has no users.

    `with_curve`: its curves are wanted as a whole, unless they are long.
    """
    home = homes.find(scope)
    record = home.record(scope, MANY_CELLS if with_curve else 0) if home else None
    if home is None or record is None:
        return None
    ranks = [home.ranks(scope, role, np.array(asked, np.int64)).tolist() for role, asked in enumerate(values)]
    return AtHome(record, ranks)
