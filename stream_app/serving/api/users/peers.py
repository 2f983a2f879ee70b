"""Queries about users on other workers: every worker publishes its address, and each is asked for its own users.

An address is read from Kafka, so it may be anybody's. It gets a question that is worth nothing elsewhere (peer_auth);
it is asked over HTTP at host:port only, and what it answers is bounded, signed, and checked against the question.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from time import monotonic
from typing import NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from stream_app.core.queries import QueryableState, ScopeName
from stream_app.serving.api.scopes.local_scopes import LocalScopes
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.local_users import LocalUsers
from stream_app.serving.api.users.peer_answers import (
    DECODE_LEADERS,
    DECODE_PLACES,
    DECODE_SCOPES,
    WrongAnswerError,
    check_leaders,
    check_places,
    check_scopes,
)
from stream_app.serving.api.users.peer_protocol import (
    LEADERS,
    MOST_PARTITIONS,
    MOST_QUERIES,
    PLACES,
    SCOPES,
    FoundAt,
    LeaderQuery,
    Leaders,
    PeerQuery,
    PlaceQuery,
    Places,
    ScopeFound,
    ScopeQuery,
    merged,
)
from stream_app.serving.http.peer_auth import QUESTION, PeerAuth

logger = logging.getLogger(__name__)

MOST_ANSWER_BYTES = 16_777_216

_PATIENCE = aiohttp.ClientTimeout(total=3.0, connect=1.0)
_REST_S = 5.0
"""So long a worker that let others wait in vain is not asked again: a frozen one must not slow all of them down."""
_MOST_RESTING = 1000
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
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


class AllScopes(NamedTuple):
    """What is known of scopes, on all workers."""

    found: dict[ScopeName, ScopeFound]
    """Without those that nobody has talked about."""
    away: dict[ScopeName, int]
    """Those whose home did not answer, and the partition of it: whether anybody has talked about them is not known."""


class _Held(NamedTuple):
    """Which partitions are where."""

    mine: list[int]
    others: dict[str, list[int]]
    """By the address of each other worker."""


class Peers:
    """All workers together. A partition is asked of one worker, so nobody is there twice while partitions move."""

    def __init__(
        self,
        local: LocalUsers,
        scopes: LocalScopes,
        state: QueryableState,
        auth: PeerAuth,
        budget: TimeBudget,
        most_answer_bytes: int = MOST_ANSWER_BYTES,
        bound_hit: Callable[[str], None] = lambda _bound: None,
        partitions: int = MOST_PARTITIONS,
    ) -> None:
        """`budget` takes the time that it needs; `partitions`: how many there are, whatever Kafka holds of others."""
        self._budget = budget
        self._local = local
        self._scopes = scopes
        self._state = state
        self._auth = auth
        self._most_answer_bytes = most_answer_bytes
        self._bound_hit = bound_hit
        self._count = partitions
        self._session: aiohttp.ClientSession | None = None
        self._resting: dict[str, float] = {}
        """By address, until when it is not asked."""

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def leaders(self, asked: Sequence[LeaderQuery]) -> list[AllLeaders]:
        """The first users of each ranking, wherever they are."""
        answers = await self.everywhere(LEADERS, asked, self._local.leaders, _checked_leaders)
        with self._budget.running():
            return [self._leaders(one, parts) for one, *parts in zip(asked, *answers, strict=True)]

    async def places(self, asked: Sequence[PlaceQuery]) -> list[AllPlaces]:
        """Where the users of each query stand, in the partitions asked about."""
        panes = len(self._state.scopes.panes)

        def checked(queries: Sequence[PlaceQuery], body: bytes) -> list[Places]:
            found = DECODE_PLACES(body)
            check_places(queries, found, panes)
            return found

        answers = await self.everywhere(PLACES, asked, self._local.places, checked)
        with self._budget.running():
            return [self._places(one, parts) for one, *parts in zip(asked, *answers, strict=True)]

    async def scopes(self, queries: Iterable[ScopeQuery]) -> AllScopes:
        """What the homes of scopes know of them."""
        home_of = self._state.homes.home_of
        asked = [msgspec.structs.replace(query, partitions=[home_of(query.scope)]) for query in queries]
        found: dict[ScopeName, ScopeFound] = {}
        away: dict[ScopeName, int] = {}
        for start in range(0, len(asked), MOST_QUERIES):
            some = asked[start : start + MOST_QUERIES]
            answers = await self.everywhere(SCOPES, some, self._scopes.scopes, _checked_scopes)
            for query, *parts in zip(some, *answers, strict=True):
                there = [part for part in parts if part.partitions]
                if not there:
                    away[query.scope] = home_of(query.scope)
                elif there[0].record is not None:
                    found[query.scope] = there[0]
        return AllScopes(found, away)

    async def everywhere(
        self,
        path: str,
        asked: Sequence[PeerQuery],
        here: Callable[[Sequence[PeerQuery]], Awaitable[list[T]]],
        checked: Callable[[Sequence[PeerQuery], bytes], list[T]],
    ) -> list[list[T]]:
        """What this worker and the others answer, each about its own partitions; those that do not are left out."""
        held = self._partitions()
        answers = [await here(_in(asked, held.mine))]
        return answers + await self._ask(path, asked, held.others, checked)

    def missing(self, there: Iterable[int], wanted: Collection[int] | None = None) -> list[int]:
        """The partitions that did not answer: of those wanted, or of all that are known."""
        known = (number for number in self._state.statuses if 0 <= number < self._count)
        return sorted(set(known if wanted is None else wanted).difference(there))

    def _leaders(self, asked: LeaderQuery, parts: Sequence[Leaders]) -> AllLeaders:
        leaders = merged(asked, parts)
        return AllLeaders(leaders, self.missing(leaders.partitions, asked.partitions))

    def _places(self, asked: PlaceQuery, parts: Sequence[Places]) -> AllPlaces:
        there = [partition for part in parts for partition in part.partitions]
        return AllPlaces([one for part in parts for one in part.found], self.missing(there, asked.partitions))

    def _partitions(self) -> _Held:
        held = self._state.partitions
        others: dict[str, list[int]] = defaultdict(list)
        for number, status in sorted(self._state.statuses.items()):
            if number not in held and status.http and 0 <= number < self._count:
                others[status.http].append(number)
        return _Held(sorted(held), others)

    async def _ask(
        self,
        path: str,
        asked: Sequence[PeerQuery],
        others: dict[str, list[int]],
        checked: Callable[[Sequence[PeerQuery], bytes], list[T]],
    ) -> list[list[T]]:
        """What every other worker answers that anything is asked of; those that do not are left out."""
        asking = [(address, _in(asked, held)) for address, held in others.items()]
        posting = [
            self._answer(address, path, queries, checked)
            for address, queries in asking
            if any(one.partitions for one in queries)
        ]
        return [answers for answers in await asyncio.gather(*posting) if answers is not None]

    async def _answer(
        self,
        address: str,
        path: str,
        asked: Sequence[PeerQuery],
        checked: Callable[[Sequence[PeerQuery], bytes], list[T]],
    ) -> list[T] | None:
        """What one worker answers; None where that cannot be used."""
        if self._resting.get(address, 0.0) > monotonic():
            return None
        try:
            body = await self._post(address, path, _ENCODER.encode(asked))
            with self._budget.running():
                return checked(asked, body)
        except TimeoutError:
            why = f"no answer in time, asked again in {_REST_S:g} s"
            self._rest(address)
        except (WrongAnswerError, msgspec.DecodeError, RecursionError) as error:
            why = f"{error}; is it of this release?"
            self._bound_hit("peer_answer")
        except (aiohttp.ClientError, ValueError, OSError) as error:
            why = str(error) or type(error).__name__
        logger.warning(
            "the worker at %.300s does not answer for its users (%.300s): they are left out",
            *(address, why),
            extra={"kind": address},
        )
        return None

    async def _post(self, address: str, path: str, question: bytes) -> bytes:
        """The body of an answer. Raises TimeoutError, aiohttp.ClientError, WrongAnswerError."""
        if not self._auth.may_ask(address):
            raise WrongAnswerError(
                "its address is not host:port"
                if self._auth.has_secret
                else "without STREAM_APP_HTTP_TOKEN or STREAM_APP_PEER_SECRET only workers on this machine are asked"
            )
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=_PATIENCE, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
            )
        signed = self._auth.sign(address, path, question)
        headers = {**_HEADERS, **signed}
        url = URL(f"http://{address}{path}")
        async with self._session.post(url, data=question, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise WrongAnswerError(f"status {response.status}")
            body = bytearray()
            async for part in response.content.iter_any():
                body += part
                if len(body) > self._most_answer_bytes:
                    response.close()
                    raise WrongAnswerError(
                        f"more than {self._most_answer_bytes:,} bytes (STREAM_APP_PEER_ANSWER_BYTES)"
                    )
            answer = bytes(body)
            if not self._auth.is_answer(signed.get(QUESTION, ""), response.headers, answer):
                raise WrongAnswerError("no worker that has the secret signed it")
            return answer

    def _rest(self, address: str) -> None:
        if len(self._resting) > _MOST_RESTING:
            self._resting.clear()
        self._resting[address] = monotonic() + _REST_S


def _checked_leaders(queries: Sequence[LeaderQuery], body: bytes) -> list[Leaders]:
    found = DECODE_LEADERS(body)
    check_leaders(queries, found)
    return found


def _checked_scopes(queries: Sequence[ScopeQuery], body: bytes) -> list[ScopeFound]:
    found = DECODE_SCOPES(body)
    check_scopes(queries, found)
    return found


def _in(asked: Iterable[PeerQuery], held: Iterable[int]) -> list[PeerQuery]:
    """The same queries, each about those partitions that are `held`."""
    return [
        msgspec.structs.replace(one, partitions=[number for number in held if one.is_about(number)]) for one in asked
    ]
