"""The bodies of requests: which requests may have one, how large it may be, and how long it may take."""

import asyncio
from typing import NamedTuple

from aiohttp import web

from stream_app.serving.http.problems import RefusedError

MOST_BODY_BYTES = 1_000_000
BODY_S = 10.0
_WITH_BODY = frozenset({"POST"})


class Unacceptable(NamedTuple):
    """Why a request is not even looked at."""

    status: int
    detail: str


def unacceptable(request: web.BaseRequest) -> Unacceptable | None:
    """What is wrong with the headers that frame a request; None where nothing is."""
    headers = request.headers
    if len(headers.getall("Host", [])) > 1:
        return Unacceptable(400, "there is more than one Host")
    if "Content-Encoding" in headers:
        return Unacceptable(415, "a body is taken as it is: send it without Content-Encoding")
    if "Expect" in headers and headers["Expect"].lower() != "100-continue":
        return Unacceptable(417, "Expect may only be 100-continue")
    coding = headers.get("Transfer-Encoding")
    if coding is not None and coding.strip().lower() != "chunked":
        return Unacceptable(501, "the only Transfer-Encoding is chunked")
    length = headers.get("Content-Length", "0")
    if request.method not in _WITH_BODY and (coding is not None or length.strip("0")):
        return Unacceptable(400, f"{request.method} has no body here")
    if len(length) > 12 or int(length) > MOST_BODY_BYTES:
        return Unacceptable(413, f"a body has {MOST_BODY_BYTES:,} bytes at most")
    return None


async def body_of(request: web.Request, most: int = MOST_BODY_BYTES) -> bytes:
    """The body of a request that may be answered. Raises RefusedError where it is too large or too slow."""
    if "Expect" in request.headers:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            while part := await request.content.readany():
                parts.append(part)
                size += len(part)
                if size > most:
                    raise RefusedError(413, f"a body has {most:,} bytes at most here")
    except TimeoutError:
        raise RefusedError(408, f"the body was not there after {BODY_S:g} s") from None
    return b"".join(parts)


async def wait_for_access(_request: web.Request) -> None:
    """What `Expect: 100-continue` waits for is sent by `body_of`, to those who may ask."""
