"""Corrupt record batches: corrupt in transit costs a fetch; corrupt in Kafka ends the worker with a reason."""

import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from stream_app.core.changelog import segments
from stream_app.core.changelog.segments import SegmentKey
from stream_app.engine.liveness.exit_codes import Exit
from stream_app.kafka.corrupt_batches import CorruptBatchError
from stream_app.kafka.topics import changelogs_of
from tests.servers.apache import ApacheKafkaMissing, Cluster, apache_kafka
from tests.servers.tracker import Tracker, Worker, following, tracker, variables
from tests.unit.engine.fakes import NOW_MS
from tests.unit.engine.packing import (
    COMMIT_MARK,
    in_transaction,
    numbered,
    read,
    record_batch,
    records_of_one,
    unpacked,
)
from tests.waiting import eventually

WAIT_S = 40.0
BATCHES, TOGETHER = 5, 10
BAD, AFTER = 30, 40
"""Where the damaged batch begins, and the one after it."""


def changed(batch: bytes) -> bytes:
    """With one bit of its last record flipped."""
    return batch[:-3] + bytes([batch[-3] ^ 1]) + batch[-2:]


def test_a_batch_that_came_damaged_is_fetched_again(caplog: pytest.LogCaptureFixture) -> None:
    good, batch = record_batch(numbered([100, 101])), record_batch(numbered([102, 103]))
    first = read(good + changed(batch), 100)
    assert [packed.offset for packed in first] == [101]
    assert first.next_fetch_offset == 102
    assert "posts-0" in caplog.text
    assert "offset 102" in caplog.text
    (packed,) = read(batch, 102)
    assert [record.offset for record in records_of_one(packed)] == [102, 103]


def test_a_batch_that_stays_damaged_raises_when_its_turn_comes() -> None:
    good, bad = record_batch(numbered([200, 201])), changed(record_batch(numbered([202, 203])))
    assert [record.offset for packed in read(good + bad, 200) for record in records_of_one(packed)] == [200, 201]
    assert list(read(bad, 202)) == []
    data = read(bad, 202)
    (packed,) = data
    assert data.next_fetch_offset == 202
    assert (packed.first, packed.offset, packed.count) == (202, 202, 1)
    with pytest.raises(CorruptBatchError, match="posts-0 cannot be read at offset 202"):
        unpacked([packed])


def test_marks_before_a_damaged_batch_come_first() -> None:
    bad = changed(record_batch(numbered([251, 252])))
    for _ in range(4):  # however often it came before
        list(read(bad, 251))
    mark = in_transaction(record_batch([replace(numbered([250])[0], key=COMMIT_MARK)]), 5, control=True)
    (nothing,) = read(mark + bad, 250)
    assert (nothing.first, nothing.offset, records_of_one(nothing)) == (250, 250, [])


def test_damage_at_several_places_is_not_added_up() -> None:
    for first in (300, 400, 500, 600):
        assert list(read(changed(record_batch(numbered([first]))), first)) == []


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Cluster]:
    """An Apache Kafka whose disk can be got at."""
    try:
        with apache_kafka(tmp_path / "kafka") as cluster:
            yield cluster
    except ApacheKafkaMissing as missing:
        pytest.skip(str(missing))


def produce(run: Tracker) -> None:
    """Posts of one user, in batches."""
    producer = KafkaProducer(bootstrap_servers=run.settings.brokers, linger_ms=1000)
    for batch in range(BATCHES):
        for number in range(TOGETHER):
            post = b'{"event_id":"%d-%d","ts":%d,"user_id":"ann"}' % (batch, number, NOW_MS)
            producer.send(run.settings.posts_topic, key=b"ann", value=post)
        producer.flush()
    producer.close()


@contextmanager
def damaged(folder: Path, topic: str, offset: int) -> Iterator[None]:
    """On the broker's disk a byte of the batch that begins at `offset` is another one, for the length of the block."""
    (log,) = folder.glob(f"kafka/node-1/data/{topic}-0/*.log")
    flip(log, offset)
    yield
    flip(log, offset)


def flip(log: Path, offset: int) -> None:
    data, at = log.read_bytes(), 0
    while (header := struct.unpack_from(">qi", data, at))[0] != offset:
        at += 12 + header[1]
    with log.open("r+b") as file:
        file.seek(at + 70)
        file.write(bytes([data[at + 70] ^ 1]))


def refused(worker: Worker) -> str:
    """What the worker has said, that must end by itself."""
    assert worker.process.wait(WAIT_S) == Exit.REFUSED, worker.said()
    return worker.said()


def written(run: Tracker) -> int:
    """How far the posts are counted in the log."""
    log = changelogs_of(run.settings)[0]
    with following(run, log) as follower:
        records = follower.drain().records[log]
    deltas = [segments.decode(record.value) for record in records if SegmentKey.decode(record.key).kind == "delta"]
    return max(delta.header.sources[run.settings.posts_topic].position for delta in deltas)


def counts(run: Tracker, records: int) -> bool:
    """Whether the tracker comes to have counted so many."""
    with following(run, run.settings.curves_topic) as follower:
        return eventually(lambda: follower.drain().total("read") == records, WAIT_S)


@pytest.mark.timeout(150)
def test_a_damaged_input_is_counted_up_to_the_damage_and_behind_it_where_that_is_wanted(
    kafka: Cluster, tmp_path: Path
) -> None:
    with tracker(variables(kafka.brokers, "damaged", partitions="1"), tmp_path, workers=0) as run:
        produce(run)
        topic = run.settings.posts_topic
        with damaged(tmp_path, topic, BAD):
            for _ in range(2):
                assert f"{topic}-0 cannot be read at offset {BAD}" in refused(run.start())
                assert written(run) == BAD
            with closing(KafkaAdminClient(bootstrap_servers=kafka.brokers)) as admin:
                admin.delete_records({TopicPartition(topic, 0): AFTER})
            worker = run.start()
            assert counts(run, BATCHES * TOGETHER - TOGETHER)
            assert worker.has_said(f"offsets {BAD} to {AFTER - 1} are gone from Kafka")


@pytest.mark.timeout(150)
@pytest.mark.parametrize("name", ["segments", "curves"])
def test_a_damaged_state_is_not_gone_on_from_and_a_restored_one_is(kafka: Cluster, tmp_path: Path, name: str) -> None:
    with tracker(variables(kafka.brokers, "damaged", partitions="1"), tmp_path, workers=1) as run:
        produce(run)
        assert counts(run, BATCHES * TOGETHER)
        run.workers[0].kill()
        topic = {"segments": changelogs_of(run.settings)[0], "curves": run.settings.curves_topic}[name]
        with damaged(tmp_path, topic, 0):
            assert f"{topic}-0 cannot be read at offset 0" in refused(run.start())
        worker = run.start()
        produce(run)
        assert counts(run, 2 * BATCHES * TOGETHER)
        assert worker.process.poll() is None
