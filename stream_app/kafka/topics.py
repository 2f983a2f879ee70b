"""The topics that the tracker needs: created where they are missing, checked where they exist."""

from collections.abc import Iterator
from contextlib import closing
from time import monotonic, sleep
from typing import NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError

from stream_app.kafka.clients import kafka_python_options
from stream_app.kafka.error_hints import kafka_advice, or_unseen
from stream_app.kafka.reachability import require_reachable
from stream_app.settings import Settings

_KNOWN_WITHIN_S = 10.0
_LOOK_S = 0.1
_LARGE = {"max.message.bytes": "4000000"}
_COMPACTED = {"cleanup.policy": "compact"}
_DAY_MS = 86_400_000
_FORGETTING = {"max.compaction.lag.ms": str(7 * _DAY_MS), "delete.retention.ms": str(_DAY_MS)}
"""Of compacted topics that hold user ids: by then at the latest Kafka has removed what was deleted from its disks."""


class TopicsError(RuntimeError):
    """The broker cannot be asked or does not do as told; the message says what to do."""


class TopicSpec(NamedTuple):
    """A topic as it should be."""

    name: str
    partitions: int
    config: dict[str, str]
    purpose: str
    is_optional: bool = False
    """Only `stream-app alerts` needs it."""


class TopicFinding(NamedTuple):
    """A topic as it is."""

    topic: TopicSpec
    exists: bool
    partitions: int
    problem: str
    """What is wrong and what to do, empty where nothing is."""


def changelogs_of(settings: Settings) -> tuple[str, str]:
    """The logs of the two tables: segments and standings."""
    return f"{settings.app_id}-segments-changelog", settings.standings_topic


def topics_of(settings: Settings) -> list[TopicSpec]:
    """Every topic of the tracker."""
    one, many = 1, settings.partitions
    segments, standings = changelogs_of(settings)
    return [
        TopicSpec(settings.posts_topic, many, {}, "input: posts"),
        TopicSpec(settings.shares_topic, many, {}, "input: shares"),
        TopicSpec(settings.flags_topic, many, {}, "output: flags"),
        TopicSpec(settings.cuts_topic, one, _COMPACTED, "output: cuts"),
        TopicSpec(standings, many, _COMPACTED | _FORGETTING, "output and state: standings"),
        TopicSpec(settings.dead_letters_topic, many, _LARGE, "output: records that cannot be counted"),
        TopicSpec(settings.late_topic, many, _LARGE, "output: events older than the window"),
        TopicSpec(settings.curves_topic, one, _COMPACTED | _LARGE, "internal: curves exchanged by the workers"),
        TopicSpec(segments, many, _COMPACTED | _LARGE | _FORGETTING, "internal: the segments of the ledgers"),
        TopicSpec(settings.erasures_topic, one, _COMPACTED, "state: who was erased, as keyed hashes"),
        *alert_topics_of(settings),
    ]


def needed_topics_of(settings: Settings) -> list[TopicSpec]:
    """Those that a tracker without alerts needs."""
    return [topic for topic in topics_of(settings) if not topic.is_optional]


def alert_topics_of(settings: Settings) -> list[TopicSpec]:
    """Those that only `stream-app alerts` needs."""
    return [
        TopicSpec(
            settings.alerts_topic, 1, _COMPACTED | _FORGETTING, "state: what people were told of", is_optional=True
        ),
        TopicSpec(settings.undelivered_topic, 1, _LARGE, "output: messages that no sink took", is_optional=True),
    ]


def state_topics_of(settings: Settings) -> list[TopicSpec]:
    """Those that hold what the workers know: without them counting begins anew.

    They are compacted. So are the erasures, which must outlive any state: who was erased would be counted again; and
    the state of alerts: people would be told again of what they know.
    """
    compacted = [topic for topic in topics_of(settings) if topic.config.get("cleanup.policy") == "compact"]
    return [topic for topic in compacted if topic.name not in {settings.erasures_topic, settings.alerts_topic}]


def check(settings: Settings) -> list[TopicFinding]:
    """Compare the topics on the broker with what they should be. Raises TopicsError when it does not answer."""
    try:
        with closing(_admin(settings)) as admin:
            return list(compared(admin, settings))
    except KafkaError as error:
        raise TopicsError(f"{settings.brokers} does not tell its topics: {_told(error, settings)}") from error


def require(settings: Settings) -> None:
    """Return when every topic that workers need is as it should be. Raises TopicsError, which says what to do."""
    _require([finding for finding in check(settings) if not finding.topic.is_optional])


def require_all(settings: Settings) -> None:
    """Return when the others are so too, where they exist, and can be seen. Raises TopicsError."""
    _require(check(settings))


def require_for_alerts(settings: Settings) -> None:
    """Return when the topics that `stream-app alerts run` needs are as they should be. Raises TopicsError."""
    names = {settings.flags_topic, *(topic.name for topic in alert_topics_of(settings))}
    found = [finding for finding in check(settings) if finding.topic.name in names]
    _require([finding if finding.exists else finding._replace(problem=_missing(settings)) for finding in found])


def _require(findings: list[TopicFinding]) -> None:
    wrong = [f"topic {finding.topic.name}: {finding.problem}" for finding in findings if finding.problem]
    if wrong:
        raise TopicsError("; ".join(wrong) if len(wrong) == 1 else "\n  ".join(["not as they should be:", *wrong]))


def create(settings: Settings) -> list[TopicFinding]:
    """Create what is missing, and check. Raises TopicsError when the broker does not answer or refuses."""
    return _created(settings, topics_of(settings))


def create_needed(settings: Settings) -> list[TopicFinding]:
    """The same without the topics of alerts. Raises TopicsError."""
    return [found for found in _created(settings, needed_topics_of(settings)) if not found.topic.is_optional]


def _created(settings: Settings, wanted: list[TopicSpec]) -> list[TopicFinding]:
    try:
        with closing(_admin(settings)) as admin:
            held = set(admin.list_topics())
            for topic in wanted:
                if topic.name not in held:
                    _create(admin, topic, settings.replication)
            return _once_known(admin, settings, {topic.name for topic in wanted})
    except KafkaError as error:
        raise TopicsError(f"{settings.brokers} does not create the topics: {_told(error, settings)}") from error


def _told(error: KafkaError, settings: Settings) -> str:
    advice = kafka_advice(error, settings)
    return f"{type(error).__name__}: {advice}" if advice else str(error)


def _admin(settings: Settings) -> KafkaAdminClient:
    require_reachable(settings)
    try:
        return KafkaAdminClient(**kafka_python_options(settings), bootstrap_timeout_ms=10_000)
    except KafkaError as error:
        raise TopicsError(f"no Kafka answers at {settings.brokers} (STREAM_APP_BROKERS): {error}") from error


def _create(admin: KafkaAdminClient, topic: TopicSpec, replication: int) -> None:
    new = NewTopic(
        topic.name, num_partitions=topic.partitions, replication_factor=replication, topic_configs=topic.config
    )
    try:
        admin.create_topics([new])
    except TopicAlreadyExistsError:
        return


def _once_known(admin: KafkaAdminClient, settings: Settings, wanted: set[str]) -> list[TopicFinding]:
    """The topics as soon as the broker that is asked knows of those wanted: that may take some time."""
    deadline_s = monotonic() + _KNOWN_WITHIN_S
    while True:
        findings = list(compared(admin, settings))
        if all(finding.exists for finding in findings if finding.topic.name in wanted) or monotonic() > deadline_s:
            return findings
        sleep(_LOOK_S)


def compared(admin: KafkaAdminClient, settings: Settings) -> Iterator[TopicFinding]:
    """Every topic as it is and as it should be. Raises KafkaError."""
    wanted = topics_of(settings)
    described = {
        topic.get("topic", topic.get("name")): topic
        for topic in admin.describe_topics([topic.name for topic in wanted])
    }
    for topic in wanted:
        found = described.get(topic.name)
        error_code = found.get("error_code", 0) if found else 0
        partitions = len(found["partitions"]) if found and not error_code else 0
        problem = _problem(topic, partitions, settings)
        if not partitions and error_code == TopicAuthorizationFailedError.errno:
            problem = _missing(settings)  # Kafka does not tell whether it is there
        yield TopicFinding(topic, bool(partitions), partitions, problem)


def _missing(settings: Settings) -> str:
    return f"missing: create it with `stream-app topics create`{or_unseen(settings)}"


def _problem(topic: TopicSpec, partitions: int, settings: Settings) -> str:
    if not partitions:
        return "" if topic.is_optional else _missing(settings)
    if partitions != topic.partitions:
        return (
            f"{partitions} partitions instead of {topic.partitions}: users would move between ledgers; "
            "set STREAM_APP_PARTITIONS to what the topics have, or start with new topics and a new STREAM_APP_APP_ID"
        )
    return ""
