"""Merging partitions by time: every record once, each partition in its order, and in the order of time."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition

from stream_app.kafka.clients import KafkaOperationError
from stream_app.kafka.topic_scan import Span
from stream_app.ops.migrate import time_merge
from stream_app.ops.migrate.time_merge import merged


class Record(NamedTuple):
    """What the merge looks at."""

    partition: int
    offset: int
    timestamp: int


class Consumer:
    """Returns at most `batch` records of an assigned partition a poll; offsets of `gaps` hold none."""

    def __init__(self, logs: dict[TopicPartition, list[Record]], batch: int) -> None:
        self.logs, self._batch = logs, batch
        self._at: dict[TopicPartition, int] = {}

    def assign(self, places: list[TopicPartition]) -> None:
        self._at = dict.fromkeys(places, 0)

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._at[place] = offset

    def position(self, place: TopicPartition) -> int:
        return self._at[place]

    def poll(self, **_: Any) -> dict[TopicPartition, list[Record]]:
        found = {}
        for place in self._at:
            left = [record for record in self.logs[place] if record.offset >= self._at[place]]
            if taken := left[: self._batch]:
                found[place] = taken
                self._at[place] = taken[-1].offset + 1 if len(taken) < len(left) else taken[-1].offset + 3
        return found


LOGS = st.lists(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=20), min_size=1, max_size=4)


@given(LOGS, st.integers(1, 5), st.booleans())
def test_every_record_once_and_the_oldest_first(made: list[list[tuple[int, bool]]], batch: int, in_order: bool) -> None:
    logs = {}
    for number, entries in enumerate(made):
        times = [time for time, _ in entries]
        kept = [is_there for _, is_there in entries]
        times = sorted(times) if in_order else times
        logs[TopicPartition("posts", number)] = [
            Record(number, offset, time) for offset, (time, there) in enumerate(zip(times, kept, strict=True)) if there
        ]
    spans = {place: Span(0, (log[-1].offset + 2 if log else 0)) for place, log in logs.items()}
    found = list(merged(Consumer(logs, batch), spans))
    assert sorted(found) == sorted(record for log in logs.values() for record in log)
    for place, log in logs.items():
        assert [record for record in found if record.partition == place.partition] == log
    if in_order:
        assert [record.timestamp for record in found] == sorted(record.timestamp for record in found)


def test_only_what_is_in_the_span_is_read() -> None:
    place = TopicPartition("posts", 0)
    log = [Record(0, offset, offset) for offset in range(10)]
    assert [record.offset for record in merged(Consumer({place: log}, 4), {place: Span(3, 7)})] == [3, 4, 5, 6]


def test_a_broker_that_sends_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_merge, "_PATIENCE_S", 0.0)
    place = TopicPartition("posts", 0)
    with pytest.raises(KafkaOperationError, match="Kafka has stopped sending posts"):
        list(merged(Consumer({place: []}, 4), {place: Span(0, 7)}))
