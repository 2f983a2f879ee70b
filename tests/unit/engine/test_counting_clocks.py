"""A worker whose clock is wrong: good events are not set aside, whatever is ahead of all clocks is."""

from unittest.mock import patch

from stream_app.engine.counting import batch_counter
from tests.unit.engine.fakes import NOW_MS, PARTITION, record, user_of
from tests.unit.engine.parts import Parts
from tests.unit.engine.test_counting import DEAD, POSTS, counters, event

HOUR_MS = 3_600_000
USER = user_of(PARTITION)


def batch(first: int, ts_ms: int, size: int = 5) -> list[object]:
    values = [event(event_id=f"e{first + n}", ts=ts_ms) for n in range(size)]
    return [record(first + n, value, USER.encode()) for n, value in enumerate(values)]


async def test_events_wait_while_the_workers_clock_is_behind_and_are_counted_once_it_is_set() -> None:
    parts = Parts()
    clocks = parts.fake.context.clocks
    clocks.broker_ahead_s = 3600.0
    with patch.object(batch_counter, "_CLOCK_WAIT_S", 0.0):
        await parts.count(batch(0, NOW_MS + HOUR_MS))
    assert parts.fake.producer.of(DEAD) == []
    assert counters(parts) == (0, 0, 0, 0)
    assert parts.ledger.source(POSTS).position == 0
    clocks.broker_ahead_s = 0.1  # a second later, the fake clock stands still: the events are an hour ahead of all now
    await parts.count(batch(0, NOW_MS))
    assert counters(parts) == (5, 0, 0, 0)


async def test_what_is_ahead_of_all_clocks_is_set_aside_although_the_workers_clock_is_behind() -> None:
    parts = Parts()
    parts.fake.context.clocks.broker_ahead_s = 3600.0
    await parts.count([*batch(0, NOW_MS + 3 * HOUR_MS), *batch(5, NOW_MS)])
    assert len(parts.fake.producer.of(DEAD)) == 5
    assert counters(parts) == (5, 0, 0, 5)
