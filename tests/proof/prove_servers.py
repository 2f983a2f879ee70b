"""Servers that go away, come back, or answer slowly."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from tests.proof.crew import rss_mb
from tests.proof.prove_kills import PATIENCE_S, contents, finish
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import Stage, stage
from tests.servers.apache import ApacheKafkaMissing, apache_kafka, libraries
from tests.servers.brokers import EMBEDDED
from tests.servers.embedded import Server, kafka_server, redis_server

pytestmark = pytest.mark.timeout(1200)

CAUGHT_UP_WITHIN_S = 30.0
LAG_S = 2.0
COMPLETE_WITHIN_S = 10.0
GROWTH_MB = 40.0
SLOW_S = 5.0
LOOK_S = 0.2
BOARD = "proof"
"""The prefix of its keys."""


def has_apache() -> None:
    try:
        libraries()
    except ApacheKafkaMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.promise(6, what="Kafka is down for a while")
def test_counting_goes_on_after_kafka_was_away(kafka: str, tmp_path: Path, scale: Scale, proof: Proof) -> None:
    """The embedded Kafka keeps everything in memory, so it is frozen; Apache Kafka is killed and started again."""
    folder = tmp_path / "servers"
    folder.mkdir()
    if kafka == EMBEDDED:
        with kafka_server(folder) as server:
            prove_away(f"127.0.0.1:{server.port}", server.freeze, server.thaw, tmp_path, scale, proof)
        return
    has_apache()
    with apache_kafka(folder) as cluster:
        prove_away(cluster.brokers, cluster.kill, cluster.start, tmp_path, scale, proof)


def prove_away(
    brokers: str, leave: Callable[[], None], come_back: Callable[[], None], folder: Path, scale: Scale, proof: Proof
) -> None:
    given = contents(scale, 0.5)
    with stage(brokers, "away", folder, given, workers=2) as on:
        feeder = on.feed(len(given.records) / scale.load_s)
        on.until_counting()
        on.during(scale.load_s / 3)
        leave()
        time.sleep(scale.down_s)
        come_back()
        behind = LAG_S * len(given.records) / scale.load_s
        caught_up_s = on.until(lambda: feeder.due - on.read() < behind, "caught up", PATIENCE_S)
        proof.figure(down_s=scale.down_s, caught_up_after_s=caught_up_s)
        finish(on, proof)
        assert caught_up_s <= CAUGHT_UP_WITHIN_S


@pytest.mark.promise(6, what="three nodes restarted in turn")
def test_counting_goes_on_while_three_nodes_are_restarted_in_turn(tmp_path: Path, scale: Scale, proof: Proof) -> None:
    has_apache()
    proof.kafka = "apache"
    given = contents(scale, 0.5)
    folder = tmp_path / "servers"
    settings = {"default.replication.factor": "3", "min.insync.replicas": "2"}
    with (
        apache_kafka(folder, nodes=3, settings=settings) as cluster,
        stage(cluster.brokers, "rolling", tmp_path, given, 2, None, replication="3") as on,
    ):
        feeder = on.feed(len(given.records) / (2 * scale.load_s))
        on.until_counting()
        slowest_s = 0.0
        for node in cluster.nodes:
            node.stop()
            on.during(scale.load_s / 10)
            cluster.start()
            began_s, wanted = time.monotonic(), feeder.sent
            on.until(lambda wanted=wanted: on.read() >= wanted, "caught up", PATIENCE_S)  # type: ignore[misc]
            slowest_s = max(slowest_s, time.monotonic() - began_s)
            on.during(scale.load_s / 10)
        proof.figure(restarts=3, counting_again_s=slowest_s)
        finish(on, proof)
        assert slowest_s <= CAUGHT_UP_WITHIN_S


@pytest.mark.alone
@pytest.mark.promise(7)
def test_redis_being_down_or_slow_does_not_slow_counting(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = contents(scale, 0.25)
    per_second = len(given.records) / (2 * scale.redis_down_s + 30)
    with redis_server(tmp_path) as server, closing(redis.Redis(port=server.port, decode_responses=True)) as client:
        url = f"redis://127.0.0.1:{server.port}/0"
        with stage(brokers, "redis", tmp_path, given, 1, None, redis_url=url, redis_prefix=BOARD) as on:
            feeder = on.feed(per_second)
            on.until_counting()
            on.until(lambda: board_is_complete(client, on), "the board", PATIENCE_S)
            worker = on.crew.members[0]
            before_mb = rss_mb(worker.process.pid)
            for name, trouble in (("down", down), ("slow", slow)):
                lag_s = 0.0
                for _ in trouble(server, client, scale.redis_down_s):
                    on.during(LOOK_S)
                    lag_s = max(lag_s, (feeder.sent - on.read()) / per_second)
                complete_s = on.until(lambda: board_is_complete(client, on), "the board afterwards", PATIENCE_S)
                proof.figure(**{f"{name}_lag_s": lag_s, f"{name}_complete_s": complete_s})
                assert not feeder.is_done, "there was no load any more"
                assert lag_s <= LAG_S
                assert complete_s <= COMPLETE_WITHIN_S
            growth_mb = rss_mb(worker.process.pid) - before_mb
            proof.figure(trouble_s=scale.redis_down_s, growth_mb=growth_mb)
            finish(on, proof)
            on.until(lambda: board_of(client) == on.contents.cuts(), "the board as exact as the cuts", PATIENCE_S)
            assert growth_mb <= GROWTH_MB


def down(server: Server, _client: redis.Redis, seconds: float) -> Iterator[float]:
    """Have no Redis while it is iterated over."""
    server.kill()
    yield from for_so_long(seconds)
    server.start()


def slow(_server: Server, client: redis.Redis, seconds: float) -> Iterator[float]:
    """Have one that answers after five seconds."""
    paused_s = -SLOW_S
    for passed_s in for_so_long(seconds):
        if passed_s - paused_s >= SLOW_S:
            client.client_pause(int(SLOW_S * 1000), all=True)
            paused_s = passed_s
        yield passed_s
    client.client_unpause()


def for_so_long(seconds: float) -> Iterator[float]:
    """Until that time is over: the seconds that have passed, whenever it is asked."""
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < seconds:
        yield passed_s


def board_is_complete(client: redis.Redis, on: Stage) -> bool:
    """Whether Redis holds every cut that was published."""
    try:
        return len(on.seen.cuts) > 0 and board_of(client).keys() == on.seen.cuts.keys()
    except redis.RedisError:
        return False


def board_of(client: redis.Redis) -> dict[tuple[str, str], tuple[int, ...]]:
    """The cuts on the board, by topic and role."""
    found = {}
    for key in client.scan_iter(f"{BOARD}:cut:*"):
        fields = client.hgetall(key)
        values = tuple(int(fields[name]) for name in ("users", "total", "k", "threshold", "ties"))
        found[str(fields["topic"]), str(fields["role"])] = values
    return found
