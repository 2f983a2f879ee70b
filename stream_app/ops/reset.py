"""Reset: recreates the topics with the tracker's state, deletes the group's offsets, and sets where counting starts."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from operator import not_
from typing import Any, Literal, NamedTuple

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.state.ledger import Ledger
from stream_app.kafka.clients import KafkaOperationError, open_admin, open_consumer, open_producer
from stream_app.kafka.consumer_group import committed, group
from stream_app.kafka.topic_scan import partitions_of, spans
from stream_app.kafka.topics import (
    TopicSpec,
    changelogs_of,
    create_needed,
    needed_topics_of,
    state_topics_of,
    topics_of,
)
from stream_app.settings import Settings
from stream_app.until import until

Positions = Literal["earliest", "latest"]

_DELETED_WITHIN_S = 20.0
_SENT_WITHIN_S = 30.0


class TopicToReset(NamedTuple):
    """A topic that is deleted and created again, with the replication and configuration that it had."""

    topic: TopicSpec
    exists: bool
    records: int
    """At most: compaction leaves gaps."""
    replication: int
    config: dict[str, str]


class ResetPlan(NamedTuple):
    """Everything that a reset changes."""

    topics: list[TopicToReset]
    offsets: int
    """Committed offsets of the group."""
    starts: dict[TopicPartition, int]
    """The offset where counting starts, of the partitions where it is not the oldest record."""


def plan(settings: Settings, positions: Positions, *, outputs: bool) -> ResetPlan:
    """Plan a reset; changes nothing. Raises KafkaOperationError, also while workers are running."""
    state = {topic.name for topic in state_topics_of(settings)}
    targets = [
        topic
        for topic in topics_of(settings)
        if topic.name in state or (outputs and topic.name not in {*settings.source_topics, settings.erasures_topic})
    ]
    with open_admin(settings) as admin, open_consumer(settings) as reader:
        _require_no_workers(settings, admin)
        _require_partitions(settings, reader, {topic.name for topic in targets})
        inputs = partitions_of(reader, settings.source_topics)
        starts = spans(reader, inputs) if positions == "latest" else {}
        described = list(_described(settings, admin, reader, targets))
        return ResetPlan(
            topics=[found for found in described if found.exists or not found.topic.is_optional],
            offsets=len(committed(settings, admin)),
            starts={partition: span.end for partition, span in starts.items() if span.end},
        )


def carry_out(settings: Settings, planned: ResetPlan) -> Iterator[str]:
    """Carry out the plan; yields each step that is done. Raises KafkaOperationError, after which it can be repeated."""
    with open_admin(settings) as admin:
        _require_no_workers(settings, admin)
        outcome = admin.delete_groups([settings.app_id])[settings.app_id]
        if outcome not in {"OK", "GroupIdNotFoundError"}:
            raise KafkaOperationError(
                f"Kafka does not delete the group {settings.app_id}: {outcome}; stop the workers first"
            )
        yield f"deleted the committed offsets of the group {settings.app_id}"
        _delete(admin, [target.topic.name for target in planned.topics if target.exists])
        _create(admin, planned.topics)
    wrong = [f"{found.topic.name}: {found.problem}" for found in create_needed(settings) if found.problem]
    if wrong:
        raise KafkaOperationError("; ".join(wrong))
    for target in planned.topics:
        name = target.topic.name
        yield f"deleted {name} and created it again" if target.exists else f"created {name}"
    if planned.starts:
        _write_starts(settings, planned.starts)
        yield "recorded the ends of the input topics as the place where counting starts"


def _require_no_workers(settings: Settings, admin: Any) -> None:
    if members := group(settings, admin).members:
        count = "1 worker is" if members == 1 else f"{members} workers are"
        raise KafkaOperationError(
            f"{count} running in the group {settings.app_id} and would write to the topics that are deleted: "
            f"stop them first; one that was killed counts until its session is over ({settings.session_timeout_s:g} s)"
        )


def _require_partitions(settings: Settings, reader: Any, deleted: set[str]) -> None:
    """The topics that stay must have the partitions that workers require."""
    for topic in needed_topics_of(settings):
        count = len(partitions_of(reader, [topic.name]))
        if topic.name not in deleted and count not in {0, topic.partitions}:
            is_input = topic.name in settings.source_topics
            advice = f"set it to {count}" if is_input else "add --outputs, which creates it again"
            raise KafkaOperationError(
                f"{topic.name} has {count} partitions and STREAM_APP_PARTITIONS is {settings.partitions}: {advice}"
            )


def _described(settings: Settings, admin: Any, reader: Any, topics: list[TopicSpec]) -> Iterator[TopicToReset]:
    names = [topic.name for topic in topics]
    held = {topic["name"]: topic for topic in admin.describe_topics(names) if not topic["error_code"]}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in held]
    configs = admin.describe_configs(resources).get("topic", {}) if resources else {}
    ranges = spans(reader, partitions_of(reader, held))
    for topic in topics:
        found = held.get(topic.name)
        entries = configs.get(topic.name, {}).items()
        kept = {name: entry["value"] for name, entry in entries if entry["value"] is not None}
        yield TopicToReset(
            topic=topic,
            exists=found is not None,
            records=sum(span.end - span.start for part, span in ranges.items() if part.topic == topic.name),
            replication=len(found["partitions"][0]["replica_nodes"]) if found else settings.replication,
            config={**kept, **topic.config},
        )


def _delete(admin: Any, names: list[str]) -> None:
    if names:
        admin.delete_topics(names)
    left = until(lambda: set(admin.list_topics()).intersection(names), _DELETED_WITHIN_S, is_done=not_)
    if left:
        raise KafkaOperationError(
            f"Kafka has not deleted {', '.join(left)} within {_DELETED_WITHIN_S:g} s: reset again"
        )


def _create(admin: Any, topics: list[TopicToReset]) -> None:
    for target in topics:
        wanted = {
            target.topic.name: {
                "num_partitions": target.topic.partitions,
                "replication_factor": target.replication,
                "configs": target.config,
            }
        }
        # A broker may be deleting the topic of that name still.
        until(partial(_creates, admin, wanted), _DELETED_WITHIN_S, retry_on=(TopicAlreadyExistsError,))


def _creates(admin: Any, topics: dict[str, Any]) -> bool:
    admin.create_topics(topics)
    return True


def _write_starts(settings: Settings, starts: dict[TopicPartition, int]) -> None:
    """Have counting start at `starts`: written as the positions of empty ledgers, because the ledgers decide."""
    segments, _ = changelogs_of(settings)
    with open_producer(settings) as sender:
        for partition in sorted({place.partition for place in starts}):
            written: dict[bytes, bytes | None] = {}
            ledger = Ledger(settings.pane_ms, settings.panes, settings.short_panes)
            store = LedgerStore(partition, ledger, {}, written.__setitem__)
            store.begin(0)
            for place, start in starts.items():
                if place.partition == partition:
                    ledger.source(place.topic).position = start
            store.write_state()
            sent = [sender.send(segments, value, key, partition=partition) for key, value in written.items()]
            sender.flush(_SENT_WITHIN_S)
            for record in sent:
                record.get(_SENT_WITHIN_S)
    with (
        open_admin(settings) as admin,
        suppress(KafkaError),
    ):  # shown by tools that list the group; the tracker needs no offsets
        offsets = {place: OffsetAndMetadata(start, "", -1) for place, start in starts.items()}
        admin.alter_group_offsets(settings.app_id, offsets)
