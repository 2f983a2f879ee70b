"""Examining the counting: whether workers are there, how far they have come, and whether that fits the topics."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kafka import TopicPartition

from stream_app.core import status
from stream_app.core.columns import FormatError
from stream_app.operating.findings import Finding, ok, problem, warning
from stream_app.operating.group import committed, group
from stream_app.operating.reading import Span, partitions_of, read, spans
from stream_app.settings import Settings

_RESET = "`stream-app reset` starts anew"
_MUCH_BATCHES = 10
_SHOWN = 8


class Place(NamedTuple):
    """How far a partition of an input topic has been counted."""

    partition: TopicPartition
    span: Span
    committed: int | None
    position: int | None
    """By the ledger, which decides; None where no worker has told."""

    @property
    def lag(self) -> int:
        """Records still to be counted."""
        known = self.position if self.position is not None else self.committed
        return max(self.span.end - max(known or 0, self.span.start), 0)


def counting(settings: Settings, admin: Any, consumer: Any) -> Iterator[Finding]:
    """The group, the lag, and the positions."""
    members, state = group(settings, admin)
    if members:
        workers = "1 worker" if members == 1 else f"{members} workers"
        yield ok("counting", f"group {settings.app_id}: {workers}, {state}")
    else:
        yield warning("counting", f"group {settings.app_id} has no members", "start one: `stream-app worker`")
    positions, strange = _told(settings, consumer)
    if strange:
        yield problem("counting", f"{settings.curves_topic} cannot be read: {strange}", f"same release? else {_RESET}")
    inputs = spans(consumer, partitions_of(consumer, settings.input_topics))
    offsets = committed(settings, admin)
    places = [
        Place(partition, span, offsets.get(partition), positions.get((partition.topic, partition.partition)))
        for partition, span in inputs.items()
    ]
    yield from _lag(settings, places, members)
    yield from _positions(places)


def _told(settings: Settings, consumer: Any) -> tuple[Mapping[tuple[str, int], int], str]:
    """The positions that the workers have told, by topic and partition; and what could not be read."""
    told: dict[int, status.Status] = {}
    strange = ""
    for record in read(consumer, spans(consumer, partitions_of(consumer, [settings.curves_topic]))):
        if (record.key or b"").startswith(b"status/"):
            try:
                known = status.decode(record.value or b"")
                told[known.partition] = known
            except FormatError as error:
                strange = str(error)
    positions = {
        (topic, partition): source.position
        for partition, known in told.items()
        for topic, source in known.sources.items()
    }
    return positions, strange


def _lag(settings: Settings, places: list[Place], members: int) -> Iterator[Finding]:
    total = sum(place.lag for place in places)
    behind = sorted((place for place in places if place.lag), key=lambda place: -place.lag)
    named = ", ".join(f"{_name(place)} {place.lag:,}" for place in behind[:_SHOWN])
    more = f" and {len(behind) - _SHOWN} more" if len(behind) > _SHOWN else ""
    what = f"{total:,} records not counted yet: {named}{more}" if behind else "no lag: all records are counted"
    if total and not members:
        yield problem("counting", what, "nobody counts them: start `stream-app worker`")
    elif total > _MUCH_BATCHES * settings.batch_events:
        yield warning("counting", what, "look again in a minute; if it grows, start more workers, or see their log")
    else:
        yield ok("counting", what)


def _positions(places: list[Place]) -> Iterator[Finding]:
    """Whether what was counted is what the topics hold."""
    beyond = [place for place in places if (place.position or 0) > place.span.end]
    gone = [place for place in places if place.position is not None and place.position < place.span.start]
    if beyond:
        what = ", ".join(f"{_name(place)} to {place.position:,} of {place.span.end:,}" for place in beyond[:_SHOWN])
        advice = f"the topic was deleted and made again, and nothing new in it will be counted: {_RESET}"
        yield problem("counting", f"counted beyond the end: {what}", advice)
    if gone:
        lost = sum(place.span.start - (place.position or 0) for place in gone)
        what = f"{lost:,} records are gone uncounted (retention): {', '.join(_name(place) for place in gone[:_SHOWN])}"
        yield warning("counting", what, "keep records longer than workers may be away: retention.ms of the topic")
    both = [place for place in places if place.position is not None and place.committed is not None]
    if both and not beyond:
        most = max(abs((place.committed or 0) - (place.position or 0)) for place in both)
        yield ok("counting", f"committed offsets and ledgers are at most {most:,} records apart; the ledgers decide")


def _name(place: Place) -> str:
    return f"{place.partition.topic}-{place.partition.partition}"
