"""Requests to other workers: each partition is asked of one of them, within bounded time, even if they fail."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest

from stream_app.core.changelog.status import VERSION, Status
from stream_app.core.messages import Role
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users import peers
from stream_app.serving.api.users.peer_protocol import LeaderQuery, Leaders, PlaceQuery, Places, Ranked
from stream_app.serving.api.users.peers import Peers
from stream_app.serving.http.peer_auth import PeerAuth
from stream_app.settings import Settings
from tests.e2e.api.asking import reply, url
from tests.e2e.api.stage import PARTITIONS, Stage

WAIT_S = 10.0
RANKING = LeaderQuery(
    topic="tea", population="all", role=Role.MAVEN, standings=[], search="", emerging_first=False, most=10
)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


def status(partition: int, http: str) -> Status:
    return Status(VERSION, partition, {}, 0, False, 0, 0, 0, 0, http=http)


@asynccontextmanager
async def other(answer: Answer) -> AsyncIterator[str]:
    """A worker that answers as it likes."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}"
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the other one gives up
    writer.close()


async def rude(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nno answer")
    await writer.drain()
    writer.close()


async def saying_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
    await writer.drain()
    writer.close()


async def failing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 500 Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


def a_worker(statuses: dict[int, str], settings: Settings = Settings()) -> Peers:  # noqa: B008 - it is frozen
    """One that has partition 0, and knows who has the others."""
    state = Mock(
        partitions=[0],
        scopes=Mock(panes=range(3)),
        statuses={number: status(number, http) for number, http in statuses.items()},
    )
    local = Mock()

    async def leaders(asked: list[LeaderQuery]) -> list[Leaders]:
        return [Leaders(1, [Ranked("ann", 5, False, None, 0)], one.partitions or []) for one in asked]

    async def places(asked: list[PlaceQuery]) -> list[Places]:
        return [Places([], one.partitions or []) for one in asked]

    local.leaders, local.places = leaders, places
    return Peers(local, Mock(), state, PeerAuth(settings), TimeBudget(), 10_000)


@pytest.mark.parametrize("answer", [silent, rude, babbling, saying_nothing, failing])
async def test_a_worker_that_does_not_answer_is_left_out_within_bounded_time(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_PATIENCE", aiohttp.ClientTimeout(total=0.3))
    async with other(answer) as address, asyncio.timeout(WAIT_S):
        asking = a_worker({0: "127.0.0.1:1", 1: address, 2: address, 3: "127.0.0.1:1", 4: ""})
        try:
            (found,) = await asking.leaders([RANKING])
            assert (found.leaders.total, found.missing) == (1, [1, 2, 3, 4])
            questions = [None, [0, 2], [], [0]]
            places = await asking.places([PlaceQuery(users=["bob"], partitions=those) for those in questions])
            assert [one.missing for one in places] == [[1, 2, 3, 4], [2], [], []]
        finally:
            await asking.close()


async def test_a_frozen_worker_lets_others_wait_once_and_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_PATIENCE", aiohttp.ClientTimeout(total=0.2))
    asked = 0

    async def frozen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await silent(reader, writer)

    async with other(frozen) as address, asyncio.timeout(WAIT_S):
        asking = a_worker({0: "", 1: address})
        try:
            for _ in range(20):
                assert [found.missing for found in await asking.leaders([RANKING])] == [[1]]
            assert asked == 1
            monkeypatch.setattr(peers, "monotonic", lambda: time.monotonic() + 2 * peers._REST_S)
            assert [found.missing for found in await asking.leaders([RANKING])] == [[1]]
            assert asked == 2
        finally:
            await asking.close()


async def test_the_former_owner_of_a_partition_is_not_asked_about_it() -> None:
    asked: list[bytes] = []

    async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"}"))
        await failing(reader, writer)

    async with other(listening) as address, asyncio.timeout(WAIT_S):
        asking = a_worker({0: address})
        try:
            assert [found.missing for found in await asking.leaders([RANKING])] == [[]]
        finally:
            await asking.close()
    assert asked == []


@pytest.mark.timeout(150)
@pytest.mark.parametrize("path", ["/peers/leaders", "/peers/places", "/peers/scopes"])
def test_many_questions_at_once_are_answered_as_each_by_itself(stage: Stage, path: str) -> None:
    where, population = stage.addresses[0], "all"
    scopes = [(topic, role) for topic in ("*", "phone", "unheard-of") for role in ("maven", "connector")]
    partitions = [*range(PARTITIONS)]
    rankings = [
        {"topic": topic, "population": population, "role": role, "standings": [], "search": "", "most": 40}
        | {"emerging_first": role == "maven", "partitions": partitions}
        for topic, role in scopes
    ]
    leaders = answered(where, "/peers/leaders", rankings)
    users = [ranked[0] for ranked in leaders[0]["first"]]
    somewhere: list[dict[str, Any]] = [
        {"users": users[place:], "scope": [population, *scope], "partitions": partitions[: place + 2]}
        for place, scope in enumerate(scopes)
    ]
    somewhere += [
        {"users": users[:3], "partitions": partitions},
        {"users": users[:3]},
        {"users": users[:3], "with_flags": False},
    ]
    curves: list[dict[str, Any]] = [
        {"topic": topic, "population": population, "partitions": partitions} for topic, _ in scopes
    ]
    questions = {"/peers/leaders": rankings, "/peers/places": somewhere, "/peers/scopes": curves}[path]
    assert answered(where, path, questions) == [one for each in questions for one in answered(where, path, [each])]


def answered(where: str, path: str, questions: list[dict[str, Any]]) -> Any:
    """What a worker answers another."""
    headers = {"Content-Type": "application/json"}
    return reply(where, url(path), method="POST", body=json.dumps(questions).encode(), headers=headers).json()
