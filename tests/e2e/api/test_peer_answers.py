"""Answers of what may be no worker at all: bounded, and believed only as far as they are answers to what was asked."""

import asyncio
import gzip
import json
from contextlib import suppress
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest

from stream_app.core.messages import Role
from stream_app.serving.api.users.peer_protocol import PlaceQuery
from stream_app.settings import Settings
from stream_app.settings.secret import Secret
from tests.e2e.api.test_peers import RANKING, WAIT_S, Answer, a_worker, other


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
        "borderline": False,
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


async def test_partitions_that_there_are_not_are_neither_asked_nor_missing() -> None:
    asking = a_worker({0: "", **dict.fromkeys([-1, 20_000, 2**40], "127.0.0.1:1")})
    assert [found.missing for found in await asking.leaders([RANKING])] == [[]]


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
