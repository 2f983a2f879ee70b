"""What this worker knows of the users in its own partitions: who leads a scope, and where a user stands."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from operator import attrgetter

import numpy as np

from stream_app.core.flags.standing import NONE
from stream_app.core.messages import ROLES
from stream_app.core.queries import pane_series
from stream_app.core.queries.users import UserList, UserQueries, UserQuery
from stream_app.core.state.ledger import Ledger
from stream_app.serving.api.responses import Place
from stream_app.serving.api.state import ApiState
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.influencers import STANDINGS, ByPane, Sight, influencers
from stream_app.serving.api.users.packed_panes import PackedPanes
from stream_app.serving.api.users.peer_protocol import Asked, FoundAt, Leaders, Places, Ranked, Ranking, Whereabouts


class LocalUsers:
    """Answers from the ledgers that this worker has. Several questions at once cost little more than one."""

    def __init__(self, state: ApiState, panes: int, watch: TimeBudget) -> None:
        """`panes` in the window; `watch` takes the time that answers need."""
        self._state = state
        self._panes = panes
        self._watch = watch
        self._packed = PackedPanes(watch)

    async def leaders(self, asked: Sequence[Ranking]) -> list[Leaders]:
        """The first users of each ranking."""
        first: list[list[Ranked]] = [[] for _ in asked]
        totals, partitions = [0] * len(asked), [list[int]() for _ in asked]
        async for number, ledger in self._ledgers(asked):
            with self._watch.running():
                there = UserQueries(ledger)
                for place, ranking in _about(asked, number):
                    question = _question(ranking)
                    listed = there.find(question, self._threshold(question), ranking.most)
                    first[place] += _ranked(number, ledger, question.role, listed)
                    totals[place] += listed.total
                    partitions[place].append(number)
        with self._watch.running():
            for some in first:
                some.sort(key=attrgetter("order"))
            parts = zip(asked, totals, first, partitions, strict=True)
            return [Leaders(total, some[: one.most], there) for one, total, some, there in parts]

    async def places(self, asked: Sequence[Whereabouts]) -> list[Places]:
        """Where the users of each question stand, as far as they are in the partitions of this worker."""
        made = await self._made(asked)
        found = [Places([], []) for _ in asked]
        async for number, ledger in self._ledgers(asked):
            with self._watch.running():
                for place, one in self._in(number, ledger, asked, made):
                    found[place].found.append(one)
                for place, _ in _about(asked, number):
                    found[place].partitions.append(number)
        return found

    async def _ledgers(self, asked: Sequence[Asked]) -> AsyncIterator[tuple[int, Ledger]]:
        """Those of this worker that anything is asked about; in between counting has its turn."""
        for number in list(self._state.ledgers):
            ledger = self._state.ledgers.get(number)
            if ledger is not None and _about(asked, number):
                yield number, ledger
                await asyncio.sleep(0)

    def _in(
        self, partition: int, ledger: Ledger, asked: Sequence[Whereabouts], made: ByPane
    ) -> Iterator[tuple[int, FoundAt]]:
        """Everybody asked about who is in a partition, and the place of the question."""
        sight = Sight(self._state, ledger, self._panes, made)
        there = [(place, one, sight.people.rows_of(one.users, one.only)) for place, one in _about(asked, partition)]
        for role, name in enumerate(ROLES):
            those = [(place, rows) for place, one, rows in there if name in one.roles]
            if not those:
                continue
            places = np.repeat([place for place, _ in those], [len(rows) for _, rows in those])
            rows = np.concatenate([rows for _, rows in those])
            held = (ledger.rows.totals[role][rows] > 0) | (ledger.rows.standings[role][rows] != NONE)
            described = influencers(sight, role, rows[held])
            for place, (influencer, scope, theta) in zip(places[held].tolist(), described, strict=True):
                user = influencer.user_id
                there_now = Place(
                    topic=scope.topic,
                    population=scope.population,
                    role=name,
                    threshold=theta,
                    now=influencer,
                    flag=self._state.standing(partition, user, scope, name) if asked[place].with_flags else None,
                )
                yield place, FoundAt(partition, user, there_now)

    def _threshold(self, question: UserQuery) -> int:
        number = self._state.global_cuts.find(question.scope)
        if number is None:
            return 0
        return int(self._state.global_cuts.cuts(np.array([number])).thresholds[question.role, 0])

    async def _made(self, asked: Sequence[Whereabouts]) -> ByPane:
        """What the users made by pane."""
        made = ByPane({}, {})
        async for number, ledger in self._ledgers(asked):
            with self._watch.running():
                those = [one for _, one in _about(asked, number)]
                theirs = {user for one in those for user in one.users if user in ledger.users}
                if not theirs:
                    continue
                there = UserQueries(ledger)
                rows = np.concatenate([there.rows_of(one.users, one.only) for one in those])
                made.opened.update(pane_series.open_panes(ledger, rows))
                packed = list(pane_series.packed_panes(ledger))
            made.packed.update(await self._packed.of(packed, theirs))
        return made


def _about(asked: Sequence[Asked], partition: int) -> list[tuple[int, Asked]]:
    """The questions about a partition, and their places."""
    return [(place, one) for place, one in enumerate(asked) if one.is_about(partition)]


def _question(asked: Ranking) -> UserQuery:
    codes = [STANDINGS[name] for name in asked.standings]
    return UserQuery(asked.scope, ROLES.index(asked.role), codes, asked.search, emerging_first=asked.emerging_first)


def _ranked(partition: int, ledger: Ledger, role: int, some: UserList) -> Iterator[Ranked]:
    users, values = ledger.rows.users[some.rows].tolist(), ledger.rows.totals[role][some.rows].tolist()
    for user, value, emerging, eta_s in zip(users, values, some.emerging.tolist(), some.eta_s.tolist(), strict=True):
        yield Ranked(ledger.users.names[user], value, emerging, eta_s if eta_s < np.inf else None, partition)
