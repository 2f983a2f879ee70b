"""Records that Kafka deletes before they are counted: the worker logs which, and continues with the next."""

from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from stream_app.kafka import topics
from tests.e2e.engine.load import START_MS
from tests.servers.tracker import Tracker, following, tracker, variables
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(100)

POSTS = 30
STALL_S = 3.0
WAIT_S = 30.0


def produce(run: Tracker, first: int) -> None:
    """Posts of one user, in one partition."""
    with closing(KafkaProducer(bootstrap_servers=run.settings.brokers)) as producer:
        for number in range(first, first + POSTS):
            post = {"event_id": f"e{number}", "ts": START_MS + number, "user_id": "ann"}
            producer.send(run.settings.posts_topic, key=b"ann", value=msgspec.json.encode(post))
        producer.flush()


def test_a_worker_goes_on_when_all_that_it_had_to_count_is_gone(apache_brokers: str, tmp_path: Path) -> None:
    """Nothing comes of such a partition: a worker that waited for it would end again and again, as one that stalls."""
    environment = variables(apache_brokers, "gone", stall_s=f"{STALL_S:g}s", partitions="1")
    with tracker(environment, tmp_path, workers=0) as run:
        topics.create(run.settings)
        produce(run, 0)
        with closing(KafkaAdminClient(bootstrap_servers=apache_brokers)) as admin:
            admin.delete_records({TopicPartition(run.settings.posts_topic, 0): POSTS})
        worker = run.start()
        with following(run, run.settings.curves_topic) as follower:
            assert eventually(lambda: worker.has_said(f"offsets 0 to {POSTS - 1} are gone from Kafka"), WAIT_S)
            follower.until(lambda seen: any(not known.lagging for known in seen.statuses.values()), "no lag", WAIT_S)
            assert not eventually(lambda: worker.process.poll() is not None, 2.5 * STALL_S), worker.said()
            produce(run, POSTS)
            assert follower.until_read(POSTS, WAIT_S).total("applied") == POSTS
