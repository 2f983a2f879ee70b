"""Questions about users on other workers: every worker tells where it answers, and each is asked for its own."""

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import aiohttp
import msgspec

from stream_app.serving.api.own import Found, Leaders, Own, Ranking, Whereabouts
from stream_app.serving.api.state import State

logger = logging.getLogger(__name__)

LEADERS = "/api/v1/peers/leaders"
PLACES = "/api/v1/peers/places"

_PATIENCE = aiohttp.ClientTimeout(total=3.0, connect=1.0)
_PLACES = msgspec.json.Decoder(list[Found])
_LEADERS = msgspec.json.Decoder(Leaders)
_ENCODER = msgspec.json.Encoder()

T = TypeVar("T")


class AllLeaders(NamedTuple):
    """A ranking of all workers."""

    leaders: Leaders
    missing: list[int]
    """Partitions whose worker did not answer."""


class Peers:
    """All workers together."""

    def __init__(self, own: Own, state: State, token: str) -> None:
        """`token`: what the others want to see, which is what this one wants."""
        self._own = own
        self._state = state
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def leaders(self, asked: Ranking) -> AllLeaders:
        """The first users of a ranking, wherever they are."""
        others = await self._ask(LEADERS, asked, _LEADERS.decode)
        answers = [self._own.leaders(asked), *others]
        first = sorted((ranked for answer in answers for ranked in answer.first), key=lambda ranked: ranked.order)
        there = [partition for answer in answers for partition in answer.partitions]
        together = Leaders(sum(answer.total for answer in answers), first[: asked.most], there)
        return AllLeaders(together, sorted(self._state.statuses.keys() - set(there)))

    async def places(self, asked: Whereabouts) -> list[Found]:
        """Where some users stand, wherever they are."""
        own = await self._own.places(asked)
        others = await self._ask(PLACES, asked, _PLACES.decode)
        return own + [found for answer in others for found in answer]

    async def _ask(self, path: str, asked: Ranking | Whereabouts, decode: Callable[[bytes], T]) -> list[T]:
        """What every other worker answers; those that do not are left out."""
        addresses = self._addresses()
        if not addresses:
            return []
        body = _ENCODER.encode(asked)
        answers = await asyncio.gather(*(self._post(address, path, body) for address in addresses))
        return [decode(answer) for answer in answers if answer is not None]

    def _addresses(self) -> list[str]:
        """Of all workers but this one, in the order of their partitions."""
        mine = self._state.ledgers.keys()
        told = sorted(self._state.statuses.items())
        return list(dict.fromkeys(status.http for number, status in told if number not in mine and status.http))

    async def _post(self, address: str, path: str, body: bytes) -> bytes | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_PATIENCE, headers=self._headers)
        try:
            async with self._session.post(f"http://{address}{path}", data=body) as response:
                if response.ok:
                    return await response.read()
                why = f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError) as error:
            why = str(error) or type(error).__name__
        logger.warning("the worker at %s does not tell of its users (%s): what it has is left out", address, why)
        return None
