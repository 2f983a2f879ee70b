"""The replay: every event once, in the partition of its user, at the given speed, with errors that help."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.partitioner.default import murmur2

from stream_app.demo.embedded.kafka import embedded_broker
from stream_app.kafka import reachability
from stream_app.settings import Settings
from stream_app.sources import replay as replay_module
from stream_app.sources.pace import CONVINCING, LONGEST_STEP_MS, ReplayClock
from stream_app.sources.recorded_event import RecordedEvent
from stream_app.sources.replay import Progress, ReplayError, replay
from tests.benchmarks.workload import bench_events
from tests.waiting import eventually

PARTITIONS = 4
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    with embedded_broker() as address:
        yield address


@pytest.fixture
def settings(brokers: str, request: pytest.FixtureRequest) -> Settings:
    """Topics of the test's own."""
    name = f"t{abs(hash(request.node.name))}"
    own = Settings(brokers=brokers, posts_topic=f"{name}.posts", shares_topic=f"{name}.shares")
    make_topics(brokers, own, PARTITIONS)
    return own


def make_topics(brokers: str, settings: Settings, partitions: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    topics = (settings.posts_topic, settings.shares_topic)
    admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": 1} for topic in topics})
    admin.close()


def records(brokers: str, topic: str, count: int) -> dict[int, list[tuple[bytes, bytes, int]]]:
    """(key, value, timestamp) by partition, once there are `count` of them."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    found: dict[int, list[tuple[bytes, bytes, int]]] = {partition: [] for partition in range(PARTITIONS)}
    deadline = time.monotonic() + 20
    while sum(map(len, found.values())) < count and time.monotonic() < deadline:
        for source, batch in consumer.poll(timeout_ms=200).items():
            found[source.partition] += [(record.key, record.value, record.timestamp) for record in batch]
    consumer.close()
    return found


def event(ts_ms: int, *, share: bool = False, user: bytes = b"ann") -> RecordedEvent:
    return RecordedEvent(share, user, b'{"ts":%d}' % ts_ms, ts_ms)


def test_every_event_arrives_once_in_order_in_the_partition_of_its_user(brokers: str, settings: Settings) -> None:
    events = list(bench_events(3000))
    before = time.time() * 1000
    report = replay(events, brokers, settings)
    assert (report.sent, report.left_out, report.stopped) == (3000, 0, False)
    assert report.records_per_second > 0
    for topic, share in ((settings.posts_topic, False), (settings.shares_topic, True)):
        sent = [event for event in events if event.share is share]
        assert len(sent) == (report.shares if share else report.posts)
        for partition, arrived in records(brokers, topic, len(sent)).items():
            own = [event for event in sent if (murmur2(event.key) & 0x7FFFFFFF) % PARTITIONS == partition]
            assert [(key, value) for key, value, _ in arrived] == [(event.key, event.value) for event in own]
            assert all(before - 1000 <= ts <= time.time() * 1000 + 1000 for _, _, ts in arrived)


def test_retractions_go_to_their_topic_and_are_missed_where_there_is_none(brokers: str, settings: Settings) -> None:
    taken = event(5)._replace(retraction=True)
    with pytest.raises(ReplayError, match=rf"event 2 takes something back, .* no topic {settings.retractions_topic}: "):
        replay([event(1), taken], brokers, settings)
    other = msgspec.structs.replace(settings, retractions_topic=settings.posts_topic + "-back")
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    admin.create_topics({other.retractions_topic: {"num_partitions": PARTITIONS, "replication_factor": 1}})
    admin.close()
    report = replay([event(1), taken, event(3, share=True)], brokers, other)
    assert (report.posts, report.shares, report.retractions, report.sent) == (1, 1, 1, 3)
    ((arrived,),) = filter(None, records(brokers, other.retractions_topic, 1).values())
    assert arrived[:2] == (taken.key, taken.value)


def test_events_from_until_on_are_left_out_and_those_without_a_time_are_sent(brokers: str, settings: Settings) -> None:
    progress: list[Progress] = []
    report = replay(
        [event(5), event(10), event(-1), event(9), event(99)],
        brokers,
        settings,
        until_ms=10,
        on_progress=progress.append,
    )
    assert (report.posts, report.left_out) == (3, 2)
    assert progress[-1][:3] == (3, 2, 9)


def test_a_replay_can_be_stopped_while_it_waits(brokers: str, settings: Settings) -> None:
    stop = threading.Event()

    def stop_after_the_first(progress: Progress) -> None:
        if progress.sent:
            stop.set()

    start = time.monotonic()
    report = replay(
        [event(0), event(HOUR_MS)], brokers, settings, speed=1.0, on_progress=stop_after_the_first, stop=stop
    )
    assert report.stopped
    assert report.posts == 1
    assert time.monotonic() - start < 10


def test_at_a_speed_events_wait_for_their_time(brokers: str, settings: Settings) -> None:
    report = replay([event(0), event(HOUR_MS)], brokers, settings, speed=HOUR_MS / 1000 / 0.3)
    assert report.posts == 2
    assert 0.3 <= report.seconds < 10


def test_an_event_larger_than_a_record_is_reported(brokers: str, settings: Settings) -> None:
    with pytest.raises(ReplayError, match=r"event 2, of user 'bob', has 2000000 bytes"):
        replay([event(1), RecordedEvent(False, b"bob", b"x" * 2_000_000, 2)], brokers, settings)


def test_a_missing_topic_is_reported_and_not_created(brokers: str) -> None:
    settings = Settings(posts_topic="none.posts", shares_topic="none.shares")
    for _ in range(2):
        with pytest.raises(ReplayError, match=r"no topic none.posts and no topic none.shares: create it with"):
            replay([event(1)], brokers, settings)


def test_an_unreachable_broker_is_reported() -> None:
    with pytest.raises(ReplayError, match=r"no Kafka answers at 127.0.0.1:1,\[::1\]:1 \(.*refused.*--brokers"):
        replay([event(1)], "127.0.0.1:1,[::1]:1", Settings())
    with pytest.raises(ReplayError, match=r"no Kafka answers at here:now"):
        replay([event(1)], "here:now", Settings())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kafka-python forgets its sockets
def test_a_server_that_is_no_kafka_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(
            ReplayError,
            match=f"cannot connect to Kafka at {address} .it does not answer.: does STREAM_APP_BROKERS name",
        ):
            replay([event(1)], address, Settings())
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kafka-python forgets refused sockets
def test_a_broker_that_dies_is_reported_and_no_thread_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "_DELIVERY_TIMEOUT_S", 1)
    monkeypatch.setattr(replay_module, "_REQUEST_TIMEOUT_MS", 500)
    settings = Settings()
    with ExitStack() as stack:
        address = stack.enter_context(embedded_broker())
        make_topics(address, settings, 1)

        def then_the_broker_ends() -> Iterator[RecordedEvent]:
            yield event(1)
            stack.close()
            yield from bench_events(1000)

        with pytest.raises(ReplayError, match=f"Kafka at {address} did not acknowledge a record"):
            replay(then_the_broker_ends(), address, settings)
    assert eventually(
        lambda: not [thread for thread in threading.enumerate() if "kafka-python-prod" in thread.name], 10
    )
    gc.collect()


def test_event_time_passes_at_the_speed_asked_for() -> None:
    pace = ReplayClock(60.0)
    assert pace.delay_s(1_000_000, 5.0) == 0
    assert pace.delay_s(1_000_000 + HOUR_MS, 5.0) == 60
    assert pace.delay_s(1_000_000 + HOUR_MS, 50.0) == 15
    assert pace.delay_s(1_000_000, 50.0) == 0
    assert pace.delay_s(-1, 50.0) == 0


def test_a_wrong_clock_is_not_waited_for_and_does_not_move_the_replay() -> None:
    pace = ReplayClock(1.0)
    now = 20 * 365 * LONGEST_STEP_MS
    assert pace.delay_s(now, 0.0) == 0
    assert pace.delay_s(now * 2, 1.0) == 0
    assert pace.delay_s(now + 5000, 1.0) == 4


def test_a_hole_is_not_waited_for_nor_a_wrong_clock_at_the_start() -> None:
    now = 20 * 365 * LONGEST_STEP_MS
    for first in (now * 2, now - 3 * LONGEST_STEP_MS):
        pace = ReplayClock(1.0)
        assert pace.delay_s(first, 0.0) == 0
        assert {pace.delay_s(now + n, 6.0) for n in range(CONVINCING)} == {0}
        assert pace.delay_s(now + CONVINCING + 1999, 6.0) == 2


def test_a_late_event_is_due_at_once_however_many_there_are() -> None:
    pace = ReplayClock(1.0)
    now = 20 * 365 * LONGEST_STEP_MS
    assert pace.delay_s(now, 0.0) == 0
    for late_ms in (2 * LONGEST_STEP_MS, 2 * LONGEST_STEP_MS - HOUR_MS, LONGEST_STEP_MS + 1):
        assert pace.delay_s(now - late_ms, 1.0) == 0
    assert pace.delay_s(now + 5000, 1.0) == 4
