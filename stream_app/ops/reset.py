"""Forgetting: the topics that hold the tracker's state made anew, the group's offsets deleted, the beginning chosen."""

from collections.abc import Iterator
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, Literal, NamedTuple

from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.state.ledger import Ledger
from stream_app.kafka.consumer_group import committed, group
from stream_app.kafka.operator_clients import OperatingError, administration, consumer, producer
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

Positions = Literal["earliest", "latest"]

_GONE_WITHIN_S = 20.0
_LOOK_S = 0.2
_SENT_WITHIN_S = 30.0


class Doomed(NamedTuple):
    """A topic that is deleted and made again: as it should be, with the copies and further settings that it had."""

    topic: TopicSpec
    exists: bool
    records: int
    """About: compaction leaves gaps."""
    replication: int
    config: dict[str, str]


class ResetPlan(NamedTuple):
    """What a reset does."""

    topics: list[Doomed]
    offsets: int
    """Committed offsets of the group."""
    starts: dict[TopicPartition, int]
    """Where counting begins, of the partitions where that is not with the oldest record."""


def plan(settings: Settings, positions: Positions, *, outputs: bool) -> ResetPlan:
    """Look at what there is. Raises OperatingError, also where workers are running."""
    state = {topic.name for topic in state_topics_of(settings)}
    doomed = [
        topic
        for topic in topics_of(settings)
        if topic.name in state or (outputs and topic.name not in {*settings.input_topics, settings.erasures_topic})
    ]
    with administration(settings) as admin, consumer(settings) as reader:
        _require_nobody(settings, admin)
        _require_partitions(settings, reader, {topic.name for topic in doomed})
        inputs = partitions_of(reader, settings.input_topics)
        starts = spans(reader, inputs) if positions == "latest" else {}
        described = list(_described(settings, admin, reader, doomed))
        return ResetPlan(
            topics=[found for found in described if found.exists or not found.topic.is_optional],
            offsets=len(committed(settings, admin)),
            starts={partition: span.end for partition, span in starts.items() if span.end},
        )


def carry_out(settings: Settings, planned: ResetPlan) -> Iterator[str]:
    """Do it; yields what has been done, one thing after the other. Raises OperatingError; it can be repeated."""
    with administration(settings) as admin:
        _require_nobody(settings, admin)
        told = admin.delete_groups([settings.app_id])[settings.app_id]
        if told not in {"OK", "GroupIdNotFoundError"}:  # Apache Kafka says so when there never was one
            raise OperatingError(f"Kafka does not delete the group {settings.app_id}: {told}; end the workers first")
        yield f"deleted the committed offsets of the group {settings.app_id}"
        _delete(admin, [doomed.topic.name for doomed in planned.topics if doomed.exists])
        _make(admin, planned.topics)
    wrong = [f"{found.topic.name}: {found.problem}" for found in create_needed(settings) if found.problem]
    if wrong:
        raise OperatingError("; ".join(wrong))
    for doomed in planned.topics:
        name = doomed.topic.name
        yield f"deleted {name} and made it again" if doomed.exists else f"made {name}"
    if planned.starts:
        _begin(settings, planned.starts)
        yield "noted the ends of the input topics as the place where counting begins"


def _require_nobody(settings: Settings, admin: Any) -> None:
    if members := group(settings, admin).members:
        count = "1 worker is" if members == 1 else f"{members} workers are"
        raise OperatingError(
            f"{count} running in the group {settings.app_id}, which would go on writing what is to be forgotten: "
            f"end them first; one that was killed counts until its session is over ({settings.session_timeout_s:g} s)"
        )


def _require_partitions(settings: Settings, reader: Any, doomed: set[str]) -> None:
    """What stays must have the partitions that workers expect of it afterwards."""
    for topic in needed_topics_of(settings):
        count = len(partitions_of(reader, [topic.name]))
        if topic.name not in doomed and count not in {0, topic.partitions}:
            is_input = topic.name in settings.input_topics
            advice = f"set it to {count}" if is_input else "add --outputs, which makes it again"
            raise OperatingError(
                f"{topic.name} has {count} partitions and STREAM_APP_PARTITIONS is {settings.partitions}: {advice}"
            )


def _described(settings: Settings, admin: Any, reader: Any, topics: list[TopicSpec]) -> Iterator[Doomed]:
    names = [topic.name for topic in topics]
    held = {topic["name"]: topic for topic in admin.describe_topics(names) if not topic["error_code"]}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in held]
    configs = admin.describe_configs(resources).get("topic", {}) if resources else {}
    ranges = spans(reader, partitions_of(reader, held))
    for topic in topics:
        found = held.get(topic.name)
        kept = {name: told["value"] for name, told in configs.get(topic.name, {}).items() if told["value"] is not None}
        yield Doomed(
            topic=topic,
            exists=found is not None,
            records=sum(span.end - span.start for part, span in ranges.items() if part.topic == topic.name),
            replication=len(found["partitions"][0]["replica_nodes"]) if found else settings.replication,
            config={**kept, **topic.config},
        )


def _delete(admin: Any, names: list[str]) -> None:
    if names:
        admin.delete_topics(names)
    deadline_s = monotonic() + _GONE_WITHIN_S
    while left := set(admin.list_topics()).intersection(names):
        if monotonic() > deadline_s:
            raise OperatingError(f"Kafka has not deleted {', '.join(left)} within {_GONE_WITHIN_S:g} s: reset again")
        sleep(_LOOK_S)


def _make(admin: Any, topics: list[Doomed]) -> None:
    deadline_s = monotonic() + _GONE_WITHIN_S
    for doomed in topics:
        wanted = {
            "num_partitions": doomed.topic.partitions,
            "replication_factor": doomed.replication,
            "configs": doomed.config,
        }
        while True:
            try:
                admin.create_topics({doomed.topic.name: wanted})
                break
            except TopicAlreadyExistsError:  # a broker that still deletes the one before
                if monotonic() > deadline_s:
                    raise
                sleep(_LOOK_S)


def _begin(settings: Settings, starts: dict[TopicPartition, int]) -> None:
    """Have counting begin at `starts`: written as the positions of ledgers that are empty, because these decide."""
    segments, _ = changelogs_of(settings)
    with producer(settings) as sender:
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
    with administration(settings) as admin, suppress(KafkaError):  # for those who look at the group: nothing needs it
        offsets = {place: OffsetAndMetadata(start, "", -1) for place, start in starts.items()}
        admin.alter_group_offsets(settings.app_id, offsets)
