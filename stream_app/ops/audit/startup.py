"""The audit as a whole: what Kafka says of the topics is fetched, the rest is judged without asking anybody."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from stream_app.kafka.admin import Administration
from stream_app.kafka.clients import kafka_python_options
from stream_app.kafka.topics import TopicsError, topics_of
from stream_app.ops.audit.addresses import addresses
from stream_app.ops.audit.findings import AuditError, AuditFinding
from stream_app.ops.audit.topics import TopicFacts, topics
from stream_app.settings import Settings

_TIMEOUT_MS = 10_000


def audit(settings: Settings, facts: Mapping[str, TopicFacts]) -> list[AuditFinding]:
    """Every finding, the dangers first."""
    found = [*addresses(settings), *topics(settings, facts)]
    return sorted(found, key=lambda finding: not finding.is_danger)


def require_safe(settings: Settings) -> list[AuditFinding]:
    """What is found; raises AuditError where there is a danger in it and the settings say production.

    Raises TopicsError when Kafka does not answer.
    """
    found = audit(settings, fetch(settings))
    dangers = [str(finding) for finding in found if finding.is_danger]
    if dangers and settings.production:
        raise AuditError("\n  ".join(["not fit for production (STREAM_APP_PRODUCTION):", *dangers]))
    return found


def fetch(settings: Settings) -> dict[str, TopicFacts]:
    """What Kafka says of the topics that there are, by name. Raises TopicsError."""
    try:
        with closing(Administration(**kafka_python_options(settings), bootstrap_timeout_ms=_TIMEOUT_MS)) as admin:
            return facts_of(settings, admin)
    except KafkaError as error:
        raise TopicsError(f"{settings.brokers} does not tell its topics: {error}") from error


def facts_of(settings: Settings, admin: Any) -> dict[str, TopicFacts]:
    """The same, by a client that is there already. Raises KafkaError."""
    names = [topic.name for topic in topics_of(settings)]
    described = {topic["name"]: topic["partitions"] for topic in admin.describe_topics(names) if topic["partitions"]}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in described]
    configs = admin.describe_configs(asked, config_filter="all").get("topic", {}) if asked else {}
    return {
        name: TopicFacts(
            partitions=len(partitions),
            copies=min(len(partition["replica_nodes"]) for partition in partitions),
            config=_values(configs.get(name, {})),
        )
        for name, partitions in described.items()
    }


def _values(told: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if told is None else {key: found["value"] for key, found in told.items()}
