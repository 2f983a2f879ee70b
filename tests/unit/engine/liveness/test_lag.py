"""The lag metric: correct even while nothing is counted."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from stream_app.kafka.records import Partition
from tests.unit.engine.fakes import NOW_S, PARTITION, post, posts
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
    assert reported == {(POSTS, 5), ("influence.shares", 0), ("influence.retractions", 0), ("influence.credits", 0)}


def stamped(offsets: Iterable[int], time_s: float) -> list[Any]:
    """Posts whose producer gives them that record time."""
    return [replace(post(offset), timestamp=round(time_s * 1000)) for offset in offsets]


@pytest.mark.parametrize("time_s", [0.0, -0.001, NOW_S + 10**6])
async def test_a_record_time_that_is_none_is_no_lag_and_no_latency(time_s: float) -> None:
    parts = Parts()
    parts.fake.kafka.ended = {PLACE: 7}
    await parts.count(stamped(range(3), time_s))
    assert last_reported_lag(parts) == (4, 0.0)
    assert parts.fake.context.owned[PARTITION].oldest_unseen_s == NOW_S
    parts.fake.now_s += 90
    await parts.count(stamped(range(3, 5), time_s))
    assert last_reported_lag(parts)[1] <= 90.0


async def test_a_record_arrived_after_those_before_it_whatever_its_producer_says() -> None:
    parts = Parts()
    parts.fake.kafka.ended = {PLACE: 9}
    parts.fake.now_s = NOW_S + 600
    await parts.count(stamped(range(2), NOW_S))
    assert last_reported_lag(parts) == (7, 600.0)
    await parts.count(stamped(range(2, 4), NOW_S - 86_400))
    assert last_reported_lag(parts) == (5, 600.0)
    for offset in range(4, 7):
        await parts.count(stamped([offset], NOW_S - 59 * (offset - 3)))  # a step at a time does not help either
    assert last_reported_lag(parts)[1] <= 660.0


async def test_a_record_arrived_after_all_before_it_had_been_read() -> None:
    parts = Parts()
    parts.fake.kafka.ended = {PLACE: 5}
    await parts.count(posts(range(5)))
    parts.fake.now_s += 3600
    parts.synchronization.note_ends({PLACE: 5})
    parts.fake.kafka.ended = {PLACE: 9}
    parts.fake.now_s += 10
    await parts.count(stamped(range(5, 7), NOW_S - 86_400))
    assert last_reported_lag(parts) == (2, 10.0)


async def test_a_clock_that_was_ahead_does_not_hide_the_lag_once_it_is_set() -> None:
    parts = Parts()
    parts.fake.kafka.ended = {PLACE: 9}
    parts.fake.now_s = NOW_S + 86_400
    await parts.count(stamped(range(2), NOW_S + 86_400))
    parts.fake.now_s = NOW_S + 300
    await parts.count(posts(range(2, 4)))
    assert last_reported_lag(parts) == (5, 300.0)
