"""Batches through Faust's consumer: messages of many records of a partition, at the offset of the last of them."""

from functools import partial
from typing import Any

from faust.types import TP
from mode.utils.queues import FlowControlEvent

from stream_app.engine.faust.batches import BatchQueue, RawSchema, scheduler_of
from stream_app.kafka.record_batches import PackedBatch
from tests.unit.engine.packing import numbered, read, record_batch, unpacked

POSTS = "posts"


def packed(*batches: range) -> list[PackedBatch]:
    data = b"".join(record_batch(numbered(offsets)) for offsets in batches)
    return list(read(data, batches[0].start))


def scheduled(records: dict[TP, list[PackedBatch]], enough: int = 100) -> list[tuple[TP, Any]]:
    return list(scheduler_of(enough, [POSTS])().iterate(records))


def test_a_fetch_becomes_one_message_per_partition() -> None:
    one, two = packed(range(3, 6), range(6, 8)), packed(range(2))
    messages = scheduled({TP(POSTS, 0): one, TP(POSTS, 1): two})
    assert [(tp, message.value) for tp, message in messages] == [
        (TP(POSTS, 0), (POSTS, 0, one)),
        (TP(POSTS, 1), (POSTS, 1, two)),
    ]


def test_the_message_stands_at_the_offset_and_time_of_its_last_record() -> None:
    ((_, message),) = scheduled({TP(POSTS, 4): packed(range(3, 6), range(6, 8))})
    assert (message.topic, message.partition, message.offset, message.timestamp) == (POSTS, 4, 7, 1007)
    assert message.key is None


def test_a_large_fetch_becomes_several_messages_in_order() -> None:
    fetched = packed(range(2), range(2, 4), range(4, 10), range(10, 11))
    messages = [message for _, message in scheduled({TP(POSTS, 0): fetched}, enough=3)]
    read_ = [[record.offset for record in unpacked(message.value.packed).records] for message in messages]
    assert read_ == [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9], [10]]
    assert [message.offset for message in messages] == [3, 9, 10]


def test_a_partition_without_records_gives_no_message() -> None:
    assert scheduled({TP(POSTS, 0): []}) == []


def test_records_of_a_changelog_are_for_nobody() -> None:
    assert scheduled({TP("changelog", 0): packed(range(2))}) == []


def test_two_schedulers_do_not_share_their_size() -> None:
    scheduler_of(1, [POSTS])
    assert len(scheduled({TP(POSTS, 0): packed(range(2), range(2, 3))})) == 1


def test_a_fetched_batch_reaches_the_agent_unchanged() -> None:
    ((_, message),) = scheduled({TP(POSTS, 0): packed(range(3))})
    schema = RawSchema()
    assert schema.loads_value(None, message) is message.value
    assert schema.loads_key(None, message) is None


def test_a_full_queue_stops_no_partition_from_being_fetched() -> None:
    queue = BatchQueue(2, flow_control=FlowControlEvent(initially_suspended=False))
    stopped: list[int] = []
    for partition in range(2):
        stop = partial(stopped.append, partition)
        assert not queue.full()
        queue.put_nowait_enhanced(partition, on_pressure_high=stop, on_pressure_drop=stop)
    assert queue.full()
    assert stopped == []
