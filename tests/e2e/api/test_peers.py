"""Requests to other workers: each partition is asked of one of them, within bounded time, even if they fail."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
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
from stream_app.settings.secret import Secret
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
    return Peers(local, state, PeerAuth(settings), TimeBudget(), 10_000)


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


def saying(status: str, *headers: str, body: bytes = b"") -> Answer:
    """Somebody who answers so, and keeps what was asked."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        SEEN.append(await reader.readuntil(b"\r\n\r\n"))
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
        with suppress(ConnectionError):
            writer.write("\r\n".join(lines).encode() + body)
            await writer.drain()
        writer.close()

    return answer


SEEN: list[bytes] = []
SECRET = Settings(http_token=Secret("planted-token-of-this-test"))
LEADERS = [{"total": 1, "first": [["eve", 7, False, None, 1]], "partitions": [1]}]
PLACE = {
    "topic": "tea",
    "population": "all",
    "role": "maven",
    "threshold": 1,
    "flag": None,
    "now": {
        "user_id": "eve",
        "rank": 1,
        "value": 7,
        "share": 0.1,
        "standing": "none",
        "trend": "steady",
        "eta_s": None,
        "short_rate": 1.0,
        "long_rate": 1.0,
        "rate_error": 1.0,
        "z": 0.0,
        "events": 1.0,
        "panes": [0, 0, 7],
    },
}
PLACES = [{"found": [{"partition": 1, "user": "eve", "place": PLACE}], "partitions": [1]}]


def changed(answer: Any, *where: Any, to: Any) -> Any:
    """The same with another value at a place."""
    answer = json.loads(json.dumps(answer))
    inner = answer
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = to
    return answer


async def test_an_answer_as_it_should_be_is_believed_on_this_machine() -> None:
    async with other(saying("200 OK", body=json.dumps(LEADERS).encode())) as address:
        asking = a_worker({0: "", 1: address})
        (found,) = await asking.leaders([RANKING])
        await asking.close()
    assert (found.leaders.total, found.missing) == (2, [])
    async with other(saying("200 OK", body=json.dumps(PLACES).encode())) as address:
        asking = a_worker({0: "", 1: address})
        (there,) = await asking.places([PlaceQuery(users=["eve"])])
        await asking.close()
    assert ([one.user for one in there.found], there.missing) == (["eve"], [])


@pytest.mark.parametrize(
    "answer",
    [
        *(changed(LEADERS, 0, "partitions", to=those) for those in ([0, 1], [2], [1, 1], [-1], [])),
        *(
            changed(LEADERS, 0, "first", to=many)
            for many in ([["e", 1, False, None, 1]] * 11, [["e", 1, False, None, 0]])
        ),
        *(
            changed(LEADERS, 0, "first", 0, place, to=value)
            for place, value in ((0, "e" * 1025), (0, ""), (1, -1), (3, -5.0))
        ),
        *(changed(LEADERS, 0, "total", to=total) for total in (-1, 0, 2**63)),
        *(LEADERS * 2, {}, [1], None, "x", [[[[]]]]),
    ],
    ids=lambda answer: json.dumps(answer)[:60],
)
async def test_answers_are_not_believed_beyond_what_was_asked(answer: Any) -> None:
    async with other(saying("200 OK", body=json.dumps(answer).encode())) as address, asyncio.timeout(WAIT_S):
        asking = a_worker({0: "", 1: address})
        (found,) = await asking.leaders([RANKING])
        await asking.close()
    assert (found.leaders.total, found.missing) == (1, [1])


@pytest.mark.parametrize(
    "answer",
    [
        changed(PLACES, 0, "found", 0, "user", to="mallory"),
        changed(PLACES, 0, "found", 0, "partition", to=0),
        changed(PLACES, 0, "found", to=PLACES[0]["found"] * 2),  # type: ignore[operator]
        changed(PLACES, 0, "found", 0, "place", "topic", to="coffee"),
        changed(PLACES, 0, "found", 0, "place", "now", "user_id", to="mallory"),
        changed(PLACES, 0, "found", 0, "place", "now", "panes", to=[1] * 100_000),
        changed(PLACES, 0, "found", 0, "place", "now", "panes", to=[1]),
        changed(PLACES, 0, "found", 0, "place", "now", "value", to=-1),
        changed(PLACES, 0, "found", 0, "place", "now", "share", to=1e999),
        changed(PLACES, 0, "found", 0, "place", "threshold", to=2**64),
    ],
    ids=lambda answer: json.dumps(answer)[-60:],
)
async def test_places_are_not_believed_beyond_what_was_asked(answer: Any) -> None:
    async with other(saying("200 OK", body=json.dumps(answer).encode())) as address, asyncio.timeout(WAIT_S):
        asking = a_worker({0: "", 1: address})
        (there,) = await asking.places([PlaceQuery(users=["eve"], scope=("all", "tea", Role.MAVEN))])
        await asking.close()
    assert (there.found, there.missing) == ([], [1])


async def test_who_has_no_secret_can_neither_answer_nor_learn_the_token() -> None:
    SEEN.clear()
    async with other(saying("200 OK", body=json.dumps(LEADERS).encode())) as address, asyncio.timeout(WAIT_S):
        asking = a_worker({0: "", 1: address}, SECRET)
        (found,) = await asking.leaders([RANKING])
        await asking.close()
    assert (found.leaders.total, found.missing) == (1, [1])
    assert len(SEEN) == 1
    assert SECRET.http_token.reveal().encode() not in SEEN[0]
    assert b"Authorization" not in SEEN[0]


@pytest.mark.parametrize("code", ["301 Moved", "302 Found", "303 See", "307 Again", "308 Always"])
async def test_redirects_are_not_followed(code: str) -> None:
    answering = other(saying("200 OK", body=json.dumps(LEADERS).encode()))
    async with answering as there, other(saying(code, f"Location: http://{there}/api/v1/peers/leaders")) as address:
        SEEN.clear()
        asking = a_worker({0: "", 1: address})
        assert [found.missing for found in await asking.leaders([RANKING])] == [[1]]
        await asking.close()
    assert len(SEEN) == 1


@pytest.mark.parametrize("coding", ["", "Content-Encoding: gzip"])
async def test_a_large_answer_is_not_read_to_its_end(coding: str) -> None:
    body = gzip.compress(b" " * 50_000_000) if coding else b" " * 50_000_000
    headers = [coding] if coding else []
    async with other(saying("200 OK", *headers, body=body)) as address, asyncio.timeout(WAIT_S):
        asking = a_worker({0: "", 1: address})
        assert [found.missing for found in await asking.leaders([RANKING])] == [[1]]
        await asking.close()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1:1/path", "x@127.0.0.1:1", "10.0.0.1:80", "http://127.0.0.1:1", "127.0.0.1:1\r\nX: y", "x" * 10_000],
)
async def test_an_address_that_is_no_worker_s_is_not_asked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiohttp, "ClientSession", Mock(side_effect=AssertionError))
    async with asyncio.timeout(WAIT_S):
        assert [found.missing for found in await a_worker({0: "", 1: address}).leaders([RANKING])] == [[1]]


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
@pytest.mark.parametrize("path", ["/peers/leaders", "/peers/places"])
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
    questions = rankings if path == "/peers/leaders" else somewhere
    assert answered(where, path, questions) == [one for each in questions for one in answered(where, path, [each])]


def answered(where: str, path: str, questions: list[dict[str, Any]]) -> Any:
    """What a worker answers another."""
    headers = {"Content-Type": "application/json"}
    return reply(where, url(path), method="POST", body=json.dumps(questions).encode(), headers=headers).json()
