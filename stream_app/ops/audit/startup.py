"""The startup audit: fetches the facts about topics from Kafka, and judges them and the settings."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from stream_app.findings import Finding
from stream_app.kafka.clients import new_admin
from stream_app.kafka.topics import TopicsError, topics_of
from stream_app.ops.audit.addresses import addresses
from stream_app.ops.audit.topics import TopicFacts, topics
from stream_app.settings import Settings


class AuditError(RuntimeError):
    """The settings say production, and the audit has found dangers; the message has a line for each."""


def audit(settings: Settings, facts: Mapping[str, TopicFacts]) -> list[Finding]:
    """Every finding, the dangers first."""
    found = [*addresses(settings), *topics(settings, facts)]
    return sorted(found, key=lambda finding: not finding.is_danger)


def require_safe(settings: Settings) -> list[Finding]:
    """Every finding. Raises AuditError for dangers in production, TopicsError when Kafka does not answer."""
    found = audit(settings, fetch(settings))
    dangers = [str(finding) for finding in found if finding.is_danger]
    if dangers and settings.production:
        raise AuditError("\n  ".join(["not fit for production (STREAM_APP_PRODUCTION):", *dangers]))
    return found


def fetch(settings: Settings) -> dict[str, TopicFacts]:
    """The facts about the topics that exist, by name. Raises TopicsError."""
    try:
        with closing(new_admin(settings)) as admin:
            return facts_of(settings, admin)
    except KafkaError as error:
        raise TopicsError(f"{settings.brokers} does not describe its topics: {error}") from error


def facts_of(settings: Settings, admin: Any) -> dict[str, TopicFacts]:
    """The same, through an admin client. Raises KafkaError."""
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


def _values(entries: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if entries is None else {name: entry["value"] for name, entry in entries.items()}
