"""The plan of a migration: what is there, what will be copied, and why a migration is refused."""

from collections.abc import Iterator
from time import time
from typing import Any, NamedTuple

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from stream_app.core.state.watermark import NO_TIME
from stream_app.kafka.clients import KafkaOperationError, open_admin, open_consumer
from stream_app.kafka.consumer_group import group
from stream_app.kafka.topic_scan import Span, partitions_of, read, spans
from stream_app.kafka.topics import TopicSpec, create_needed, needed_topics_of
from stream_app.ops.migrate.published_curves import PublishedCurves
from stream_app.ops.migrate.target import target_of
from stream_app.settings import Settings

_SAMPLE = 200
"""Records of each partition whose size is looked at."""
_RECORD_OVERHEAD_BYTES = 64
"""Of Kafka and of the header that names the origin."""


class MigrationPlan(NamedTuple):
    """What a migration starts from."""

    before: Settings
    after: Settings
    inputs: dict[TopicPartition, Span]
    workers: int
    """Members of the old group: while there are any, the inputs are copied, but nothing is switched."""
    bytes_per_record: float
    newest_ms: int
    """The event time that the old tracker has reached, epoch ms."""

    @property
    def records(self) -> int:
        """Records in the inputs, at most."""
        return sum(span.end - span.start for span in self.inputs.values())

    @property
    def bytes_needed(self) -> int:
        """Estimate of the disk that the copy takes on all brokers together, without compression."""
        return round(self.records * self.bytes_per_record * max(self.before.replication, 1))

    @property
    def is_complete(self) -> bool:
        """Whether the inputs still have their first record: then all counters can be compared."""
        return all(span.start == 0 for span in self.inputs.values())


def migration_plan(settings: Settings, partitions: int) -> MigrationPlan:
    """Look at everything; changes nothing. Raises KafkaOperationError where a migration cannot work."""
    if partitions == settings.partitions:
        raise KafkaOperationError(f"the topics have {partitions} partitions already: name another number")
    if settings.partitioner != "murmur2":
        raise KafkaOperationError(
            "STREAM_APP_PARTITIONER is any: where the producers place a user is not known, so the copy cannot do it "
            "alike; have the producers use murmur2, or write to new topics and start with `stream-app reset`"
        )
    with open_admin(settings) as admin, open_consumer(settings) as consumer:
        inputs = spans(consumer, partitions_of(consumer, settings.source_topics))
        for topic in settings.source_topics:
            if (found := sum(place.topic == topic for place in inputs)) != settings.partitions:
                raise KafkaOperationError(
                    f"{topic} has {found} partitions and STREAM_APP_PARTITIONS is {settings.partitions}: "
                    "run this with the settings of the tracker as it is"
                )
        curves = PublishedCurves(settings, consumer)
        curves.refresh()
        latest_ms = round((time() + settings.max_ahead_s) * 1000)  # workers take no time further ahead of the clock
        _require_retention(settings, admin, consumer, inputs, min(curves.newest_ms, latest_ms))
        return MigrationPlan(
            before=settings,
            after=target_of(settings, partitions),
            inputs=inputs,
            workers=group(settings, admin).members,
            bytes_per_record=_bytes_per_record(consumer, inputs),
            newest_ms=curves.newest_ms,
        )


def create_target_topics(plan: MigrationPlan) -> list[str]:
    """Create the new topics as the old ones are: replication and configuration. Raises KafkaOperationError."""
    pairs = list(zip(needed_topics_of(plan.before), needed_topics_of(plan.after), strict=True))
    with open_admin(plan.before) as admin:
        there = set(admin.list_topics())
        new = [(old, spec) for old, spec in pairs if spec.name not in there]
        if new:
            wanted = dict(_like(admin, new, plan.before.replication))
            admin.create_topics(wanted)
    problems = [f"{found.topic.name}: {found.problem}" for found in create_needed(plan.after) if found.problem]
    if problems:
        raise KafkaOperationError("; ".join(problems))
    return [spec.name for _, spec in new]


def _like(admin: Any, pairs: list[tuple[TopicSpec, TopicSpec]], replication: int) -> Iterator[tuple[str, Any]]:
    names = [old.name for old, _ in pairs]
    replicas = {
        topic["name"]: len(topic["partitions"][0]["replica_nodes"])
        for topic in admin.describe_topics(names)
        if not topic["error_code"]
    }
    configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in replicas])
    for old, spec in pairs:
        entries = (configs.get("topic", {}).get(old.name) or {}).items()
        kept = {name: entry["value"] for name, entry in entries if entry["value"] is not None}
        yield (
            spec.name,
            {
                "num_partitions": spec.partitions,
                "replication_factor": replicas.get(old.name, replication),
                "configs": {**kept, **spec.config},
            },
        )


def _require_retention(
    settings: Settings, admin: Any, consumer: Any, inputs: dict[TopicPartition, Span], newest_ms: int
) -> None:
    window_ms = settings.pane_ms * settings.panes
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in settings.source_topics]
    for topic, entries in admin.describe_configs(resources).get("topic", {}).items():
        kept_ms = int(((entries or {}).get("retention.ms") or {}).get("value") or -1)
        if 0 <= kept_ms < window_ms:
            raise KafkaOperationError(
                f"{topic} keeps records for {kept_ms / 3_600_000:g} h, less than the window of "
                f"{window_ms / 3_600_000:g} h: a copy would lack events that are counted now. "
                "Set its retention.ms higher, and migrate when a whole window is kept"
            )
    begun = {place: Span(span.start, span.start + 1) for place, span in inputs.items() if 0 < span.start < span.end}
    oldest_ms = max((record.timestamp for record in read(consumer, begun)), default=NO_TIME)
    start_ms = (newest_ms // settings.pane_ms + 1) * settings.pane_ms - window_ms
    if newest_ms > NO_TIME and oldest_ms > start_ms:
        raise KafkaOperationError(
            "Kafka no longer has all records of the window: the oldest one of a partition came "
            f"{(oldest_ms - start_ms) / 3_600_000:.1f} h after the window begins. A copy would lack events that are "
            "counted now; keep records for longer (retention.ms), and migrate when a whole window is kept"
        )


def _bytes_per_record(consumer: Any, inputs: dict[TopicPartition, Span]) -> float:
    sample = {place: Span(span.start, min(span.end, span.start + _SAMPLE)) for place, span in inputs.items()}
    sizes = [len(record.key or b"") + len(record.value or b"") for record in read(consumer, sample)]
    return sum(sizes) / len(sizes) + _RECORD_OVERHEAD_BYTES if sizes else 0.0


def not_settled(settings: Settings, consumer: Any, curves: PublishedCurves) -> str:
    """Why the old tracker's counts are not final yet; empty where they are. Raises KafkaOperationError."""
    behind = curves.unread(spans(consumer, partitions_of(consumer, settings.source_topics)))
    if any(True for _ in read(consumer, behind)):
        return "the workers have stopped before everything was counted: start them until there is no lag"
    if len(curves.statuses) != settings.partitions or len({known.horizon for known in curves.statuses.values()}) > 1:
        return "the last round of the workers is not published: start them for some seconds"
    return ""
