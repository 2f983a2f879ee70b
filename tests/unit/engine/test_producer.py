"""The producer and the size of what it writes: batches that fit, and what is done about a refusal."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from stream_app.engine.message_limits import MessageLimits
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.producer import BatchingProducer, RefusedSizeError
from stream_app.settings import Settings
from stream_app.settings.kinds import LEAST_MESSAGE_BYTES

Written = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes]]]


class Batch:
    """Takes any number of records."""

    def __init__(self) -> None:
        self.records: list[Written] = []

    def append(
        self, *, timestamp: None, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]
    ) -> object:
        assert timestamp is None
        self.records.append((key, value, headers))
        return self


class Broker:
    """Takes batches of up to `most` bytes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.logs: dict[tuple[str, int], list[Written]] = {}
        self.batches: list[int] = []
        self.stopped = 0
        self.gaps: set[int] = set()

    async def stop(self) -> None:
        self.stopped += 1
        self.gaps.clear()

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Any:
        assert partition not in self.gaps, "an idempotent producer may not go on after a refusal"
        size = sum(len(key or b"") + len(value or b"") for key, value, _ in batch.records)
        log = self.logs.setdefault((topic, partition), [])

        async def answer() -> Any:
            if size > self.most:
                self.gaps.add(partition)
                raise MessageSizeTooLargeError
            self.batches.append(size)
            log.extend(batch.records)
            return SimpleNamespace(offset=len(log) - len(batch.records))

        return answer()


def producing(broker: Broker, monkeypatch: pytest.MonkeyPatch, **limits: int) -> tuple[BatchingProducer, list[str]]:
    settings, hits = Settings(), list[str]()
    producer = BatchingProducer(
        settings, Lease(6.0), MessageLimits(settings.max_message_bytes, lambda: limits), hits.append
    )

    async def started(*, idempotent: bool) -> Any:
        assert idempotent
        return broker

    monkeypatch.setattr(producer, "_start", started)
    return producer, hits


def put(producer: BatchingProducer, count: int, size: int = 10_000, partition: int = 0) -> list[bytes]:
    keys = [b"%d" % number for number in range(count)]
    for key in keys:
        producer.put("t", partition, key, b"x" * size)
    return keys


async def test_no_batch_is_larger_than_the_topic_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(262_144)
    producer, hits = producing(broker, monkeypatch, t=262_144)
    keys = put(producer, 200)
    await producer.flush()
    assert [key for key, _, _ in broker.logs["t", 0]] == keys
    assert max(broker.batches) > 200_000
    assert (hits, broker.stopped) == ([], 0)


async def test_it_is_known_up_to_where_nobody_else_has_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was frozen for long may write in between."""
    broker = Broker(20_000)
    producer, _ = producing(broker, monkeypatch)
    put(producer, 50)
    put(producer, 50, partition=1)
    await producer.flush()
    assert producer.alone_until == {}, "nobody has read what was there before"
    producer.alone_until = {("t", 0): 50, ("t", 1): 50}
    put(producer, 50)
    await producer.flush()
    assert producer.alone_until == {("t", 0): 100, ("t", 1): 50}
    broker.logs["t", 0].append(broker.logs["t", 0][0])
    put(producer, 50)
    await producer.flush()
    assert producer.alone_until == {("t", 1): 50}
    put(producer, 50)
    await producer.flush()
    assert producer.alone_until == {("t", 1): 50}


async def test_a_batch_that_is_refused_is_written_in_halves_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is not known: this user may not describe the topic."""
    broker = Broker(100_000)
    producer, hits = producing(broker, monkeypatch)
    keys = put(producer, 200)
    others = put(producer, 5, partition=1)
    await producer.flush()
    assert [key for key, _, _ in broker.logs["t", 0]] == keys
    assert [key for key, _, _ in broker.logs["t", 1]] == others
    assert hits == ["broker_message_bytes"] * 4
    put(producer, 200)
    await producer.flush()
    assert len(hits) == 4, "it has learned how much the topic takes"


async def test_a_copy_that_is_refused_is_written_without_key_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(50_000)
    producer, hits = producing(broker, monkeypatch)
    producer.put("t", 0, b"a", b"1")
    producer.put("t", 0, b"b", b"x" * 60_000, (("why", b"2"),), lambda: [("why", b"bare")])
    producer.put("t", 0, b"c", b"3")
    await producer.flush()
    assert broker.logs["t", 0] == [(b"a", b"1", []), (None, None, [("why", b"bare")]), (b"c", b"3", [])]
    assert hits
    assert not producer.has_failed


async def test_a_record_of_the_state_that_is_refused_ends_all_writing_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer, _ = producing(Broker(LEAST_MESSAGE_BYTES), monkeypatch)
    producer.put("t", 0, b"curves/1/2", b"x" * 60_000)
    with pytest.raises(RefusedSizeError, match=r"t does not take a record of .* STREAM_APP_MAX_MESSAGE_BYTES"):
        await producer.flush()
    assert producer.has_failed
    assert "max.message.bytes" in producer.refusal


def test_the_limits_are_the_smallest_of_what_is_set_said_and_seen() -> None:
    known = {"small": 262_144, "large": 4_000_000, "tiny": 1_000}
    limits = MessageLimits(1_000_000, lambda: known)
    assert [limits.batch(topic) for topic in ("small", "large", "unknown", "tiny")] == [
        *(262_144, 1_000_000, 1_000_000, LEAST_MESSAGE_BYTES),
    ]
    assert limits.record("small") == 261_120
    limits.refused("large", 600_000)
    assert limits.batch("large") == 300_000


async def test_small_records_get_through_however_little_a_topic_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(1_000)
    producer, _ = producing(broker, monkeypatch, t=1_000)
    keys = put(producer, 100, size=400)
    await producer.flush()
    assert [key for key, _, _ in broker.logs["t", 0]] == keys
