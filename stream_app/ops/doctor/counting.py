"""Check of the counting: whether workers run, how far they have counted, and whether that fits the topics."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kafka import TopicPartition

from stream_app.core.state.watermark import Source
from stream_app.findings import Finding, ok, problem, warning
from stream_app.kafka.consumer_group import committed, group
from stream_app.kafka.topic_scan import Span, partitions_of, spans
from stream_app.ops.doctor.curves_topic import read_curves_topic
from stream_app.ops.doctor.group import event_time, workers
from stream_app.settings import Settings

_RESET = "`stream-app reset` starts counting again"
_MUCH_BATCHES = 10
_SHOWN = 8
_NO_ID = "00000000-0000-0000-0000-000000000000"


class SourcePartition(NamedTuple):
    """How far a partition of an input topic has been counted."""

    partition: TopicPartition
    span: Span
    committed: int | None
    source: Source | None
    """By the ledger, which decides; None where no worker has written a status."""

    @property
    def position(self) -> int:
        """The next offset to count."""
        return self.source.position if self.source else self.committed or 0

    @property
    def lag(self) -> int:
        """Records not counted yet."""
        return max(self.span.end - max(self.position, self.span.start), 0)


def counting(settings: Settings, admin: Any, consumer: Any) -> Iterator[Finding]:
    """The group, the lag, and the positions."""
    members, state = group(settings, admin)
    if members:
        count = "1 worker" if members == 1 else f"{members} workers"
        yield ok("counting", f"group {settings.app_id}: {count}, {state}")
    else:
        yield warning("counting", f"group {settings.app_id} has no members", "start one: `stream-app worker`")
    curves = read_curves_topic(settings, consumer)
    if curves.unreadable:
        advice = f"same release? else {_RESET}"
        yield problem("counting", f"{settings.curves_topic} cannot be read: {curves.unreadable}", advice)
    if members:
        yield from workers(settings, curves, members)
    yield from event_time(settings, curves)
    sources = {
        (topic, partition): source
        for partition, known in curves.statuses.items()
        for topic, source in known.sources.items()
    }
    inputs = spans(consumer, partitions_of(consumer, settings.source_topics))
    offsets = committed(settings, admin)
    places = [
        SourcePartition(partition, span, offsets.get(partition), sources.get((partition.topic, partition.partition)))
        for partition, span in inputs.items()
    ]
    yield from _lag(settings, places, members)
    described = admin.describe_topics(list(settings.source_topics))
    yield from _positions(places, {topic["name"]: str(topic["topic_id"]) for topic in described})


def _lag(settings: Settings, places: list[SourcePartition], members: int) -> Iterator[Finding]:
    total = sum(place.lag for place in places)
    behind = sorted((place for place in places if place.lag), key=lambda place: -place.lag)
    named = ", ".join(f"{_name(place)} {place.lag:,}" for place in behind[:_SHOWN])
    more = f" and {len(behind) - _SHOWN} more" if len(behind) > _SHOWN else ""
    what = f"{total:,} records not counted yet: {named}{more}" if behind else "no lag: all records are counted"
    if total and not members:
        yield problem("counting", what, "no worker counts them: start `stream-app worker`")
    elif total > _MUCH_BATCHES * settings.batch_events:
        yield warning("counting", what, "look again in a minute; if it grows, start more workers, or read their logs")
    else:
        yield ok("counting", what)


def _positions(places: list[SourcePartition], ids: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the topics hold the records that were counted; `ids` of the topics by name."""
    known = [place for place in places if place.source]
    other = [place for place in known if _is_other(place, ids) or place.position > place.span.end]
    gone = [place for place in known if place.position < place.span.start]
    if other:
        what = ", ".join(f"{_name(place)} to {place.position:,} of {place.span.end:,}" for place in other[:_SHOWN])
        advice = f"the topic was deleted and created again; workers refuse to count it: {_RESET}"
        yield problem("counting", f"other records were counted than there are now: {what}", advice)
    elif gone:
        lost = sum(place.span.start - place.position for place in gone)
        what = f"{lost:,} records are gone uncounted (retention): {', '.join(_name(place) for place in gone[:_SHOWN])}"
        yield warning("counting", what, "keep records longer than workers may be away: retention.ms of the topic")
    elif known:
        most = max(abs((place.committed or 0) - place.position) for place in known)
        yield ok("counting", f"committed offsets and ledgers are at most {most:,} records apart; the ledgers decide")


def _is_other(place: SourcePartition, ids: Mapping[str, str]) -> bool:
    """Whether the topic is not the one that was counted, as far as both are known by an id."""
    both = {place.source.topic_id if place.source else "", ids.get(place.partition.topic, "")}
    return len(both) == 2 and not both & {"", _NO_ID}


def _name(place: SourcePartition) -> str:
    return f"{place.partition.topic}-{place.partition.partition}"
