"""The examples in deploy/examples do what they say, against real servers and what a real worker writes."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Post, Share
from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.demo.embedded.redis import embedded_redis
from stream_app.kafka.topics import create
from stream_app.settings import Settings
from stream_app.sources.replay import replay
from tests.board_samples import a_flag
from tests.e2e.erasure import load
from tests.e2e.examples.consumers import (
    DEADLINE_S,
    KafkaSource,
    RedisSource,
    Source,
    line_of,
    printed,
    printed_until,
    printed_until_killed,
    running,
)
from tests.servers.tracker import following, tracker, variables
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(120)

RECORDS = 4000
FIRST, SECOND, THIRD, LAST = (a_flag(user, flag_id=user) for user in ("ann", "bob", "cy", "dee"))


@pytest.fixture
def default_topics() -> Iterator[str]:
    """A Kafka of its own, with the topics under their default names, which the examples use."""
    with embedded_broker() as brokers:
        create(Settings(brokers=brokers, partitions=1))
        yield brokers


@pytest.fixture
def own_redis() -> Iterator[str]:
    with embedded_redis() as url:
        yield url


@pytest.fixture(params=["kafka", "redis"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    if request.param == "kafka":
        yield KafkaSource(request.getfixturevalue("default_topics"), tmp_path)
        return
    with closing(RedisSource(request.getfixturevalue("own_redis"))) as on_redis:
        yield on_redis


def test_a_consumer_prints_every_flag_once(source: Source, tmp_path: Path) -> None:
    source.send(FIRST, FIRST, SECOND, FIRST, THIRD)
    with running(source.example, tmp_path, source.environment) as consumer:
        assert printed(consumer, 3) == [line_of(flag) for flag in (FIRST, SECOND, THIRD)]
        consumer.send_signal(signal.SIGINT)
        assert consumer.wait(DEADLINE_S) == -signal.SIGINT
        assert consumer.stderr is not None
        assert consumer.stderr.read() == ""  # Ctrl-C is no error


def test_a_consumer_that_was_killed_goes_on_where_it_was(source: Source, tmp_path: Path) -> None:
    source.send(FIRST, SECOND)
    with running(source.example, tmp_path, source.environment) as consumer:
        assert printed(consumer, 2) == [line_of(FIRST), line_of(SECOND)]
        assert eventually(lambda: source.knows_place(2), DEADLINE_S)
    source.forget_seen()
    source.send(THIRD)
    with running(source.example, tmp_path, source.environment) as consumer:
        assert printed(consumer, 1) == [line_of(THIRD)]


def test_a_flag_that_comes_again_after_a_restart_is_not_printed_again(source: Source, tmp_path: Path) -> None:
    source.send(FIRST, SECOND)
    with running(source.example, tmp_path, source.environment) as consumer:
        printed(consumer, 2)
        assert eventually(lambda: source.seen() == 2, DEADLINE_S)
    source.send(SECOND, FIRST, THIRD)
    with running(source.example, tmp_path, source.environment) as consumer:
        assert printed(consumer, 1) == [line_of(THIRD)]


def test_killed_consumers_print_every_flag_of_a_killed_worker_once(
    default_topics: str, own_redis: str, tmp_path: Path
) -> None:
    records = load.made("x").records[:RECORDS]
    given = {"flags_topic": "influence.flags", "redis_url": own_redis, "redis_refresh_s": "200ms", "partitions": "1"}
    environment = variables(default_topics, "examples", **given, window_s="24h", tick_s="100ms", min_users="1")
    sources: list[Source] = [KafkaSource(default_topics, tmp_path), RedisSource(own_redis)]
    with tracker(environment, tmp_path, workers=1) as run, following(run, run.settings.curves_topic) as follower:
        replay(records[: RECORDS // 2], run.settings.brokers, run.settings)
        lines = []
        for source in sources:
            with running(source.example, tmp_path, source.environment) as consumer:
                lines.append(printed(consumer, 10) + printed_until_killed(consumer))
        run.workers[0].kill()
        run.start()
        replay(records[RECORDS // 2 :], run.settings.brokers, run.settings)
        follower.until_read(RECORDS, DEADLINE_S)
        run.stop()
    for source, before in zip(sources, lines, strict=True):
        check_the_rest(source, before, tmp_path)


def check_the_rest(source: Source, before: list[str], folder: Path) -> None:
    """A consumer that was killed when it had printed the lines `before` prints all others, and only them."""
    source.send(LAST)
    earlier = source.flags_before(LAST)
    flags = Counter(map(line_of, {flag.flag_id: flag for flag in earlier}.values()))
    assert flags.total() < len(earlier), "no flag came again"
    with running(source.example, folder, source.environment) as consumer:
        lines = Counter(before + printed_until(consumer, line_of(LAST)))
    assert flags - lines == Counter()
    assert (lines - flags).total() <= 1, "more than the one that it was at"


def test_events_of_the_example_producer_can_be_counted(default_topics: str, tmp_path: Path) -> None:
    with running("produce_events.py", tmp_path, {"STREAM_APP_BROKERS": default_topics}) as producer:
        assert producer.wait(DEADLINE_S) == 0
    consumer = KafkaConsumer(
        "influence.posts", "influence.shares", bootstrap_servers=default_topics, auto_offset_reset="earliest"
    )
    with closing(consumer):
        records = {record.topic: record for record in (next(consumer), next(consumer))}
    for topic, kind in (("influence.posts", Post), ("influence.shares", Share)):
        decoded = decode([records[topic].value], kind, 1000)
        assert not decoded.rejected
        assert records[topic].key == json.loads(records[topic].value)["user_id"].encode()
