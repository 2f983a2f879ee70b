"""Bodies on a real socket: packed, too large, too slow, where none belongs, and lying about themselves."""

import asyncio
import re
import time
import zlib

import pytest

from stream_app.serving.http import bodies
from tests.unit.serving.http.served import LOCALHOST, close, head, serving, status

FORM = "Content-Type: application/x-www-form-urlencoded"
BOMB = zlib.compress(b"\0" * 50_000_000)
PATHS = ("/livez", "/", "/api/v1/about", "/api/v1/session", "/api/v1/peers/places", "/nothing")


def request(line: str, *headers: str, body: bytes = b"") -> bytes:
    return "\r\n".join([line, f"Host: {LOCALHOST}", *headers, "", ""]).encode() + body


def answers(received: bytes) -> int:
    """How many there are."""
    return len(re.findall(rb"HTTP/1\.[01] \d", received))


@pytest.mark.parametrize("coding", ["deflate", "gzip", "br", "zstd", "identity", "DEFLATE", "deflate, gzip", "x", ""])
@pytest.mark.parametrize("path", PATHS)
async def test_packed_bodies_are_refused_before_anything_else(path: str, coding: str) -> None:
    async with serving() as served:
        started = time.monotonic()
        length = f"Content-Length: {len(BOMB)}"
        answer = await served.raw(request(f"POST {path} HTTP/1.1", f"Content-Encoding: {coding}", length, body=BOMB))
        assert status(answer) == 415
        assert b"without Content-Encoding" in answer
        assert time.monotonic() - started < 1


async def test_a_flood_of_packed_bodies_leaves_probes_quick() -> None:
    packed = request(
        "POST /api/v1/peers/places HTTP/1.1", "Content-Encoding: deflate", "Content-Length: 900000", body=BOMB * 18
    )
    async with serving() as served:
        flood = [asyncio.create_task(served.raw(packed)) for _ in range(30)]
        for _ in range(10):
            started = time.monotonic()
            assert status(await served.get("/livez")) == 200
            assert time.monotonic() - started < 0.5
        await asyncio.gather(*flood)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "OPTIONS", "PATCH"])
async def test_only_a_post_has_a_body(method: str) -> None:
    async with serving() as served:
        for framing in (("Content-Length: 5",), ("Transfer-Encoding: chunked",)):
            answer = await served.raw(request(f"{method} /api/v1/about HTTP/1.1", *framing, body=b"5\r\nhello\r\n"))
            assert status(answer) == 400
            assert answers(answer) == 1


@pytest.mark.parametrize("length", ["1000001", "99999999999", "9" * 18, "9" * 40])
async def test_a_body_that_is_announced_too_large_is_not_waited_for(length: str) -> None:
    async with serving() as served:
        answer = await served.raw(request("POST /api/v1/session HTTP/1.1", FORM, f"Content-Length: {length}"))
        assert status(answer) in {400, 413}


async def test_a_chunked_body_ends_where_it_is_too_large() -> None:
    async with serving() as served:
        chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        sent = request("POST /api/v1/session HTTP/1.1", FORM, "Transfer-Encoding: chunked", body=chunk * 40)
        assert status(await served.raw(sent)) == 413


async def test_a_body_has_to_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_S", 0.3)
    async with serving() as served:
        reader, writer = await asyncio.open_connection(LOCALHOST, served.port)
        writer.write(request("POST /api/v1/session HTTP/1.1", FORM, "Content-Length: 100"))
        answer = asyncio.create_task(reader.read(1000))
        for _ in range(20):
            if not answer.done():
                writer.write(b"t")
                await asyncio.sleep(0.05)
        assert (await asyncio.wait_for(answer, 2)).startswith(b"HTTP/1.1 408 ")
        await close(writer)


async def test_who_may_not_ask_is_not_invited_to_send_a_body() -> None:
    async with serving() as served:
        expecting = request("POST /api/v1/peers/places HTTP/1.1", "Expect: 100-continue", "Content-Length: 10")
        answer = await served.raw(expecting)
        assert status(answer) == 401
        assert b"100 Continue" not in answer
        login = request("POST /api/v1/session HTTP/1.1", FORM, "Expect: 100-continue", "Content-Length: 7")
        answer = await served.raw(login[:-4] + b"\r\nConnection: close\r\n\r\n" + b"token=x")
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 ")
        odd = request("POST /api/v1/session HTTP/1.1", "Expect: a-miracle", "Content-Length: 0")
        assert status(await served.raw(odd)) == 417


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Content-Length: 4", "Content-Length: 5"),
        ("Content-Length: 4, 4",),
        ("Content-Length: +4",),
        ("Content-Length: -4",),
        ("Content-Length: 0x4",),
        ("Content-Length: 4 4",),
        ("Content-Length : 4",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding:\x0bchunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Host: other",),
        (" folded: x",),
        ("X: a\x00b",),
        ("X: a\rb",),
    ],
    ids=str,
)
async def test_what_two_servers_could_read_differently_is_refused_and_closed(headers: tuple[str, ...]) -> None:
    smuggled = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serving() as served:
        answer = await served.raw(request("POST /api/v1/session HTTP/1.1", *headers, body=b"4\r\n" + smuggled))
        assert 400 <= status(answer) < 600, answer
        assert answers(answer) == 1, answer


async def test_the_answer_is_there_although_the_client_is_still_sending() -> None:
    async with serving() as served:
        sent = request("POST /api/v1/session HTTP/1.1", FORM, "Content-Length: 3000000", body=b"x" * 3_000_000)
        answer = await served.raw(sent)
        assert status(answer) == 413
        assert head(answer)["content-type"] == "application/problem+json"
