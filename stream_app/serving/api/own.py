"""What this worker knows of the users in its own partitions: who leads a scope, and where a user stands."""

from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core import people, series
from stream_app.core.ledger import Ledger
from stream_app.core.messages import ROLES, Role
from stream_app.core.people import Question, rows_of
from stream_app.core.scopes import ScopeName
from stream_app.core.series import Series
from stream_app.core.standing import EMERGING, ENTERED, FADING, NONE
from stream_app.serving.api.messages import Influencer, Place, Standing, Trend
from stream_app.serving.api.panes import Counts, PackedPanes
from stream_app.serving.api.state import State
from stream_app.serving.api.stopwatch import Stopwatch

STANDINGS: dict[Standing, int] = {"none": NONE, "emerging": EMERGING, "entered": ENTERED, "fading": FADING}
"""Codes by name."""
_NAMES: dict[int, Standing] = {code: name for name, code in STANDINGS.items()}
_CLEAR_Z = 2.0
_DIGITS = 6
_NOTHING = (0, 0)


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Who leads a scope and role: asked of every worker, and put together from what they answer."""

    topic: str
    population: str
    role: Role
    standings: list[Standing]
    search: str
    emerging_first: bool
    most: int
    partitions: list[int] = []
    """In which to look; those that the worker does not have are left out."""


class Ranked(msgspec.Struct, frozen=True, array_like=True):
    """A user in a ranking."""

    user: str
    value: int
    is_emerging: bool
    eta_s: float | None
    partition: int

    @property
    def order(self) -> tuple[bool, float, int, int]:
        """What a ranking is sorted by; where that is equal the order is the partition's own: whoever is asked."""
        return not self.is_emerging, self.eta_s if self.eta_s is not None else np.inf, -self.value, self.partition


class Leaders(msgspec.Struct, frozen=True):
    """The first users of a ranking in some partitions."""

    total: int
    first: list[Ranked]
    partitions: list[int]
    """Those that were looked through."""


class Whereabouts(msgspec.Struct, frozen=True, kw_only=True):
    """Where some users stand: everywhere, or in one scope and role."""

    users: list[str]
    scope: tuple[str, str, Role] | None = None
    """(population, topic, role)."""
    partitions: list[int] = []
    """As in Ranking; of all workers together, with none: everywhere."""

    @property
    def only(self) -> ScopeName | None:
        """The one scope that is asked about."""
        return None if self.scope is None else ScopeName(*self.scope[:2])


class Places(msgspec.Struct, frozen=True):
    """Where users stand, as far as they are in some partitions."""

    found: list["Found"]
    partitions: list[int]
    """Those that were looked through."""


class Found(msgspec.Struct, frozen=True):
    """A user's place, and the partition that the user is in."""

    partition: int
    user: str
    place: Place


class _Made(NamedTuple):
    """What users made, by pane; a pane can be in both."""

    packed: dict[str, Counts]
    opened: Series


class Own:
    """Answers from the ledgers that this worker has."""

    def __init__(self, state: State, panes: int, watch: Stopwatch) -> None:
        """`panes` in the window; `watch` takes the time that answers need."""
        self._state = state
        self._panes = panes
        self._watch = watch
        self._packed = PackedPanes(watch)

    def leaders(self, asked: Ranking) -> Leaders:
        """The first users of a ranking."""
        with self._watch.running():
            scope, role = ScopeName(asked.population, asked.topic), ROLES.index(asked.role)
            codes = [STANDINGS[name] for name in asked.standings]
            question = Question(scope, role, codes, asked.search, emerging_first=asked.emerging_first)
            threshold = self._threshold(scope, role)
            ledgers = self._ledgers(asked.partitions)
            found = {number: people.find(ledger, question, threshold, asked.most) for number, ledger in ledgers.items()}
            first = [row for number, some in found.items() for row in _ranked(number, ledgers[number], role, some)]
            first.sort(key=attrgetter("order"))
            return Leaders(sum(some.total for some in found.values()), first[: asked.most], list(ledgers))

    async def places(self, asked: Whereabouts) -> Places:
        """Where the users stand, as far as they are in the partitions of this worker."""
        made = await self._made(asked)
        with self._watch.running():
            ledgers = self._ledgers(asked.partitions)
            found = [place for number, ledger in ledgers.items() for place in self._in(number, ledger, asked, made)]
            return Places(found, list(ledgers))

    def _ledgers(self, partitions: Iterable[int]) -> dict[int, Ledger]:
        """Those of some partitions that this worker has."""
        held = self._state.ledgers
        return {number: held[number] for number in partitions if number in held}

    def _in(self, partition: int, ledger: Ledger, asked: Whereabouts, made: _Made) -> Iterator[Found]:
        rows = rows_of(ledger, asked.users, asked.only)
        names = ledger.scopes.names()
        scopes = [names[number] for number in ledger.rows.scopes[rows].tolist()]
        users = [ledger.users.names[number] for number in ledger.rows.users[rows].tolist()]
        for role, name in enumerate(ROLES):
            if asked.scope is not None and asked.scope[2] is not name:
                continue
            held = (ledger.rows.totals[role][rows] > 0) | (ledger.rows.standings[role][rows] != NONE)
            chosen = np.flatnonzero(held)
            where = [scopes[place] for place in chosen.tolist()]
            who = [users[place] for place in chosen.tolist()]
            for influencer, scope, theta in self._influencers(ledger, role, rows[chosen], who, where, made):
                flag = self._state.standing(partition, influencer.user_id, scope, name)
                place = Place(
                    topic=scope.topic,
                    population=scope.population,
                    role=name,
                    threshold=theta,
                    now=influencer,
                    flag=flag,
                )
                yield Found(partition, influencer.user_id, place)

    def _influencers(
        self,
        ledger: Ledger,
        role: int,
        rows: people.Ints,
        users: list[str],
        scopes: list[ScopeName],
        made: _Made,
    ) -> Iterator[tuple[Influencer, ScopeName, int]]:
        if not users:
            return
        whole = self._state.whole
        numbers = whole.numbers(scopes)
        cuts = whole.cuts(numbers)
        values = ledger.rows.totals[role][rows]
        thresholds = cuts.thresholds[role]
        going = people.paces(ledger, role, rows, thresholds)
        ranks = whole.ranks(scopes, [role] * len(scopes), values)
        columns = (
            values,
            ranks,
            ledger.rows.standings[role][rows],
            thresholds,
            values / np.maximum(cuts.totals[role], 1),
            going.short * 3600,
            going.past * 3600,
            going.error * 3600,
            going.z,
            going.events,
            going.eta_s,
        )
        lists = zip(users, scopes, *(column.tolist() for column in columns), strict=True)
        for user, scope, value, rank, code, theta, share, short, past, error, z, events, eta_s in lists:
            on_course = value < theta and eta_s < np.inf
            yield (
                Influencer(
                    user_id=user,
                    rank=rank,
                    value=value,
                    share=_rounded(share),
                    standing=_NAMES[code],
                    trend=_trend(z),
                    short_rate=_rounded(short),
                    long_rate=_rounded(past),
                    rate_error=_rounded(error),
                    z=_rounded(z),
                    events=_rounded(events),
                    eta_s=_rounded(eta_s) if on_course else None,
                    panes=self._by_pane(ledger, made, user, scope, role),
                ),
                scope,
                theta,
            )

    def _by_pane(self, ledger: Ledger, made: _Made, user: str, scope: ScopeName, role: int) -> list[int]:
        first = self._state.window_start_ms // ledger.pane_ms
        packed, opened = made.packed.get(user, {}).get(scope, {}), made.opened.get((user, scope), {})
        return [
            packed.get(pane, _NOTHING)[role] + opened.get(pane, _NOTHING)[role]
            for pane in range(first, first + self._panes)
        ]

    def _threshold(self, scope: ScopeName, role: int) -> int:
        number = self._state.whole.find(scope)
        if number is None:
            return 0
        return int(self._state.whole.cuts(np.array([number])).thresholds[role, 0])

    async def _made(self, asked: Whereabouts) -> _Made:
        """What the users made by pane."""
        made = _Made({}, {})
        for ledger in self._ledgers(asked.partitions).values():
            with self._watch.running():
                theirs = {user for user in asked.users if user in ledger.users}
                if not theirs:
                    continue
                made.opened.update(series.open_panes(ledger, rows_of(ledger, theirs, asked.only)))
                packed = list(series.packed_panes(ledger))
            made.packed.update(await self._packed.of(packed, theirs))
        return made


def _ranked(partition: int, ledger: Ledger, role: int, some: people.Found) -> Iterator[Ranked]:
    users, values = ledger.rows.users[some.rows].tolist(), ledger.rows.totals[role][some.rows].tolist()
    for user, value, emerging, eta_s in zip(users, values, some.emerging.tolist(), some.eta_s.tolist(), strict=True):
        yield Ranked(ledger.users.names[user], value, emerging, eta_s if eta_s < np.inf else None, partition)


def _trend(z: float) -> Trend:
    if z >= _CLEAR_Z:
        return "rising"
    return "falling" if z <= -_CLEAR_Z else "steady"


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
