"""The last step of a migration: standings, which are not computed again, and the watermark of a source."""

from collections.abc import Callable
from typing import Any

import msgspec

from stream_app.core.changelog.standing_records import names_in
from stream_app.core.events.murmur2 import partitions_of as places_of
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.kafka.clients import KafkaOperationError, open_consumer, open_producer
from stream_app.kafka.topic_scan import partitions_of, read, spans
from stream_app.ops.migrate.migration_plan import MigrationPlan
from stream_app.ops.migrate.published_curves import WATERMARK_KEY, PublishedCurves

_ACK_S = 60.0
_IN_FLIGHT = 10_000

PartitionOf = Callable[[str], int]


def copy_watermark(plan: MigrationPlan) -> None:
    """Have the new window end where a source said that event time has come to. Raises KafkaOperationError."""
    with open_consumer(plan.before) as consumer, open_producer(plan.after) as producer:
        curves = PublishedCurves(plan.before, consumer)
        curves.refresh()
        if curves.watermark is not None:
            producer.send(plan.after.curves_topic, curves.watermark, WATERMARK_KEY, partition=0).get(_ACK_S)


def copy_standings(plan: MigrationPlan) -> int:
    """Make the new standings equal to the old ones; returns how many there are. Can be repeated.

    Raises KafkaOperationError.
    """
    with open_consumer(plan.before) as consumer, open_producer(plan.after) as producer:
        old = {key: value for key, (_, value) in _newest(consumer, plan.before.standings_topic).items()}
        known = _newest(consumer, plan.after.standings_topic)
        partition_of = _partition_of(plan, consumer)
        sent = []
        for key, value in old.items():
            place = partition_of(_user_in(key, plan.before.standings_topic))
            if known.get(key) != (place, value):
                sent.append(producer.send(plan.after.standings_topic, value, key, partition=place))
        sent += [
            producer.send(plan.after.standings_topic, None, key, partition=place)
            for key, (place, _) in known.items()
            if key not in old
        ]
        producer.flush(_ACK_S)
        for record in sent:
            record.get(_ACK_S)
    return len(old)


def _newest(consumer: Any, topic: str) -> dict[bytes, tuple[int, bytes]]:
    """By key: the partition and the last value, without those that were deleted."""
    found: dict[bytes, tuple[int, bytes]] = {}
    for record in read(consumer, spans(consumer, partitions_of(consumer, [topic]))):
        if record.key is None:
            continue
        if record.value is None:
            found.pop(record.key, None)
        else:
            found[record.key] = (record.partition, record.value)
    return found


def _user_in(key: bytes, topic: str) -> str:
    try:
        return names_in(key)[0]
    except msgspec.DecodeError as error:
        raise KafkaOperationError(f"{topic} has a key that is no standing's, {key!r}: delete it first") from error


def _partition_of(plan: MigrationPlan, consumer: Any) -> PartitionOf:
    """Where a user of a standing is. Under pseudonyms that follows from the keys of the inputs."""
    partitions = plan.after.partitions
    if not plan.before.pseudonyms:
        return lambda user: int(places_of([user.encode()], partitions)[0])
    pseudonym = PersonHashes(plan.before.person_key.reveal()).pseudonym
    inputs = spans(consumer, partitions_of(consumer, plan.after.source_topics))
    keys = {(record.key, record.partition) for record in read(consumer, inputs) if record.key}
    places = {pseudonym(key.decode(errors="replace")): partition for key, partition in keys}
    return lambda user: places.get(user, 0)
