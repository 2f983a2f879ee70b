"""Requests from a seed: heads, bodies and framing that no client sends, to the server of a worker on a real socket.

No request makes it end, holds its event loop for a second, or is answered with 500.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from tests.unit.serving.http.served import LOCALHOST, Served, close

WITHIN_S = 3.0
_METHODS = ("GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "G T", "\xff")
_PATHS = (
    *("/", "/livez", "/readyz", "/metrics", "/page/style.css", "/page/../metrics", "/page/%2e%2e/metrics", "//", "*"),
    *(
        "/api/v1/about",
        "/api/v1/influencers",
        "/api/v1/users",
        "/api/v1/users/why",
        "/api/v1/users/x",
        "/api/v1/session",
    ),
    *(
        "/api/v1/peers/funnels",
        "/api/v1/peers/leaders",
        "/api/v1/peers/places",
        "/api/v1/peers/recruits",
        "/api/v1/peers/scopes",
        "/api/v1/%70eers/places",
        "/api/v1/users/%00/why",
        "/%",
        "/%zz",
    ),
    *("http://evil.example/metrics", "evil.example:80", "/\xff\xfe", "/" + "a" * 9000, "/api/v1/users/" + "%ff" * 500),
    *(
        "/api/v1/openapi.json",
        "/api/v1/flags",
        "/api/v1/cuts/history",
        "/api/v1/curve",
        "/api/v1/funnel",
        "/api/v1/topics",
        "#",
        "?",
        "",
    ),
)
_NAMES = (
    "limit",
    "offset",
    "topic",
    "population",
    "role",
    "standing",
    "search",
    "id",
    "format",
    "path",
    "since",
    "\xff",
    "",
)
_VALUES = (
    "",
    "1",
    "-1",
    "9" * 400,
    "NaN",
    "%00",
    "%ff",
    "\xff",
    "a" * 300,
    "..",
    "'\"<>",
    "%ED%A0%80",
    "&&&&",
    "=" * 50,
)
_HEADERS = (
    *("Content-Encoding: deflate", "Content-Encoding: gzip", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip"),
    *(
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: 99999999999",
        "Content-Length: -1",
        "Content-Length: 1e3",
    ),
    *(
        "Expect: 100-continue",
        "Expect: x",
        "Upgrade: websocket",
        "Connection: upgrade",
        "Connection: close",
        "Host: evil",
    ),
    *(
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Cookie: stream_app=\xff",
        "Cookie: ;=;",
    ),
    *(
        "Cookie: stream_app=" + "0" * 32 + "." + "9" * 15 + "." + "0" * 64,
        "Authorization: Bearer \xff",
        "Authorization: ",
    ),
    *("Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded", "Content-Type: \xff/\xff"),
    *("Content-Type: multipart/form-data; boundary=x", "X-Forwarded-Proto: https", "X-Stream-App-Peer: v1 1 2 3 4"),
    *(
        "If-None-Match: *",
        "If-None-Match: \xff",
        "Range: bytes=0-0",
        "Last-Event-ID: 9",
        "Accept-Encoding: gzip",
        "X: " + "y" * 9000,
    ),
    *(" folded", "no colon", ": no name", "X\x00: y", "Content-Length : 5", "Transfer-Encoding : chunked", "Host: ["),
)
_BODIES = (
    *(
        b"",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"hello",
        b"[" * 3000,
        b"[]",
        b"{}",
        b"\xff" * 100,
        b"token=x&path=/",
        b"token=%ff",
    ),
    *(
        b"ffffffffffffffff\r\n",
        b"-1\r\n",
        b"5;" + b"x" * 5000 + b"\r\nhello\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"\x00" * 70_000,
    ),
    b'[{"users":["u"]}]',
)


class Fuzzed(NamedTuple):
    """What came of the requests of one seed."""

    sent: bytes
    answer: bytes
    blocked_s: float


def request_of(chance: random.Random) -> bytes:
    """A request that may be none."""
    query = "&".join(
        f"{chance.choice(_NAMES)}={chance.choice(_VALUES)}" for _ in range(chance.choice((0, 0, 1, 2, 40)))
    )
    version = "HTTP/1.1" if chance.random() < 0.8 else chance.choice(("HTTP/1.0", "HTTP/2.0", "HTTP/9.9", "", "\xff"))
    path = chance.choice(_PATHS) + (f"?{query}" if query else "")
    host = [f"Host: {LOCALHOST}"] if chance.random() < 0.9 else []
    headers = host + chance.choices(_HEADERS, k=chance.choice((0, 0, 0, 1, 1, 2, 3, 70)))
    method = chance.choice(("GET", "GET", "POST", chance.choice(_METHODS)))
    lines = [f"{method} {path} {version}", *headers, "", ""]
    request = chance.choice((*["\r\n"] * 8, "\n", "\r")).join(lines).encode("latin-1") + chance.choice(_BODIES)
    if chance.random() < 0.2:  # somewhere in it something else
        place = chance.randrange(len(request) + 1)
        request = (
            request[:place] + chance.randbytes(chance.choice((1, 2, 40))) + request[place + chance.choice((0, 1, 10)) :]
        )
    return request


async def fuzz_http(seed: int, served: Served) -> Fuzzed:
    """Send what follows from a seed on one connection, one or several requests, in one or several pieces."""
    chance = random.Random(seed)
    sent = b"".join(request_of(chance) for _ in range(chance.choice((1, 1, 1, 2, 5))))
    watching = asyncio.create_task(_longest_block_s())
    answer = await _exchange(served, sent, chance)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return Fuzzed(sent, answer, LONGEST[0])


LONGEST = [0.0]
"""For how long the event loop was held at most."""


async def _longest_block_s() -> None:
    LONGEST[0] = 0.0
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.01)
        LONGEST[0] = max(LONGEST[0], time.monotonic() - before - 0.01)


async def _exchange(served: Served, sent: bytes, chance: random.Random) -> bytes:
    reader, writer = await asyncio.open_connection(LOCALHOST, served.port)
    answer = b""
    with suppress(ConnectionError, TimeoutError):
        for piece in _pieces(sent, chance):
            writer.write(piece)
            await asyncio.sleep(0)
        if writer.can_write_eof():
            writer.write_eof()
        async with asyncio.timeout(WITHIN_S):
            while part := await reader.read(65_536):
                answer += part
    await close(writer)
    return answer


def _pieces(sent: bytes, chance: random.Random) -> Sequence[bytes]:
    if chance.random() < 0.7 or len(sent) < 2:
        return [sent]
    place = chance.randrange(1, len(sent))
    return [sent[:place], sent[place:]]
