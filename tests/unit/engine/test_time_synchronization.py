"""Events in order are not late because another source was read first: a window asks before it moves far."""

import asyncio
from collections.abc import Iterable, Mapping

import pytest
from aiokafka.errors import KafkaConnectionError

from stream_app.engine import time_synchronization
from stream_app.kafka.records import Partition
from tests.unit.engine.fakes import NOW_MS, PARTITION, post
from tests.unit.engine.parts import Parts

POSTS, SHARES = "influence.posts", "influence.shares"
HOUR_MS = 3_600_000
LONG_AGO_MS = NOW_MS - 500 * HOUR_MS


class Kafka:
    """Says where sources end when it is asked; what was fetched last says that everything is read."""

    def __init__(self, parts: Parts, ends: Mapping[str, int]) -> None:
        self._ends = ends
        self.asked: list[Partition] = []
        parts.fake.kafka.ends = self.ends  # type: ignore[method-assign]  # in its place

    async def ends(self, tps: Iterable[Partition]) -> Mapping[Partition, int]:
        """Where they end."""
        self.asked += tps
        return {tp: self._ends.get(tp.topic, 0) for tp in tps}


def window_of(hours: int) -> Parts:
    return Parts(window_s=hours * 3600.0, pane_s=3600.0, short_s=7200.0)


async def test_a_topic_is_not_late_although_another_was_counted_first_far_ahead_of_it() -> None:
    """A producer that makes up for an outage has appended two days of both since something was fetched."""
    parts = window_of(24)
    await parts.count([post(0, ts_ms=LONG_AGO_MS), post(1, ts_ms=LONG_AGO_MS, topic=SHARES)])
    Kafka(parts, {POSTS: 9, SHARES: 9})
    await parts.count([post(2, ts_ms=LONG_AGO_MS + 48 * HOUR_MS, topic=SHARES)])
    await parts.count([post(1, ts_ms=LONG_AGO_MS + HOUR_MS)])
    assert (parts.ledger.source(POSTS).applied, parts.ledger.source(POSTS).late) == (2, 0)


async def test_a_partition_is_not_late_although_the_others_are_far_ahead_of_it() -> None:
    parts = window_of(24)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    Kafka(parts, {POSTS: 9})
    parts.exchange.update(b"watermark", str(NOW_MS).encode())
    await parts.round()
    await parts.count([post(1, ts_ms=LONG_AGO_MS + HOUR_MS)])
    assert (parts.ledger.source(POSTS).applied, parts.ledger.source(POSTS).late) == (2, 0)


async def test_a_window_moves_on_with_the_newest_event_if_nothing_more_is_to_be_read() -> None:
    parts = window_of(24)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    Kafka(parts, {POSTS: 1})
    parts.exchange.update(b"watermark", str(NOW_MS).encode())
    await parts.round()
    assert parts.ledger.horizon == NOW_MS
    assert parts.ledger.lagging == set()


async def test_kafka_is_asked_once_for_a_part_of_the_window_and_not_for_every_batch() -> None:
    parts = window_of(24)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    kafka = Kafka(parts, {})
    for number in range(48 * 4):
        await parts.count([post(number + 1, ts_ms=LONG_AGO_MS + number * HOUR_MS // 4)])
    assert {tp.topic for tp in kafka.asked} == {SHARES}
    assert 12 <= len(kafka.asked) <= 20


@pytest.mark.parametrize("why", ["refused", "no answer"])
async def test_without_an_answer_counting_goes_on_and_the_next_batch_asks_again(
    why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_synchronization, "_PATIENCE_S", 0.01)
    parts = window_of(24)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    asked: list[Partition] = []

    async def ends(tps: Iterable[Partition]) -> Mapping[Partition, int]:
        asked.extend(tps)
        if why == "refused":
            raise KafkaConnectionError
        await asyncio.Event().wait()
        raise AssertionError

    parts.fake.kafka.ends = ends  # type: ignore[method-assign]  # in its place
    for offset, hours in ((1, 10), (2, 20)):
        await parts.count([post(offset, ts_ms=LONG_AGO_MS + hours * HOUR_MS)])
    assert asked.count(Partition(SHARES, PARTITION)) == 2
    assert parts.ledger.source(POSTS).applied == 3
    assert parts.ledger.horizon == LONG_AGO_MS + 20 * HOUR_MS
