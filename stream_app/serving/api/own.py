"""What this worker knows of the users in its own partitions: who leads a scope, and where a user stands."""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter

import numpy as np

from stream_app.core import people, series
from stream_app.core.ledger import Ledger
from stream_app.core.messages import ROLES
from stream_app.core.people import Paces, Question, rows_of
from stream_app.core.scopes import ScopeName
from stream_app.core.standing import NONE
from stream_app.serving.api.between import Asked, Found, Leaders, Places, Ranked, Ranking, Whereabouts
from stream_app.serving.api.influencers import STANDINGS, Made, Sight, influencers
from stream_app.serving.api.messages import Place
from stream_app.serving.api.panes import PackedPanes
from stream_app.serving.api.state import State
from stream_app.serving.api.stopwatch import Stopwatch


class Own:
    """Answers from the ledgers that this worker has. Several questions at once cost little more than one."""

    def __init__(self, state: State, panes: int, watch: Stopwatch) -> None:
        """`panes` in the window; `watch` takes the time that answers need."""
        self._state = state
        self._panes = panes
        self._watch = watch
        self._packed = PackedPanes(watch)

    def leaders(self, asked: Sequence[Ranking]) -> list[Leaders]:
        """The first users of each ranking."""
        with self._watch.running():
            thresholds = [self._threshold(ranking.scope, ROLES.index(ranking.role)) for ranking in asked]
            first: list[list[Ranked]] = [[] for _ in asked]
            totals = [0] * len(asked)
            for number, ledger in self._ledgers(asked).items():
                paces = Paces(ledger)
                for place, ranking in _asking(asked, number):
                    found = people.find(ledger, _question(ranking), thresholds[place], ranking.most, paces)
                    first[place] += _ranked(number, ledger, ROLES.index(ranking.role), found)
                    totals[place] += found.total
            for some in first:
                some.sort(key=attrgetter("order"))
            parts = zip(asked, totals, first, strict=True)
            return [Leaders(total, some[: one.most], self._held(one)) for one, total, some in parts]

    async def places(self, asked: Sequence[Whereabouts]) -> list[Places]:
        """Where the users of each question stand, as far as they are in the partitions of this worker."""
        made = await self._made(asked)
        with self._watch.running():
            found: list[list[Found]] = [[] for _ in asked]
            for number, ledger in self._ledgers(asked).items():
                for place, one in self._in(number, ledger, asked, made):
                    found[place].append(one)
            return [Places(some, self._held(one)) for one, some in zip(asked, found, strict=True)]

    def _ledgers(self, asked: Iterable[Ranking | Whereabouts]) -> dict[int, Ledger]:
        """Those of this worker that anything is asked about."""
        wanted = {number for one in asked for number in one.partitions or ()}
        return {number: ledger for number, ledger in self._state.ledgers.items() if number in wanted}

    def _held(self, asked: Ranking | Whereabouts) -> list[int]:
        """The partitions of a question that this worker has."""
        held = self._state.ledgers
        return [number for number in asked.partitions or () if number in held]

    def _in(
        self, partition: int, ledger: Ledger, asked: Sequence[Whereabouts], made: Made
    ) -> Iterator[tuple[int, Found]]:
        """Everybody asked about who is in a partition, and the place of the question."""
        there = [(place, one, rows_of(ledger, one.users, one.only)) for place, one in _asking(asked, partition)]
        sight = Sight(self._state, ledger, self._panes, made)
        for role, name in enumerate(ROLES):
            those = [(place, rows) for place, one, rows in there if name in one.roles]
            if not those:
                continue
            places = np.repeat([place for place, _ in those], [len(rows) for _, rows in those])
            rows = np.concatenate([rows for _, rows in those])
            held = (ledger.rows.totals[role][rows] > 0) | (ledger.rows.standings[role][rows] != NONE)
            described = influencers(sight, role, rows[held])
            for place, (influencer, scope, theta) in zip(places[held].tolist(), described, strict=True):
                flag = self._state.standing(partition, influencer.user_id, scope, name)
                found = Place(
                    topic=scope.topic,
                    population=scope.population,
                    role=name,
                    threshold=theta,
                    now=influencer,
                    flag=flag,
                )
                yield place, Found(partition, influencer.user_id, found)

    def _threshold(self, scope: ScopeName, role: int) -> int:
        number = self._state.whole.find(scope)
        if number is None:
            return 0
        return int(self._state.whole.cuts(np.array([number])).thresholds[role, 0])

    async def _made(self, asked: Sequence[Whereabouts]) -> Made:
        """What the users made by pane."""
        made = Made({}, {})
        for number, ledger in self._ledgers(asked).items():
            with self._watch.running():
                those = [one for _, one in _asking(asked, number)]
                theirs = {user for one in those for user in one.users if user in ledger.users}
                if not theirs:
                    continue
                rows = np.concatenate([rows_of(ledger, one.users, one.only) for one in those])
                made.opened.update(series.open_panes(ledger, rows))
                packed = list(series.packed_panes(ledger))
            made.packed.update(await self._packed.of(packed, theirs))
        return made


def _asking(asked: Sequence[Asked], partition: int) -> list[tuple[int, Asked]]:
    """The questions about a partition, and their places."""
    return [(place, one) for place, one in enumerate(asked) if partition in (one.partitions or ())]


def _question(asked: Ranking) -> Question:
    codes = [STANDINGS[name] for name in asked.standings]
    return Question(asked.scope, ROLES.index(asked.role), codes, asked.search, emerging_first=asked.emerging_first)


def _ranked(partition: int, ledger: Ledger, role: int, some: people.Found) -> Iterator[Ranked]:
    users, values = ledger.rows.users[some.rows].tolist(), ledger.rows.totals[role][some.rows].tolist()
    for user, value, emerging, eta_s in zip(users, values, some.emerging.tolist(), some.eta_s.tolist(), strict=True):
        yield Ranked(ledger.users.names[user], value, emerging, eta_s if eta_s < np.inf else None, partition)
