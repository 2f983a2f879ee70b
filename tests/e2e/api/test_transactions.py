"""Evidence from transactions: committed events are shown, aborted and open ones are not."""

import asyncio
from contextlib import closing
from functools import partial

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from stream_app.core.queries import ScopeName
from stream_app.kafka.record_batches import leave_records_packed
from stream_app.kafka.topic_reader import partitions
from stream_app.serving.api.users.evidence import EvidenceReader
from stream_app.settings import Settings
from tests.unit.serving.api.flags.flags_topic import nobody

pytestmark = pytest.mark.timeout(100)

AT_MS = 1_767_225_600_000
POSTS, SHARES, TAKEN_BACK = "evidence.posts", "evidence.shares", "evidence.retractions"


async def _post(producer: AIOKafkaProducer, event_id: str) -> None:
    event = {"event_id": event_id, "ts": AT_MS, "user_id": "ann", "post_id": event_id, "impressions": 5}
    await producer.send_and_wait(POSTS, key=b"ann", value=msgspec.json.encode(event), partition=0)


async def test_only_committed_events_are_shown(apache_brokers: str) -> None:
    leave_records_packed()  # as in a worker
    with closing(KafkaAdminClient(bootstrap_servers=apache_brokers)) as admin:
        admin.create_topics(
            [NewTopic(name, num_partitions=1, replication_factor=1) for name in (POSTS, SHARES, TAKEN_BACK)]
        )
    settings = Settings(brokers=apache_brokers, posts_topic=POSTS, shares_topic=SHARES, retractions_topic=TAKEN_BACK)
    producer = AIOKafkaProducer(bootstrap_servers=apache_brokers, transactional_id="evidence")
    await producer.start()
    try:
        async with producer.transaction():
            await _post(producer, "committed")
        await producer.begin_transaction()
        await _post(producer, "taken back")
        await producer.abort_transaction()
        async with producer.transaction():
            await _post(producer, "committed too")
        await producer.begin_transaction()
        await _post(producer, "still open")
        evidences = EvidenceReader(settings, partial(partitions, settings), nobody)
        async with asyncio.timeout(60):
            found = await evidences.of("ann", 0, ScopeName("all", "*"), (AT_MS, AT_MS + 1))
        await producer.abort_transaction()
    finally:
        await producer.stop()
    assert {post.post_id for post in found.posts} == {"committed", "committed too"}
    assert (found.found, found.is_complete) == (2, True)
