"""A Redis that is there and refuses, or holds what others wrote: said with what to do, and the board is kept apart."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from stream_app.core.messages import Role
from stream_app.findings import Severity
from stream_app.ops.doctor.redis import redis as examined
from stream_app.serving.redis.board import Board, BoardUnavailableError
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard
from stream_app.settings import Settings
from stream_app.settings.secret import SecretUrl
from tests.servers.embedded import redis_server

PREFIX = "refusing"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A server of its own."""
    with redis_server(tmp_path) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    with closing(redis.Redis.from_url(url)) as connected:
        yield connected


def problems(url: str) -> str:
    found = examined(Settings(redis_url=SecretUrl(url)))
    return "; ".join(f"{each.found}: {each.advice}" for each in found if each.state is Severity.PROBLEM)


async def refusal(url: str) -> str:
    """Why a snapshot could not be written."""
    board = Board(url, PREFIX, 10, 60.0, 1)
    try:
        with pytest.raises(BoardUnavailableError) as failed:
            await board.refresh(snapshot())
    finally:
        await board.close()
    return str(failed.value)


def snapshot() -> BoardSnapshot:
    nobody: Any = ()
    return BoardSnapshot(
        full=True, partitions=[PartitionBoard(partition=0, tops=[], standings=nobody, removed=[])], cuts=[]
    )


async def test_a_full_redis(url: str, client: Any) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    assert "memory is full" in problems(url)
    assert "its memory is full (maxmemory)" in await refusal(url)


async def test_a_read_only_replica(url: str, client: Any) -> None:
    client.replicaof("127.0.0.1", 1)
    assert "point STREAM_APP_REDIS_URL at the primary" in problems(url)
    assert "point STREAM_APP_REDIS_URL at the primary" in await refusal(url)


async def test_keys_of_another_program(url: str, client: Any) -> None:
    client.set(f"{PREFIX}:keys:0", "mine")
    assert "STREAM_APP_REDIS_PREFIX" in await refusal(url)


async def test_what_others_put_into_the_index_is_not_deleted(url: str, client: Any) -> None:
    client.set("precious", "1")
    client.set(f"{PREFIX}:user:ann:x", "1")
    client.sadd(f"{PREFIX}:keys:0", "precious", f"{PREFIX}:user:ann:x", b"\xff\xfe")
    board = Board(url, PREFIX, 10, 60.0, 1)
    await board.refresh(snapshot())
    await board.close()
    assert client.get("precious") == b"1"
    assert client.get(f"{PREFIX}:user:ann:x") is None


async def test_values_that_are_none_are_left_out(url: str, client: Any) -> None:
    board = Board(url, PREFIX, 10, 60.0, 1)
    key = f"{PREFIX}:top:maven:all:tea"
    client.zadd(key, {b"\xff\xfe": 3, b"ann": 2, b"inf": float("inf"), b"x" * 100_000: 1})
    client.zadd(f"{PREFIX}:top:nonsense", {b"a": 1})
    found = await board.read_top("tea", Role.MAVEN, "all", 10)
    shown = await board.shown()
    await board.close()
    assert [value for _, value in found] == [3, 2, 1]
    assert max(len(user) for user, _ in found) <= 1000
    assert len(shown) <= 1
