"""Where partitions end is what a fetch says, however long that takes: a copy up to an earlier end would lose events."""

from typing import Any
from unittest.mock import patch

import pytest
from kafka import TopicPartition

from stream_app.kafka import topic_scan
from stream_app.kafka.clients import KafkaOperationError
from stream_app.kafka.topic_scan import Span, spans

FIRST, SECOND = TopicPartition("t", 0), TopicPartition("t", 1)


class SlowConsumer:
    """A busy machine: the broker's answer about ends is short by a batch, and fetches take a while to say so."""

    def __init__(self, polls: int) -> None:
        self.clock_s = 0.0
        self._polls = polls
        self._known: dict[TopicPartition, int] = {}

    def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 4_000)

    def poll(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        self.clock_s += timeout_ms / 1000
        self._polls -= 1
        if not self._polls:
            self._known = {FIRST: 4_899, SECOND: 4_000}
        return {}

    def highwater(self, place: TopicPartition) -> int | None:
        return self._known.get(place)

    def seek(self, place: TopicPartition, offset: int) -> None: ...
    def assign(self, places: list[TopicPartition]) -> None: ...
    def unsubscribe(self) -> None: ...


def spans_of(consumer: SlowConsumer) -> dict[TopicPartition, Span]:
    with patch("stream_app.until.monotonic", lambda: consumer.clock_s):
        return spans(consumer, [FIRST, SECOND])


def test_the_end_is_that_of_a_fetch_also_if_it_comes_late() -> None:
    assert spans_of(SlowConsumer(polls=200)) == {FIRST: Span(0, 4_899), SECOND: Span(0, 4_000)}


def test_an_end_that_no_fetch_confirms_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(KafkaOperationError, match="t-0 and t-1"):
        spans_of(SlowConsumer(polls=10**9))


def test_no_partitions_have_no_spans() -> None:
    assert topic_scan.spans(None, []) == {}
