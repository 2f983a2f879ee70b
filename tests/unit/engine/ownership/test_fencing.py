"""Fencing: the lease, and which writes are stopped without it."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from aiokafka.errors import KafkaError

from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.producer import BatchingProducer
from stream_app.kafka import topics
from stream_app.settings import Settings, load
from tests.servers.tracker import variables

SESSION_S = 6.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Acknowledged(NamedTuple):
    """As Kafka does it: where a batch begins."""

    offset: int


class Batch:
    """Takes any number of records."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def append(self, *, key: bytes, **_fields: Any) -> object:
        self.keys.append(key)
        return self


class Producer:
    """Acknowledges records only when the test resolves `acknowledged`."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.acknowledged: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, _topic: str, **_place: int) -> asyncio.Future[Any]:
        await asyncio.sleep(0)
        self.sent += batch.keys
        return self.acknowledged

    async def stop(self) -> None:
        pass


def sending(lease: Lease) -> tuple[BatchingProducer, Producer]:
    batching, producer = BatchingProducer(Settings(), lease), Producer()
    batching._producer = producer
    return batching, producer


async def passes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a condition of a fake
            await asyncio.sleep(0.01)


def test_a_lease_lapses_when_the_group_has_been_silent_for_a_session() -> None:
    clock = Clock()
    lease = Lease(SESSION_S, clock)
    clock.now_s += SESSION_S
    assert not lease.has_lapsed()
    clock.now_s += 0.1
    assert lease.has_lapsed()
    lease.renew(clock.now_s - 1)
    assert not lease.has_lapsed()


def test_an_older_answer_does_not_shorten_a_lease() -> None:
    clock = Clock()
    lease = Lease(SESSION_S, clock)
    lease.renew(clock.now_s - SESSION_S)
    clock.now_s += 1
    assert not lease.has_lapsed()


def test_a_member_that_was_given_up_has_no_lease_until_the_group_takes_it_again() -> None:
    clock = Clock()
    lease = Lease(SESSION_S, clock)
    lease.give_up()
    assert lease.has_lapsed()
    lease.renew(clock.now_s)
    assert not lease.has_lapsed()


async def test_nothing_is_sent_while_the_lease_has_lapsed() -> None:
    clock = Clock()
    lease = Lease(SESSION_S, clock)
    batching, producer = sending(lease)
    producer.acknowledged.set_result(Acknowledged(7))
    batching.put("flags", 0, b"a", b"1")
    clock.now_s += SESSION_S + 1
    flushing = asyncio.ensure_future(batching.flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (producer.sent, batching.is_owing) == ([], True)
    lease.renew(clock.now_s)
    await asyncio.wait_for(flushing, 5)
    assert (producer.sent, batching.is_owing) == ([b"a"], False)


async def test_a_flush_that_is_cancelled_sends_all_the_same() -> None:
    """A rebalance cancels whatever waits: what was taken up to be sent would be missing in the middle of the log."""
    batching, producer = sending(Lease(SESSION_S))
    batching.put("flags", 0, b"a", b"1")
    flushing = asyncio.ensure_future(batching.flush())
    await passes(lambda: producer.sent == [b"a"])
    flushing.cancel()
    batching.put("flags", 0, b"b", b"2")
    again = asyncio.ensure_future(batching.flush())
    producer.acknowledged.set_result(Acknowledged(7))
    await asyncio.wait_for(again, 5)
    assert flushing.cancelled()
    assert producer.sent == [b"a", b"b"]


async def test_a_write_that_kafka_does_not_take_ends_the_sending_even_when_nobody_waits_for_it() -> None:
    batching, producer = sending(Lease(SESSION_S))
    batching.put("flags", 0, b"a", b"1")
    flushing = asyncio.ensure_future(batching.flush())
    await passes(lambda: producer.sent == [b"a"])
    flushing.cancel()
    running = asyncio.ensure_future(batching.run())
    producer.acknowledged.set_exception(KafkaError("refused"))
    with pytest.raises(KafkaError, match="refused"):
        await asyncio.wait_for(running, 5)


async def test_after_a_write_that_kafka_did_not_take_nothing_counts_as_written() -> None:
    """A caller of an earlier or later flush would delete the records that the lost write was to replace."""
    batching, producer = sending(Lease(SESSION_S))
    batching.put("flags", 0, b"a", b"1")
    first = asyncio.ensure_future(batching.flush())
    await passes(lambda: producer.sent == [b"a"])
    second = asyncio.ensure_future(batching.flush())
    await asyncio.sleep(0)
    producer.acknowledged.set_exception(KafkaError("refused"))
    for flushing in (first, second, batching.flush(), batching.run()):
        with pytest.raises(KafkaError, match="refused"):
            await asyncio.wait_for(flushing, 5)


async def test_a_producer_that_tries_again_by_itself_asks_the_lease_before_every_try(brokers: str) -> None:
    """It was cut off with a batch that it had taken already: it must not write when it is back before others are."""
    clock = Clock()
    lease = Lease(SESSION_S, clock)
    settings = load(variables(brokers, "retried"))
    topics.create(settings)
    batching = BatchingProducer(settings, lease)
    batching.put(settings.flags_topic, 0, b"a", b"1")
    await batching.flush()
    producer = batching._producer
    batch = producer.create_batch()
    batch.append(timestamp=None, key=b"b", value=b"2")
    clock.now_s += SESSION_S + 1
    taken = await producer.send_batch(batch, settings.flags_topic, partition=0)
    await producer.partitions_for(settings.curves_topic)  # other requests are answered
    await asyncio.sleep(0.2)  # time in which it would have been written
    assert not taken.done()
    lease.renew(clock.now_s)
    written = await asyncio.wait_for(taken, 5)
    assert written.offset == 1
    await producer.stop()
