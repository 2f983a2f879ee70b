"""What this worker knows of the users in its own partitions: who leads a scope, and where a user stands."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from time import perf_counter

from stream_app.core.flags.standing import EMERGING
from stream_app.core.queries import QueryableState, UserQueries
from stream_app.serving.api.responses import Place
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.influencers import CountsByPane, by_pane, influencer
from stream_app.serving.api.users.packed_panes import PackedPanes
from stream_app.serving.api.users.peer_protocol import (
    MOST_USERS,
    FoundAt,
    LeaderQuery,
    Leaders,
    PeerQuery,
    PlaceQuery,
    Places,
    Ranked,
    merged,
)

_SLICE_S = 0.02
"""So long queries hold the event loop, which belongs to counting, or one query where it takes longer."""


class LocalUsers:
    """Answers for the partitions that this worker has. Several queries at once cost little more than one."""

    def __init__(self, state: QueryableState, budget: TimeBudget) -> None:
        """`budget` takes the time that answers need."""
        self._state = state
        self._budget = budget
        self._packed = PackedPanes(budget)

    async def leaders(self, asked: Sequence[LeaderQuery]) -> list[Leaders]:
        """The first users of each ranking."""
        parts: list[list[Leaders]] = [[] for _ in asked]
        async for partition, _ in self._partitions(asked):
            async for users, (number, query) in self._in_slices(partition, _about(asked, partition)):
                with self._budget.running():
                    found = users.find(query.of_partition, query.most)
                    first = [Ranked(*listed, partition) for listed in found.first]
                    parts[number].append(Leaders(found.total, first, [partition]))
        with self._budget.running():
            return [merged(query, some) for query, some in zip(asked, parts, strict=True)]

    async def places(self, asked: Sequence[PlaceQuery]) -> list[Places]:
        """Where the users of each query stand, as far as they are in the partitions of this worker."""
        return [places for some in _slices(asked) for places in await self._places(some)]

    async def _places(self, asked: Sequence[PlaceQuery]) -> list[Places]:
        counts = await self._counts(asked)
        answers = [Places([], []) for _ in asked]
        async for partition, users in self._partitions(asked):
            with self._budget.running():
                for number, found in self._found(partition, users, asked, counts):
                    answers[number].found.append(found)
                for number, _ in _about(asked, partition):
                    answers[number].partitions.append(partition)
        return answers

    async def _partitions(self, asked: Sequence[PeerQuery]) -> AsyncIterator[tuple[int, UserQueries]]:
        """Those of this worker that any query is about; in between counting has its turn."""
        for partition in self._state.partitions:
            users = self._state.users(partition)
            if users is not None and _about(asked, partition):
                yield partition, users
                await asyncio.sleep(0)

    async def _in_slices(
        self, partition: int, queries: Iterable[tuple[int, LeaderQuery]]
    ) -> AsyncIterator[tuple[UserQueries, tuple[int, LeaderQuery]]]:
        """The queries with the users of a partition; after some time counting has its turn in between."""
        users, began_s = self._state.users(partition), perf_counter()
        for query in queries:
            if perf_counter() - began_s > _SLICE_S:
                await asyncio.sleep(0)
                users, began_s = self._state.users(partition), perf_counter()
            if users is None:  # it went to another worker meanwhile
                return
            yield users, query

    def _found(
        self, partition: int, users: UserQueries, asked: Sequence[PlaceQuery], counts: CountsByPane
    ) -> Iterator[tuple[int, FoundAt]]:
        """Every user asked about who is in a partition, with the number of the query."""
        queries, window = _about(asked, partition), self._state.scopes.panes
        for place, found in users.look_up([query.of_partition for _, query in queries]):
            number, query = queries[place]
            flag, is_emerging = None, found.standing == EMERGING
            if query.with_flags or is_emerging:
                flag = self._state.standing(partition, found.user, found.scope, found.role)
            panes = by_pane(counts, found, found.role.place, window)
            there = Place(
                topic=found.scope.topic,
                population=found.scope.population,
                role=found.role,
                threshold=found.threshold,
                now=influencer(found, panes, flag if is_emerging else None),
                flag=flag if query.with_flags else None,
            )
            yield number, FoundAt(partition, found.user, there)

    async def _counts(self, asked: Sequence[PlaceQuery]) -> CountsByPane:
        """What the users made by pane."""
        counts = CountsByPane({}, {})
        async for partition, users in self._partitions(asked):
            with self._budget.running():
                queries = [query for _, query in _about(asked, partition)]
                known = users.known(user for query in queries for user in query.users)
                if not known:
                    continue
                counts.opened.update(users.open_panes([query.of_partition for query in queries]))
                packed = users.packed_panes()
            counts.packed.update(await self._packed.of(packed, known))
        return counts


def _about(asked: Sequence[PeerQuery], partition: int) -> list[tuple[int, PeerQuery]]:
    """The queries about a partition, with their numbers."""
    return [(number, query) for number, query in enumerate(asked) if query.is_about(partition)]


def _slices(asked: Sequence[PlaceQuery]) -> Iterator[list[PlaceQuery]]:
    """The queries in their order, together as far as they hold the event loop no longer than one may."""
    some: list[PlaceQuery] = []
    for query in asked:
        # Users in every scope are looked for in all rows of a partition.
        if some and (query.scope is None or sum(len(one.users) for one in [*some, query]) > MOST_USERS):
            yield some
            some = []
        some.append(query)
    if some:
        yield some
