"""The topics that the tracker needs: created where they are missing, checked where they exist."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError

from stream_app.findings import Finding, problem
from stream_app.kafka.clients import AdminClient, new_admin
from stream_app.kafka.error_hints import kafka_advice, or_unseen
from stream_app.kafka.reachability import require_reachable
from stream_app.settings import Settings
from stream_app.until import until

_KNOWN_WITHIN_S = 10.0
OF_TOPIC, OF_BROKER = "max.message.bytes", "message.max.bytes"
"""The names of the limits of a record batch."""
_LARGE = {OF_TOPIC: "4000000"}
_COMPACTED = {"cleanup.policy": "compact"}
_BROKER_TIME = {"message.timestamp.type": "LogAppendTime"}
"""Where workers learn what Kafka's clock says: see stream_app/core/group/clocks.py."""
_DAY_MS = 86_400_000
_SHORT_LIVED = {"retention.ms": "3600000", "segment.ms": "600000"}
"""For what is read within seconds, or asked for again."""
_KEPT_FOR_A_WEEK = {"retention.ms": str(7 * _DAY_MS)}
_KEPT_FOR_A_YEAR = {"retention.ms": str(365 * _DAY_MS)}
_BOUNDED_COMPACTION = {"max.compaction.lag.ms": str(7 * _DAY_MS), "delete.retention.ms": str(_DAY_MS)}
"""For compacted topics with user ids: the time after which Kafka has removed deleted values from its disks."""


class TopicsError(RuntimeError):
    """The broker cannot be asked, or topics are not as they should be; the message says what to do."""


class TopicSpec(NamedTuple):
    """A topic as it should be."""

    name: str
    partitions: int
    config: dict[str, str]
    purpose: str
    is_optional: bool = False
    """Workers do not need it: `stream-app alerts` does, or nobody as they are set."""


class TopicState(NamedTuple):
    """A topic as it is."""

    topic: TopicSpec
    partitions: int
    """0 where it does not exist."""
    finding: Finding | None
    """What is wrong with it."""

    @property
    def exists(self) -> bool:
        """Whether Kafka has it, and shows it to this user."""
        return self.partitions > 0

    @property
    def problem(self) -> str:
        """What is wrong and what to do; empty where nothing is."""
        return f"{self.finding.found}: {self.finding.advice}" if self.finding else ""


def changelogs_of(settings: Settings) -> tuple[str, str]:
    """The logs of the two tables: segments and standings."""
    return f"{settings.app_id}-segments-changelog", settings.standings_topic


def copartitioned_topics(settings: Settings) -> frozenset[str]:
    """The topics whose partitions of one number belong together: those counted, and the logs of the tables."""
    return frozenset((*settings.read_topics, *changelogs_of(settings)))


def topics_of(settings: Settings) -> list[TopicSpec]:
    """Every topic of the tracker."""
    one, many = 1, settings.partitions
    segments, standings = changelogs_of(settings)
    return [
        TopicSpec(settings.posts_topic, many, {}, "input: posts"),
        TopicSpec(settings.shares_topic, many, {}, "input: shares"),
        TopicSpec(settings.retractions_topic, many, {}, "input: what is taken back"),
        TopicSpec(settings.flags_topic, many, {}, "output: flags"),
        TopicSpec(settings.cuts_topic, one, _COMPACTED, "output: cuts"),
        TopicSpec(standings, many, _COMPACTED | _BOUNDED_COMPACTION, "output and state: standings"),
        TopicSpec(settings.dead_letters_topic, many, _LARGE, "output: records that cannot be counted"),
        TopicSpec(settings.late_topic, many, _LARGE, "output: events older than the window"),
        TopicSpec(
            settings.curves_topic,
            one,
            _COMPACTED | _LARGE | _BROKER_TIME,
            "internal: cuts and progress for all workers",
        ),
        TopicSpec(
            settings.additions_topic, many, _LARGE | _SHORT_LIVED, "internal: additions to curves, kept for an hour"
        ),
        TopicSpec(
            *(settings.credits_topic, many, _LARGE | _KEPT_FOR_A_WEEK),
            "internal: what people are credited with for what others did",
        ),
        TopicSpec(segments, many, _COMPACTED | _LARGE | _BOUNDED_COMPACTION, "internal: the segments of the ledgers"),
        TopicSpec(settings.erasures_topic, one, _COMPACTED, "state: who was erased or has opted out, as keyed hashes"),
        TopicSpec(
            *(settings.audit_topic, one, _KEPT_FOR_A_YEAR, "output: looks at people"),
            is_optional=not settings.audit,
        ),
        *alert_topics_of(settings),
    ]


def needed_topics_of(settings: Settings) -> list[TopicSpec]:
    """Those that a tracker without alerts needs."""
    return [topic for topic in topics_of(settings) if not topic.is_optional]


def alert_topics_of(settings: Settings) -> list[TopicSpec]:
    """Those that only `stream-app alerts` needs."""
    return [
        TopicSpec(
            settings.alerts_topic,
            1,
            _COMPACTED | _BOUNDED_COMPACTION,
            "state: the alerts that were sent and those that wait",
            is_optional=True,
        ),
        TopicSpec(settings.undelivered_topic, 1, _LARGE, "output: messages that no sink took", is_optional=True),
    ]


def state_topics_of(settings: Settings) -> list[TopicSpec]:
    """Those that hold the state of the workers: without them counting starts from nothing.

    They are compacted, but for the credits: those of lost state would count beside those that are made anew. Two
    compacted topics are left out because they must outlive a reset: without the erasures, erased people would be
    counted again; without the state of alerts, old flags would be sent again.
    """
    kept = {settings.erasures_topic, settings.alerts_topic}
    return [
        topic
        for topic in topics_of(settings)
        if topic.name == settings.credits_topic
        or (topic.config.get("cleanup.policy") == "compact" and topic.name not in kept)
    ]


def check(settings: Settings) -> list[TopicState]:
    """Compare the topics on the broker with what they should be. Raises TopicsError when it does not answer."""
    try:
        with closing(_admin(settings)) as admin:
            return list(compared(admin, settings))
    except KafkaError as error:
        raise TopicsError(f"{settings.brokers} does not list its topics: {_explained(error, settings)}") from error


def require(settings: Settings) -> None:
    """Return when every topic that workers need is as it should be. Raises TopicsError, which says what to do."""
    _require([state for state in check(settings) if not state.topic.is_optional])


def require_all(settings: Settings) -> None:
    """The same for all topics, of which the optional ones may be missing. Raises TopicsError."""
    _require(check(settings))


def require_for_alerts(settings: Settings) -> None:
    """Return when the topics that `stream-app alerts run` needs are as they should be. Raises TopicsError."""
    names = {settings.flags_topic, *(topic.name for topic in alert_topics_of(settings))}
    states = [state for state in check(settings) if state.topic.name in names]
    _require([state if state.exists else state._replace(finding=_missing(state.topic, settings)) for state in states])


def _require(states: list[TopicState]) -> None:
    wrong = [f"topic {state.topic.name}: {state.problem}" for state in states if state.problem]
    if wrong:
        raise TopicsError("; ".join(wrong) if len(wrong) == 1 else "\n  ".join(["not as they should be:", *wrong]))


def create(settings: Settings) -> list[TopicState]:
    """Create what is missing, and check. Raises TopicsError when the broker does not answer or refuses."""
    return _created(settings, topics_of(settings))


def create_needed(settings: Settings) -> list[TopicState]:
    """The same without the topics of alerts. Raises TopicsError."""
    return [found for found in _created(settings, needed_topics_of(settings)) if not found.topic.is_optional]


def _created(settings: Settings, wanted: list[TopicSpec]) -> list[TopicState]:
    try:
        with closing(_admin(settings)) as admin:
            held = set(admin.list_topics())
            for topic in wanted:
                if topic.name not in held:
                    _create(admin, topic, settings.replication)
            names = {topic.name for topic in wanted}
            return until(  # brokers learn of new topics a moment after they are created
                lambda: list(compared(admin, settings)),
                _KNOWN_WITHIN_S,
                is_done=lambda states: all(state.exists for state in states if state.topic.name in names),
            )
    except KafkaError as error:
        raise TopicsError(f"{settings.brokers} does not create the topics: {_explained(error, settings)}") from error


def _explained(error: KafkaError, settings: Settings) -> str:
    advice = kafka_advice(error, settings)
    return f"{type(error).__name__}: {advice}" if advice else str(error)


def _admin(settings: Settings) -> AdminClient:
    require_reachable(settings)
    try:
        return new_admin(settings)
    except KafkaError as error:
        raise TopicsError(f"no Kafka answers at {settings.brokers} (STREAM_APP_BROKERS): {error}") from error


def _create(admin: AdminClient, topic: TopicSpec, replication: int) -> None:
    new = NewTopic(
        topic.name, num_partitions=topic.partitions, replication_factor=replication, topic_configs=topic.config
    )
    try:
        admin.create_topics([new])
    except TopicAlreadyExistsError:
        return


def compared(admin: AdminClient, settings: Settings) -> Iterator[TopicState]:
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
        # A topic that this user may not describe may be missing too.
        is_hidden = error_code == TopicAuthorizationFailedError.errno
        yield TopicState(topic, partitions, _finding(topic, partitions, settings, is_hidden=is_hidden))


def _finding(topic: TopicSpec, partitions: int, settings: Settings, *, is_hidden: bool) -> Finding | None:
    if not partitions:
        return None if topic.is_optional and not is_hidden else _missing(topic, settings)
    if partitions == topic.partitions:
        return None
    return problem(
        topic.name,
        f"{partitions} partitions instead of {topic.partitions}",
        "users would move between ledgers; set STREAM_APP_PARTITIONS to what the topics have, "
        "or have `stream-app migrate` make topics with another number",
    )


def _missing(topic: TopicSpec, settings: Settings) -> Finding:
    return problem(topic.name, "missing", f"create it with `stream-app topics create`{or_unseen(settings)}")


def limits_of(admin: Any, topics: list[str]) -> dict[str, int]:
    """The largest record batch of each topic, where the brokers say it: the smaller one of the topic's and theirs."""
    brokers = [str(broker["broker_id"]) for broker in admin.describe_cluster()["brokers"]]
    try:
        of_brokers = [_described(admin, ConfigResourceType.BROKER, [broker]) for broker in brokers[:1]]
        of_topics = _described(admin, ConfigResourceType.TOPIC, topics)
    except KafkaError:
        return {}
    least = [int(found[OF_BROKER]) for answer in of_brokers for found in answer.values() if OF_BROKER in found]
    limits = {
        name: [*least, *([int(found[OF_TOPIC])] if OF_TOPIC in found else [])] for name, found in of_topics.items()
    }
    return {name: min(sizes) for name, sizes in limits.items() if sizes}


def _described(admin: Any, kind: ConfigResourceType, names: list[str]) -> dict[str, dict[str, str]]:
    answer = admin.describe_configs([ConfigResource(kind, name) for name in names], config_filter="all")
    found = answer.get(kind.name.lower(), {})
    return {name: {key: entry["value"] for key, entry in (entries or {}).items()} for name, entries in found.items()}
