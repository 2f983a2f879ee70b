"""Questions about users on other workers: every worker tells where it answers, and each is asked for its own."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection
from time import monotonic
from typing import NamedTuple, TypeVar

import aiohttp
import msgspec

from stream_app.serving.api.own import Found, Leaders, Own, Places, Ranking, Whereabouts
from stream_app.serving.api.state import State

logger = logging.getLogger(__name__)

LEADERS = "/api/v1/peers/leaders"
PLACES = "/api/v1/peers/places"

_PATIENCE = aiohttp.ClientTimeout(total=3.0, connect=1.0)
_REST_S = 5.0
"""So long a worker that let others wait in vain is not asked again: a frozen one must not slow all of them down."""
_PLACES = msgspec.json.Decoder(Places)
_LEADERS = msgspec.json.Decoder(Leaders)
_ENCODER = msgspec.json.Encoder()

T = TypeVar("T")
Asked = TypeVar("Asked", Ranking, Whereabouts)


class AllLeaders(NamedTuple):
    """A ranking of all workers."""

    leaders: Leaders
    missing: list[int]
    """Partitions whose worker did not answer."""


class AllPlaces(NamedTuple):
    """Where users stand, on all workers."""

    found: list[Found]
    missing: list[int]
    """Partitions whose worker did not answer."""


class Peers:
    """All workers together. A partition is asked of one worker, so nobody is there twice while partitions move."""

    def __init__(self, own: Own, state: State, token: str) -> None:
        """`token`: what the others want to see, which is what this one wants."""
        self._own = own
        self._state = state
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None
        self._resting: dict[str, float] = {}
        """By address, until when it is not asked."""

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def leaders(self, asked: Ranking) -> AllLeaders:
        """The first users of a ranking, wherever they are."""
        mine, others = self._partitions()
        answers = [self._own.leaders(_in(asked, mine))]
        answers += await self._ask(LEADERS, asked, others, _LEADERS.decode)
        first = sorted((ranked for answer in answers for ranked in answer.first), key=lambda ranked: ranked.order)
        there = [partition for answer in answers for partition in answer.partitions]
        together = Leaders(sum(answer.total for answer in answers), first[: asked.most], there)
        return AllLeaders(together, self._missing(there))

    async def places(self, asked: Whereabouts) -> AllPlaces:
        """Where some users stand, in the partitions asked about; with none of these, wherever they are."""
        mine, others = self._partitions(asked.partitions)
        answers = [await self._own.places(_in(asked, mine))]
        answers += await self._ask(PLACES, asked, others, _PLACES.decode)
        there = [partition for answer in answers for partition in answer.partitions]
        found = [one for answer in answers for one in answer.found]
        return AllPlaces(found, self._missing(there, asked.partitions))

    def _partitions(self, wanted: Collection[int] = ()) -> tuple[list[int], dict[str, list[int]]]:
        """Those of this worker, and those of the others by the address of each: all, or of those `wanted`."""
        held = self._state.ledgers
        others: dict[str, list[int]] = defaultdict(list)
        for number, status in sorted(self._state.statuses.items()):
            if number not in held and status.http and (not wanted or number in wanted):
                others[status.http].append(number)
        return sorted(number for number in held if not wanted or number in wanted), others

    def _missing(self, there: list[int], wanted: Collection[int] = ()) -> list[int]:
        return sorted(set(wanted or self._state.statuses).difference(there))

    async def _ask(
        self, path: str, asked: Asked, others: dict[str, list[int]], decode: Callable[[bytes], T]
    ) -> list[T]:
        """What every other worker answers; those that do not are left out."""
        asking = [
            self._post(address, path, _ENCODER.encode(_in(asked, held)), decode) for address, held in others.items()
        ]
        return [answer for answer in await asyncio.gather(*asking) if answer is not None]

    async def _post(self, address: str, path: str, body: bytes, decode: Callable[[bytes], T]) -> T | None:
        if self._resting.get(address, 0.0) > monotonic():
            return None
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_PATIENCE, headers=self._headers)
        try:
            async with self._session.post(f"http://{address}{path}", data=body) as response:
                if response.ok:
                    return decode(await response.read())
                why = f"status {response.status}"
        except TimeoutError:
            why = f"no answer in time, asked again in {_REST_S:g} s"
            self._resting[address] = monotonic() + _REST_S
        except (aiohttp.ClientError, msgspec.DecodeError) as error:
            why = str(error) or type(error).__name__
        logger.warning(
            "the worker at %s does not tell of its users (%s): what it has is left out",
            *(address, why),
            extra={"kind": address},
        )
        return None


def _in(asked: Asked, partitions: list[int]) -> Asked:
    """The same question about some partitions."""
    return msgspec.structs.replace(asked, partitions=partitions)
