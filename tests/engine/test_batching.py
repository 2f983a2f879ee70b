"""Batches through Faust's consumer: messages of many records of a partition, at the offset of the last of them."""

from functools import partial
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from stream_app.engine.batching import AsTheyCome, BatchQueue, _RecordsAsRead, scheduler_of

POSTS = "posts"


def fetched(partition: int, offsets: range) -> list[Any]:
    return [ConsumerRecord(POSTS, partition, n, 1000 + n, 0, b"k", b"v%d" % n, None, 1, 2, ()) for n in offsets]


def scheduled(records: dict[TP, list[Any]], most: int = 100) -> list[tuple[TP, Any]]:
    return list(scheduler_of(most)().iterate(records))


def test_a_fetch_becomes_one_message_per_partition() -> None:
    one, two = fetched(0, range(3, 8)), fetched(1, range(2))
    messages = scheduled({TP(POSTS, 0): one, TP(POSTS, 1): two})
    assert [(tp, message.value) for tp, message in messages] == [
        (TP(POSTS, 0), (POSTS, 0, one)),
        (TP(POSTS, 1), (POSTS, 1, two)),
    ]


def test_the_message_stands_at_the_offset_and_time_of_its_last_record() -> None:
    ((_, message),) = scheduled({TP(POSTS, 4): fetched(4, range(3, 8))})
    assert (message.topic, message.partition, message.offset, message.timestamp) == (POSTS, 4, 7, 1007)
    assert message.key is None


def test_a_large_fetch_becomes_several_messages_in_order() -> None:
    messages = [message for _, message in scheduled({TP(POSTS, 0): fetched(0, range(7))}, most=3)]
    assert [[record.offset for record in message.value.records] for message in messages] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [message.offset for message in messages] == [2, 5, 6]


def test_a_partition_without_records_gives_no_message() -> None:
    assert scheduled({TP(POSTS, 0): []}) == []


def test_two_schedulers_do_not_share_their_limit() -> None:
    scheduler_of(1)
    assert len(scheduled({TP(POSTS, 0): fetched(0, range(3))})) == 1


def test_keys_and_values_reach_the_agent_as_they_came() -> None:
    ((_, message),) = scheduled({TP(POSTS, 0): fetched(0, range(3))})
    schema = AsTheyCome()
    assert schema.loads_value(None, message) is message.value
    assert schema.loads_key(None, message) is None


def test_records_keep_what_was_produced() -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 100_000)
    for n in range(3):
        builder.append(n, 1000 + n, b"k%d" % n if n else None, b"v%d" % n, [])
    read = _RecordsAsRead(TP(POSTS, 0), MemoryRecords(bytes(builder.build())), [], 0, None, None, True, 0)
    assert [(r.offset, r.timestamp, r.key, r.value) for r in read] == [
        (0, 1000, None, b"v0"),
        (1, 1001, b"k1", b"v1"),
        (2, 1002, b"k2", b"v2"),
    ]


def test_a_full_queue_stops_no_partition_from_being_fetched() -> None:
    queue = BatchQueue(2, flow_control=FlowControlEvent(initially_suspended=False))
    stopped: list[int] = []
    for partition in range(2):
        stop = partial(stopped.append, partition)
        assert not queue.full()
        queue.put_nowait_enhanced(partition, on_pressure_high=stop, on_pressure_drop=stop)
    assert queue.full()
    assert stopped == []
