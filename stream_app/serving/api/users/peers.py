"""Queries about users on other workers: every worker publishes its address, and each is asked for its own users."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from time import monotonic
from typing import NamedTuple, TypeVar

import aiohttp
import msgspec

from stream_app.core.queries import QueryableState
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.local_users import LocalUsers
from stream_app.serving.api.users.peer_protocol import (
    FoundAt,
    LeaderQuery,
    Leaders,
    PeerQuery,
    PlaceQuery,
    Places,
    merged,
)

logger = logging.getLogger(__name__)

LEADERS = "/api/v1/peers/leaders"
PLACES = "/api/v1/peers/places"

_PATIENCE = aiohttp.ClientTimeout(total=3.0, connect=1.0)
_REST_S = 5.0
"""So long a worker that let others wait in vain is not asked again: a frozen one must not slow all of them down."""
_PLACES = msgspec.json.Decoder(list[Places])
_LEADERS = msgspec.json.Decoder(list[Leaders])
_ENCODER = msgspec.json.Encoder()

T = TypeVar("T")


class AllLeaders(NamedTuple):
    """A ranking of all workers."""

    leaders: Leaders
    missing: list[int]
    """Partitions whose worker did not answer."""


class AllPlaces(NamedTuple):
    """Where users stand, on all workers."""

    found: list[FoundAt]
    missing: list[int]
    """Partitions whose worker did not answer."""


class Peers:
    """All workers together. A partition is asked of one worker, so nobody is there twice while partitions move."""

    def __init__(self, local: LocalUsers, state: QueryableState, token: str, budget: TimeBudget) -> None:
        """`token`: what the others want to see, which is what this one wants; `budget` takes the time that it needs."""
        self._budget = budget
        self._local = local
        self._state = state
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None
        self._resting: dict[str, float] = {}
        """By address, until when it is not asked."""

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def leaders(self, asked: Sequence[LeaderQuery]) -> list[AllLeaders]:
        """The first users of each ranking, wherever they are."""
        mine, others = self._partitions()
        answers = [await self._local.leaders(_in(asked, mine))]
        answers += await self._ask(LEADERS, asked, others, _LEADERS.decode)
        with self._budget.running():
            return [self._leaders(one, parts) for one, *parts in zip(asked, *answers, strict=True)]

    async def places(self, asked: Sequence[PlaceQuery]) -> list[AllPlaces]:
        """Where the users of each query stand, in the partitions asked about."""
        mine, others = self._partitions()
        answers = [await self._local.places(_in(asked, mine))]
        answers += await self._ask(PLACES, asked, others, _PLACES.decode)
        with self._budget.running():
            return [self._places(one, parts) for one, *parts in zip(asked, *answers, strict=True)]

    def _leaders(self, asked: LeaderQuery, parts: Sequence[Leaders]) -> AllLeaders:
        leaders = merged(asked, parts)
        return AllLeaders(leaders, self._missing(leaders.partitions, asked.partitions))

    def _places(self, asked: PlaceQuery, parts: Sequence[Places]) -> AllPlaces:
        there = [partition for part in parts for partition in part.partitions]
        return AllPlaces([one for part in parts for one in part.found], self._missing(there, asked.partitions))

    def _partitions(self) -> tuple[list[int], dict[str, list[int]]]:
        """Those of this worker, and those of the others by the address of each."""
        held = self._state.partitions
        others: dict[str, list[int]] = defaultdict(list)
        for number, status in sorted(self._state.statuses.items()):
            if number not in held and status.http:
                others[status.http].append(number)
        return sorted(held), others

    def _missing(self, there: list[int], wanted: Collection[int] | None) -> list[int]:
        return sorted(set(self._state.statuses if wanted is None else wanted).difference(there))

    async def _ask(
        self,
        path: str,
        asked: Sequence[PeerQuery],
        others: dict[str, list[int]],
        decode: Callable[[bytes], list[T]],
    ) -> list[list[T]]:
        """What every other worker answers that anything is asked of; those that do not are left out."""
        asking = [(address, _in(asked, held)) for address, held in others.items()]
        posting = [
            self._post(address, path, queries, decode)
            for address, queries in asking
            if any(one.partitions for one in queries)
        ]
        return [answers for answers in await asyncio.gather(*posting) if answers is not None]

    async def _post(
        self, address: str, path: str, asked: list[PeerQuery], decode: Callable[[bytes], list[T]]
    ) -> list[T] | None:
        if self._resting.get(address, 0.0) > monotonic():
            return None
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_PATIENCE, headers=self._headers)
        try:
            async with self._session.post(f"http://{address}{path}", data=_ENCODER.encode(asked)) as response:
                body = await response.read()
            with self._budget.running():
                answers = decode(body) if response.ok else []
            if len(answers) == len(asked):
                return answers
            why = f"status {response.status}, {len(answers)} answers to {len(asked)} queries; is it of this release?"
        except TimeoutError:
            why = f"no answer in time, asked again in {_REST_S:g} s"
            self._resting[address] = monotonic() + _REST_S
        except (aiohttp.ClientError, msgspec.DecodeError) as error:
            why = str(error) or type(error).__name__
        logger.warning(
            "the worker at %s does not answer for its users (%s): they are left out",
            *(address, why),
            extra={"kind": address},
        )
        return None


def _in(asked: Iterable[PeerQuery], held: Iterable[int]) -> list[PeerQuery]:
    """The same queries, each about those partitions that are `held`."""
    return [
        msgspec.structs.replace(one, partitions=[number for number in held if one.is_about(number)]) for one in asked
    ]
