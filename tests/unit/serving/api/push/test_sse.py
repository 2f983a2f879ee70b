"""Server-sent events over a real socket: a reader that reads nothing is cut off, and leaves no task behind."""

import asyncio
import gc
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from unittest.mock import Mock

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.push import sse
from stream_app.serving.api.push.page_updates import PageUpdates
from stream_app.serving.api.push.sse import EventStreams
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.http.auth import Access
from stream_app.serving.http.server import HttpServer
from stream_app.settings import Settings
from tests.board_samples import a_flag
from tests.unit.serving.api.flags.flags_topic import nobody

WAIT_S = 20.0


class Served(NamedTuple):
    """Streams, and the log of flags behind them."""

    log: FlagLog
    streams: EventStreams
    port: int

    def raise_flags(self, count: int) -> None:
        for _ in range(count):
            number = self.log.offsets[0]
            flag = a_flag("x" * 600, flag_id=f"f{number}")
            self.log.add(0, number, flag, msgspec.json.encode(flag))

    async def until_somebody_listens(self) -> None:
        while not self.log._subscribers:  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def served(*, is_complete: bool = True) -> AsyncIterator[Served]:
    log = FlagLog(nobody)
    log.begin({0: 0})
    if is_complete:
        log.is_complete.set()
    access = Access(Settings())
    served = EventStreams(log, PageUpdates(Mock(), log, TimeBudget(), lambda: 0), access, Settings())
    server = HttpServer(CollectorRegistry(), Mock(), access)
    server.add(served.add_routes)
    port = await server.start("127.0.0.1", 0)
    yield Served(log, served, port)
    await server.stop()


@asynccontextmanager
async def listening(port: int, path: str, more: str = "") -> AsyncIterator[socket.socket]:
    """A reader that has asked, and takes little at a time."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(reader, ("127.0.0.1", port))
    request = f"GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n"
    await loop.sock_sendall(reader, request.encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):  # and not a byte of what follows, which may come with it
        head += await _received(reader, 1)
    assert b"200 OK" in head
    yield reader
    reader.close()


async def _received(reader: socket.socket, most: int = 65_536) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(reader, most), WAIT_S)


async def _until(reader: socket.socket, words: bytes) -> bytes:
    found = b""
    while words not in found:
        found += await _received(reader)
    return found


def _forget_other_tests(caplog: pytest.LogCaptureFixture) -> None:
    """What tests before have left behind is logged when it is collected: now, and not in the middle of this one."""
    gc.collect()
    caplog.clear()


@pytest.mark.parametrize("path", ["/flags/stream", "/live"])
async def test_a_reader_that_takes_nothing_is_cut_off(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _forget_other_tests(caplog)
    monkeypatch.setattr(sse, "STALLED_S", 0.3)
    async with served() as tracker, listening(tracker.port, path) as reader:
        while tracker.streams._open:  # as much as fits into the buffers on the way, and then no more is taken
            tracker.raise_flags(10)
            for selection in tracker.streams._updates._selections.values():
                selection.show({"curve": bytes(range(48, 58)) * 5000, "health": b"%d" % tracker.log.added})
                selection.parts = {}
            await asyncio.sleep(0.001)
        assert tracker.log._subscribers == set()
        found = b"."
        while part := await _received(reader):
            found = part
        assert not found.endswith(b"0\r\n\r\n"), "it was cut off, and did not end"
    assert caplog.records == []


async def test_a_reader_too_far_behind_is_disconnected_with_a_position_to_resume_from() -> None:
    async with served() as tracker, listening(tracker.port, "/flags/stream") as reader:
        await tracker.until_somebody_listens()
        tracker.raise_flags(5000)
        found = b""
        while part := await _received(reader):
            found += part
        assert found.endswith(b"0\r\n\r\n")
        *_, last = found.split(b"\nid: ")[1:] or [b"0"]
        missing, rest = tracker.log.after(last.partition(b"\n")[0].decode())
        assert missing == 0
        assert len(rest) + found.count(b"\nid: ") == 5000


async def test_a_stream_begins_once_it_is_known_which_flags_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PING_S", 0.05)
    async with (
        served(is_complete=False) as tracker,
        listening(tracker.port, "/flags/stream", "Last-Event-ID: 3\r\n") as reader,
    ):
        assert b"flag" not in await _until(reader, b"event: ping")
        tracker.raise_flags(5)
        assert b"flag" not in await _until(reader, b"event: ping")
        tracker.log.is_complete.set()
        found = await _until(reader, b"\nid: 5\n")
        assert found.count(b"event: flag") == 2


async def test_a_reader_that_has_read_more_than_this_worker_gets_nothing_twice() -> None:
    async with served() as tracker:
        tracker.raise_flags(2)
        async with listening(tracker.port, "/flags/stream", "Last-Event-ID: 4\r\n") as reader:
            await tracker.until_somebody_listens()
            tracker.raise_flags(3)
            assert (await _until(reader, b"\nid: 5\n")).count(b"event: flag") == 1


async def test_a_position_that_the_topic_never_reaches_does_not_hold_a_stream_back_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sse, "CATCH_UP_S", 0.1)
    async with served() as tracker, listening(tracker.port, "/flags/stream", "Last-Event-ID: 999\r\n") as reader:
        found = b""
        while b"event: flag" not in found:
            tracker.raise_flags(1)
            with suppress(TimeoutError):
                found += await asyncio.wait_for(asyncio.get_running_loop().sock_recv(reader, 4096), 0.05)


async def test_a_reader_that_disconnects_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    _forget_other_tests(caplog)
    monkeypatch.setattr(sse, "PING_S", 0.05)
    async with served() as tracker:
        for path in ("/flags/stream", "/live"):
            async with listening(tracker.port, path):
                pass
            while tracker.streams._open:
                tracker.raise_flags(1)
                await asyncio.sleep(0.01)
            assert tracker.log._subscribers == set()
        assert tracker.streams._updates._selections == {}
    assert caplog.records == []


async def test_a_gap_is_sent_before_what_follows_it() -> None:
    async with served() as tracker:
        tracker.log.begin({0: 7}, [0])
        tracker.raise_flags(1)
        async with listening(tracker.port, "/flags/stream", "Last-Event-ID: 3\r\n") as reader:
            found = await _until(reader, b"event: flag")
    assert b'event: gap\ndata: {"flags": 4}\n\n' in found
    assert found.index(b"event: gap") < found.index(b"event: flag")
