"""A person removed from a real Redis, and nobody else."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from stream_app.core.messages import Role
from stream_app.core.queries import TopUsers
from stream_app.core.signals.facts import Fact, Signal
from stream_app.serving.redis.board import Board, BoardUnavailableError
from stream_app.serving.redis.erasure import BoardEraser
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard
from stream_app.settings import Settings, load
from tests.board_samples import a_flag

PREFIX = "er*sing:[a]"
ANN = "ann:%"
FACT = Fact(Signal.REGULAR, 0.0, 0.1, 80, {"mean_gap_s": 60.0})
KEYS = {
    "user": f"{PREFIX}:user:ann%3A%25:connector:all:tea",
    "top": f"{PREFIX}:top:connector:all:tea",
    "part": f"{PREFIX}:part:0:connector:all:tea",
    "flags": f"{PREFIX}:flags",
    "keys": f"{PREFIX}:keys:0",
    "noticed": f"{PREFIX}:noticed:0",
}


def settings_of(url: str, prefix: str = PREFIX) -> Settings:
    return load(
        {}, {"redis_url": url, "redis_prefix": prefix, "redis_top": "10", "redis_expiry_s": "60", "partitions": "1"}
    )


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    """A board with three users, one of whom has a name that means something in keys and patterns."""
    connected: Any = redis.Redis.from_url(redis_url, decode_responses=True)
    asyncio.run(_show(redis_url))
    yield connected
    connected.flushdb()
    connected.close()


async def _show(redis_url: str) -> None:
    board = Board(redis_url, PREFIX, 10, 60.0, 1)
    flags = [a_flag(user) for user in (ANN, "ann", "bob")]
    top = TopUsers("tea", "all", Role.CONNECTOR, [(ANN, 9), ("ann", 8), ("bob", 7)])
    shown = PartitionBoard(partition=0, tops=[top], standings=flags, noticed={ANN: [FACT], "bob": [FACT]})
    await board.refresh(BoardSnapshot(full=True, partitions=[shown]), flags * 600)
    await board.close()


def test_everything_of_the_person_is_found_and_removed(redis_url: str, client: Any) -> None:
    eraser = BoardEraser(settings_of(redis_url))
    assert eraser.count([ANN, "nobody"]) == 1 + 1 + 1 + 1 + 1 + 600
    before = set(client.scan_iter())
    eraser.remove([ANN, "nobody"])
    assert eraser.count([ANN, "nobody"]) == 0
    assert before - set(client.scan_iter()) == {KEYS["user"]}
    assert not client.sismember(KEYS["keys"], KEYS["user"])
    assert client.hkeys(KEYS["noticed"]) == ["bob"]
    for key in (KEYS["top"], KEYS["part"]):
        assert client.zrange(key, 0, -1) == ["bob", "ann"]
    assert [flag["user_id"] for _, flag in client.xrange(KEYS["flags"])] == ["ann", "bob"] * 600


def test_other_prefixes_are_left_alone(redis_url: str, client: Any) -> None:
    eraser = BoardEraser(settings_of(redis_url, "er?sing"))
    eraser.remove([ANN])
    assert client.exists(*KEYS.values()) == len(KEYS)


def test_a_redis_that_does_not_answer_is_reported() -> None:
    with pytest.raises(BoardUnavailableError, match=r"redis://127\.0\.0\.1:1/0: .*STREAM_APP_REDIS_URL"):
        BoardEraser(settings_of("redis://127.0.0.1:1/0")).count([ANN])
