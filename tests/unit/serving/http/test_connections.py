"""Connections on a real socket: half-open, slow, many, and clients that take nothing; probes answer all the while."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from aiohttp import web

from stream_app.serving.http import connections
from stream_app.serving.http.connections import ConnectionBounds, network_of
from tests.unit.serving.http.served import GUARDED, LOCALHOST, Served, close, serving, status

FEW = ConnectionBounds(most=8, most_per_address=8)
HALF = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


@asynccontextmanager
async def connected(
    served: Served, count: int, sent: bytes = b"", *, addresses: int = 1
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections that have sent something, and nothing more."""
    origins = [(f"127.0.0.{1 + number % addresses}", 0) for number in range(count)]
    pairs = [await asyncio.open_connection(LOCALHOST, served.port, local_addr=origin) for origin in origins]
    for _, writer in pairs:
        writer.write(sent)
    await asyncio.sleep(0.05)
    yield [reader for reader, _ in pairs]
    for _, writer in pairs:
        await close(writer)


@pytest.mark.parametrize("sent", [b"", b"G", HALF, b"POST /api/v1/session HTTP/1.1\r\n", b"\r\n"], ids=repr)
async def test_half_open_connections_keep_nobody_out(sent: bytes) -> None:
    async with serving(bounds=FEW) as served, connected(served, 100, sent):
        for path in ("/livez", "/readyz", "/"):
            assert status(await served.get(path)) == 200
        assert len(served.server._main._connections) <= FEW.most
        assert served.bounds_hit["http_connections_per_address"] >= 90


async def test_connections_are_bounded_in_all_too() -> None:
    async with serving(bounds=ConnectionBounds(4, 4)) as served, connected(served, 20, addresses=20):
        assert status(await served.get("/livez")) == 200
        assert served.bounds_hit["http_connections"] >= 16


async def test_a_request_that_is_answered_is_never_cut_off_for_others() -> None:
    going = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        await going.wait()
        return web.Response(text="slow")

    async with serving(GUARDED, FEW, web.get("/page/slow", slow)) as served:
        slow_ones = [asyncio.create_task(served.get("/page/slow")) for _ in range(FEW.most)]
        await asyncio.sleep(0.1)
        assert status(await served.get("/livez")) == 503
        going.set()
        assert [status(answer) for answer in await asyncio.gather(*slow_ones)] == [200] * FEW.most


@pytest.mark.parametrize("kept_going", [b"", b"x"], ids=["silent", "byte by byte"])
@pytest.mark.parametrize("sent", [b"", HALF], ids=["nothing", "half a head"])
async def test_a_head_has_to_come_in_time(sent: bytes, kept_going: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.4)
    async with serving() as served:
        reader, writer = await asyncio.open_connection(LOCALHOST, served.port)
        writer.write(sent)
        started = time.monotonic()
        answer = asyncio.create_task(reader.read(1000))
        for _ in range(20):
            if not answer.done():
                writer.write(kept_going)
                await asyncio.sleep(0.05)
        assert status(await asyncio.wait_for(answer, 2)) in {408, 400}  # or the bytes are no method
        assert time.monotonic() - started < 2
        await close(writer)


async def test_the_head_of_a_further_request_has_to_come_in_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    async with serving() as served:
        reader, writer = await asyncio.open_connection(LOCALHOST, served.port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(0.5)  # idle between two requests is no fault
        assert not reader.at_eof()
        writer.write(HALF)
        assert b"HTTP/1.1 408 " in await asyncio.wait_for(reader.read(), 2)
        await close(writer)


async def test_a_head_that_never_ends_is_refused() -> None:
    async with serving() as served:
        reader, writer = await asyncio.open_connection(LOCALHOST, served.port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        answer = asyncio.create_task(reader.read(1000))
        for number in range(60):
            if not answer.done():
                writer.write(b"X-%d: %s\r\n" % (number, b"y" * 4000))
                await asyncio.sleep(0.005)
        assert (await asyncio.wait_for(answer, 2)).startswith(b"HTTP/1.1 431 ")
        assert served.bounds_hit["http_head_bytes"] == 1
        await close(writer)


async def test_a_client_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ANSWER_S", 0.3)

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 50_000_000)

    async with serving(GUARDED, FEW, web.get("/page/large", large)) as served:
        _, writer = await asyncio.open_connection(LOCALHOST, served.port, limit=1)
        writer.write(b"GET /page/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(1)
        assert served.bounds_hit["http_answer_time"] == 1
        assert len(served.server._main._connections) == 0
        await close(writer)


async def test_many_pipelined_requests_are_answered_in_order() -> None:
    async with serving() as served:
        one = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        answer = await served.raw(one * 200 + b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answer.count(b"HTTP/1.1 200 OK") == 201


@contextmanager
def open_files(most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_that_may_open_few_files_has_fewer_connections() -> None:
    with open_files(256):
        assert ConnectionBounds(512, 400).within_files() == (128, 128)
    assert ConnectionBounds(5, 3).within_files() == (5, 3)


async def test_probes_have_a_port_of_their_own() -> None:
    async with serving(bounds=ConnectionBounds(2, 2)) as served:
        await served.server._probes.stop()
        port = await served.server._probes.start(LOCALHOST, 0)
        probes = served._replace(port=port)
        assert [status(await probes.get(path)) for path in ("/livez", "/readyz")] == [200, 200]
        assert [status(await probes.get(path)) for path in ("/", "/metrics", "/api/v1/about")] == [404] * 3
        async with connected(probes, 100, HALF):
            assert status(await probes.get("/livez")) == 200


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", str(0xFE80 << 48)),
        ("", ""),
        (None, ""),
        ("no address", "no address"),
    ],
)
def test_an_ipv6_network_is_one_client(host: str | None, network: str) -> None:
    assert network_of(host) == network
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:0:1::1")
