"""`stream-app doctor` on topics: all findings of the startup audit, and those for operators only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from kafka.admin import ConfigResourceType

from stream_app.findings import Finding, Severity
from stream_app.kafka.topics import TopicSpec, needed_topics_of, topics_of
from stream_app.ops.audit.startup import facts_of
from stream_app.ops.audit.topics import topics as audit_of
from stream_app.ops.doctor import kafka
from stream_app.settings import Settings

SETTINGS = Settings()
EVERY = [topic.name for topic in topics_of(SETTINGS)]
WELL = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "retention.ms": "604800000",
}
THREE = {"leader_id": 1, "replica_nodes": [1, 2, 3], "isr_nodes": [1, 2, 3]}
POSTS = SETTINGS.posts_topic


class Cluster:
    """What a client for administration says of topics that are as they should be, but for what is given."""

    def __init__(
        self,
        partition: Mapping[str, Any] = THREE,
        configs: Mapping[str, Mapping[str, str] | None] | None = None,
        reports: Callable[[TopicSpec, str], bool] = lambda _topic, _setting: True,
        missing: Sequence[str] = (),
        broker: Mapping[str, str] | None = None,
    ) -> None:
        """`partition`: the first of the posts; `configs`: of topics by name; `reports`: which of these it reports.

        `broker`: the configuration of the brokers; None where it may not be seen.
        """
        self._broker = broker
        self._missing = missing
        self._partition = partition
        self._configs = configs or {}
        self._reports = reports

    def describe_topics(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """All partitions."""
        return [{"name": name, "partitions": self._partitions(name)} for name in names]

    def describe_cluster(self) -> dict[str, Any]:
        """One broker."""
        return {"brokers": [{"broker_id": 1}]}

    def describe_configs(self, asked: Sequence[Any], config_filter: str) -> dict[str, Any]:
        """What it reports; None where it may not be seen."""
        assert config_filter == "all"
        if [resource.resource_type for resource in asked] == [ConfigResourceType.BROKER]:
            return {"broker": {"1": {name: {"value": value} for name, value in (self._broker or {}).items()}}}
        return {"topic": {resource.name: self._reported(resource.name) for resource in asked}}

    def _partitions(self, name: str) -> list[Mapping[str, Any]]:
        if name in self._missing:
            return []
        topic = wanted(name)
        first = self._partition if name == POSTS else THREE
        return [first, *[THREE] * (topic.partitions - 1)]

    def _reported(self, name: str) -> dict[str, Any] | None:
        given = self._configs.get(name, {})
        if given is None:
            return None
        topic = wanted(name)
        config = {**WELL, **topic.config, **given}
        return {setting: {"value": value} for setting, value in config.items() if self._reports(topic, setting)}


def wanted(name: str) -> TopicSpec:
    (topic,) = [topic for topic in topics_of(SETTINGS) if topic.name == name]
    return topic


def said(cluster: Cluster, settings: Settings = SETTINGS) -> list[Finding]:
    """What is said besides that all are there."""
    first, *others = kafka.topics(settings, cluster, None)
    assert first == Finding("topics", Severity.OK, "all 16 there, the inputs with 8 partitions each")
    return others


def test_the_doctor_finds_nothing_on_a_healthy_cluster() -> None:
    assert said(Cluster()) == []


@pytest.mark.parametrize(
    ("partition", "configs", "state", "found"),
    [
        ({"leader_id": -1}, {}, Severity.PROBLEM, "partitions without a leader"),
        ({"isr_nodes": [1, 3]}, {}, Severity.WARNING, "copies that are not in step"),
        ({"replica_nodes": [1], "isr_nodes": [1]}, {}, Severity.WARNING, "one copy only"),
        ({}, {"cleanup.policy": "compact"}, Severity.PROBLEM, "cleanup.policy compact: records with the same key"),
        (
            {},
            {"min.insync.replicas": "1"},
            Severity.WARNING,
            "min.insync.replicas 1: Kafka confirms",
        ),
        (
            {},
            {"min.insync.replicas": "3"},
            Severity.WARNING,
            "min.insync.replicas 3 of 3 copies: nothing can be written",
        ),
        (
            {},
            {"min.insync.replicas": "4"},
            Severity.WARNING,
            "min.insync.replicas 4 of 3 copies: nothing can be written",
        ),
        ({}, {"unclean.leader.election.enable": "true"}, Severity.WARNING, "unclean leader election"),
        ({}, {"retention.ms": "3600000"}, Severity.WARNING, "kept for 1 h, less than the window"),
        ({}, None, Severity.WARNING, "its configuration may not be seen, nor judged"),
    ],
)
def test_a_problem_of_a_topic_is_reported_once(
    partition: dict[str, Any], configs: dict[str, str] | None, state: Severity, found: str
) -> None:
    (finding,) = said(Cluster({**THREE, **partition}, {POSTS: configs}))
    assert finding.state is state
    assert finding.found.startswith(f"{POSTS}: {found}")
    assert finding.advice
    assert "TOPIC" not in finding.advice


def test_missing_topics_are_named_also_where_they_are_as_many_as_the_others() -> None:
    half = [topic.name for topic in needed_topics_of(SETTINGS)][::2]
    (finding,) = kafka.topics(SETTINGS, Cluster(missing=half), None)
    assert finding.state is Severity.PROBLEM
    assert finding.found == f"{', '.join(half)}: missing"


def test_findings_of_the_audit_are_reported_in_its_words_problems_first() -> None:
    cluster = Cluster(
        {**THREE, "replica_nodes": [1]},
        {POSTS: {"cleanup.policy": "compact"}, SETTINGS.flags_topic: {"unclean.leader.election.enable": "true"}},
    )
    audited = list(audit_of(SETTINGS, facts_of(SETTINGS, cluster)))
    findings = said(cluster)
    assert {(f"{finding.area}: {finding.found}", finding.advice) for finding in audited} == {
        (finding.found, finding.advice) for finding in findings
    }
    assert [finding.state for finding in findings] == [Severity.PROBLEM, Severity.WARNING, Severity.WARNING]


def test_a_finding_that_keeps_workers_from_starting_in_production_is_a_problem_there() -> None:
    production = msgspec.structs.replace(SETTINGS, production=True)
    danger = Cluster(configs={POSTS: {"min.insync.replicas": "1"}})
    assert [finding.state for finding in said(danger, production)] == [Severity.PROBLEM]
    warnings = Cluster({**THREE, "isr_nodes": [1]}, {POSTS: {"retention.ms": "1"}})
    assert [finding.state for finding in said(warnings, production)] == [Severity.WARNING, Severity.WARNING]


def test_a_topic_that_takes_less_than_is_written_at_once_is_reported() -> None:
    (finding,) = said(Cluster(configs={SETTINGS.late_topic: {"max.message.bytes": "262144"}}))
    assert finding.state is Severity.WARNING
    assert finding.found == (
        f"{SETTINGS.late_topic}: takes records of 262144 bytes, less than STREAM_APP_MAX_MESSAGE_BYTES (1000000): "
        "messages are cut into more parts, dead letters shortened earlier"
    )
    assert f"--topic {SETTINGS.late_topic} --add-config max.message.bytes=4000000" in finding.advice


def test_a_broker_that_takes_less_counts_for_topics_that_take_more() -> None:
    found = said(Cluster(broker={"message.max.bytes": "262144"}))
    names = {name for name in EVERY if name not in SETTINGS.source_topics}
    assert {name for finding in found for name in finding.found.partition(": ")[0].split(", ")} == names
    assert all("message.max.bytes of the brokers" in finding.advice for finding in found)


def test_a_topic_that_takes_less_than_the_smallest_part_is_a_problem() -> None:
    (finding,) = said(Cluster(configs={SETTINGS.flags_topic: {"max.message.bytes": "20000"}}))
    assert finding.state is Severity.PROBLEM
    assert "takes records of 20000 bytes only: workers end with 74" in finding.found
    assert "max.message.bytes=1000000" in finding.advice


def test_settings_that_a_broker_does_not_report_are_listed_and_not_assumed_to_be_right() -> None:
    (finding,) = said(Cluster(reports=lambda _, setting: setting not in {"min.insync.replicas", "cleanup.policy"}))
    assert finding.state is Severity.OK
    assert finding.found == "not reported by this broker, so not judged: cleanup.policy, min.insync.replicas"
    (finding,) = said(Cluster(reports=lambda topic, setting: topic.name != POSTS or setting != "retention.ms"))
    assert finding.found == "not reported by this broker, so not judged: retention.ms (of some topics)"


def test_a_broker_that_reports_only_what_was_set_is_not_blamed_for_unset_topic_settings() -> None:
    (finding,) = said(Cluster(reports=lambda topic, setting: setting in topic.config))
    unreported = "min.insync.replicas, unclean.leader.election.enable, retention.ms (of some topics)"
    assert finding.found == f"not reported by this broker, so not judged: {unreported}"


def test_settings_that_may_not_be_seen_are_not_called_unreported() -> None:
    (finding,) = said(Cluster(configs=dict.fromkeys(EVERY)))
    assert finding.found == "every topic: its configuration may not be seen, nor judged"
    assert finding.advice == "allow DescribeConfigs, see docs/security.md"
