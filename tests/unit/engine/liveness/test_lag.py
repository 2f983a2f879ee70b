"""The lag metric: correct even while nothing is counted."""

from stream_app.kafka.records import Partition
from tests.unit.engine.fakes import NOW_S, PARTITION, posts
from tests.unit.engine.parts import Parts

POSTS = "influence.posts"
PLACE = Partition(POSTS, PARTITION)


def last_reported_lag(parts: Parts) -> tuple[int, float]:
    """Records and seconds."""
    topic, partition, records, seconds = parts.fake.meter.lag.call_args.args
    assert (topic, partition) == PLACE
    return records, seconds


async def test_the_lag_behind_a_batch_is_as_old_as_its_first_record() -> None:
    parts = Parts()
    parts.fake.kafka.ended = {PLACE: 7}
    parts.fake.now_s = NOW_S + 30
    await parts.count(posts(range(5)))
    assert last_reported_lag(parts) == (2, 30.0)
    await parts.count(posts(range(5, 7)))
    assert last_reported_lag(parts) == (0, 0.0)


async def test_the_lag_grows_while_counting_stands_still() -> None:
    parts = Parts()
    parts.fake.kafka.ended = {PLACE: 7}
    await parts.count(posts(range(5)))
    parts.fake.now_s += 60
    parts.synchronization.note_ends({PLACE: 9})
    assert last_reported_lag(parts) == (4, 60.0)


async def test_records_of_which_none_has_been_read_wait_since_they_were_seen_first() -> None:
    parts = Parts()
    parts.synchronization.note_ends({PLACE: 0})
    assert last_reported_lag(parts) == (0, 0.0)
    parts.fake.now_s += 3600
    parts.synchronization.note_ends({PLACE: 2})
    assert last_reported_lag(parts) == (2, 0.0)
    parts.fake.now_s += 5
    parts.synchronization.note_ends({PLACE: 3})
    assert last_reported_lag(parts) == (3, 5.0)


async def test_a_partition_that_was_taken_over_has_a_lag_before_anything_of_it_is_counted() -> None:
    parts = Parts(hold=False)
    parts.fake.kafka.ended = {PLACE: 5}
    await parts.ownership.take_over({PARTITION}, 1)
    reported = {(call.args[0], call.args[2]) for call in parts.fake.meter.lag.call_args_list}
    assert reported == {(POSTS, 5), ("influence.shares", 0)}
