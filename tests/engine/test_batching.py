"""Batches through Faust's consumer: one message per partition and fetch, at the offset of its last record."""

from typing import Any

from aiokafka.structs import ConsumerRecord
from faust.types import TP

from stream_app.engine.batching import AsTheyCome, scheduler_of

POSTS, OTHER = "posts", "other"


def fetched(topic: str, partition: int, offsets: range) -> list[Any]:
    return [ConsumerRecord(topic, partition, n, 1000 + n, 0, b"k", b"v%d" % n, None, 1, 2, ()) for n in offsets]


def scheduled(records: dict[TP, list[Any]]) -> list[tuple[TP, Any]]:
    return list(scheduler_of([POSTS])().iterate(records))


def test_a_fetch_of_a_batched_topic_becomes_one_message_per_partition() -> None:
    one, two = fetched(POSTS, 0, range(3, 8)), fetched(POSTS, 1, range(2))
    messages = scheduled({TP(POSTS, 0): one, TP(POSTS, 1): two})
    assert [(tp.partition, message.value) for tp, message in messages] == [(0, one), (1, two)]


def test_the_message_stands_at_the_offset_and_time_of_its_last_record() -> None:
    ((_, message),) = scheduled({TP(POSTS, 4): fetched(POSTS, 4, range(3, 8))})
    assert (message.topic, message.partition, message.offset, message.timestamp) == (POSTS, 4, 7, 1007)
    assert message.key is None


def test_records_of_other_topics_come_one_by_one() -> None:
    records = fetched(OTHER, 0, range(4))
    assert scheduled({TP(OTHER, 0): records}) == [(TP(OTHER, 0), record) for record in records]


def test_both_kinds_of_topics_come_from_one_fetch() -> None:
    batch, single = fetched(POSTS, 0, range(3)), fetched(OTHER, 0, range(2))
    messages = [message for _, message in scheduled({TP(OTHER, 0): single, TP(POSTS, 0): batch})]
    assert [message.value for message in messages] == [batch, b"v0", b"v1"]


def test_a_partition_without_records_gives_no_message() -> None:
    assert scheduled({TP(POSTS, 0): []}) == []


def test_two_schedulers_do_not_share_their_topics() -> None:
    scheduler_of([OTHER])
    assert len(scheduled({TP(OTHER, 0): fetched(OTHER, 0, range(3))})) == 3


def test_keys_and_values_reach_the_agent_as_they_came() -> None:
    ((_, message),) = scheduled({TP(POSTS, 0): fetched(POSTS, 0, range(3))})
    schema = AsTheyCome()
    assert schema.loads_value(None, message) is message.value
    assert schema.loads_key(None, message) is None
