"""The records that a shortened or shared letter is about, read again from the topic they came from."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kafka import TopicPartition

from stream_app.core.events.dead_letter import DeadLetter
from stream_app.kafka.topic_scan import Span, read, spans

Origins = Callable[[DeadLetter], Iterable[Any]]
"""The records that Kafka still has of those a letter is about, as a consumer reads them."""


def origins_in(consumer: Any) -> Origins:
    """Read origins through `consumer`, which nobody else uses meanwhile."""
    held: dict[TopicPartition, Span] = {}

    def records_of(letter: DeadLetter) -> Iterator[Any]:
        place = TopicPartition(letter.origin.topic, letter.origin.partition)
        if place not in held:
            exists = letter.origin.partition in (consumer.partitions_for_topic(letter.origin.topic) or ())
            held[place] = spans(consumer, [place])[place] if exists else Span(0, 0)
        start, end = held[place]
        for first, last in runs_of(letter):
            span = Span(max(first, start), min(last + 1, end))
            if span.start < span.end:
                yield from read(consumer, {place: span})

    return records_of


def runs_of(letter: DeadLetter) -> list[tuple[int, int]]:
    """Return the first and last offset of each run of records that a letter is about."""
    return letter.shared.ranges if letter.shared is not None else [(letter.origin.offset, letter.origin.offset)]
