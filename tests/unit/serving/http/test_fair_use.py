"""What one client may take: of the event loop, and of the streams."""

import asyncio
import time
from unittest.mock import Mock

import pytest
from aiohttp import web

from stream_app.serving.http import fair_use
from stream_app.serving.http.auth import Access
from stream_app.serving.http.connections import ConnectionBounds
from stream_app.serving.http.fair_use import Clients
from stream_app.serving.http.problems import RefusedError
from stream_app.settings import Settings
from tests.unit.serving.http.served import LOCALHOST, close, serving, status


def request_of(address: str) -> web.Request:
    return Mock(remote=address, cookies={})


async def test_who_takes_too_much_waits_and_nobody_else() -> None:
    now_s, hits = 0.0, list[str]()
    taken = Clients(Access(Settings()), hits.append, lambda: now_s)

    async def busy(_request: web.Request) -> web.Response:
        return web.Response(text="well")

    async def ask(address: str) -> None:
        await taken.answer(request_of(address), busy)

    await ask("10.0.0.1")
    taken._take("10.0.0.1", fair_use.BURST_S + 1)
    with pytest.raises(RefusedError, match="too much time"):
        await ask("10.0.0.1")
    assert hits == ["http_client_time"]
    await ask("10.0.0.2")
    now_s += 2 / fair_use.SHARE
    await ask("10.0.0.1")


async def test_only_the_time_in_which_the_loop_is_held_counts() -> None:
    taken = Clients(Access(Settings()), lambda _bound: None)

    async def mixed(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        time.sleep(0.1)  # noqa: ASYNC251 - it is to hold the loop
        try:
            async with asyncio.timeout(0.05):
                await asyncio.sleep(5)
        except TimeoutError:
            return web.Response(text="in time")
        raise AssertionError

    answer = await taken.answer(request_of("10.0.0.1"), mixed)
    assert isinstance(answer, web.Response)
    assert answer.text == "in time"
    assert taken._debts["10.0.0.1"][0] == pytest.approx(0.1, abs=0.05)


async def test_clients_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_use, "_MOST_CLIENTS", 3)
    taken = Clients(Access(Settings()), lambda _bound: None)
    for number in range(10):
        taken._take(f"10.0.0.{number}", 1)
    assert [*taken._debts] == ["10.0.0.7", "10.0.0.8", "10.0.0.9"]


async def test_streams_of_one_client_are_bounded() -> None:
    settings = Settings(http_max_streams_per_client=3)
    async with serving(settings, ConnectionBounds(50, 50)) as served:
        streams = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection(LOCALHOST, served.port)
            writer.write(b"GET /api/v1/flags/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            streams.append(writer)
        refused = await served.get("/api/v1/flags/stream")
        assert status(refused) == 429
        assert b"STREAM_APP_HTTP_MAX_STREAMS_PER_CLIENT" in refused
        assert served.bounds_hit["http_streams"] == 1
        await close(streams.pop())
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection(LOCALHOST, served.port)
        writer.write(b"GET /api/v1/flags/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        for one in (*streams, writer):
            await close(one)
