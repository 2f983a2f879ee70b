"""Examining the Kafka cluster and the topics: which brokers there are, and whether the topics keep what they hold."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType

from stream_app.engine.topics import Topic, compared
from stream_app.operating.findings import Finding, State, ok, problem, warning
from stream_app.settings import Settings

_OLDEST = (3, 9)
_CONFIGS = ("cleanup.policy", "max.message.bytes", "min.insync.replicas", "unclean.leader.election.enable")
_ALTER = "kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config"
Remark = tuple[State, str, str]
"""What is remarkable about a topic, and what to do."""


def cluster(settings: Settings, admin: Any) -> Iterator[Finding]:
    """The brokers."""
    told = admin.describe_cluster()
    brokers = [broker for broker in told["brokers"] if not broker.get("is_fenced")]
    version = admin.get_broker_version_data(brokers[0]["broker_id"]).broker_version
    features = {
        name: found["finalized"][1] for name, found in admin.describe_features().items() if "finalized" in found
    }
    level = f", metadata.version {features['metadata.version']}" if "metadata.version" in features else ""
    count = "1 broker" if len(brokers) == 1 else f"{len(brokers)} brokers"
    what = f"{count} at {settings.brokers}, cluster {told['cluster_id']}, Kafka {'.'.join(map(str, version))}{level}"
    if version < _OLDEST:
        yield problem("Kafka", what, "use Kafka 3.9 or newer")
    else:
        yield ok("Kafka", what)
    if gone := len(told["brokers"]) - len(brokers):
        yield warning("Kafka", f"{gone} of {len(told['brokers'])} brokers are fenced off", "see to them")


def topics(settings: Settings, admin: Any, _consumer: Any) -> Iterator[Finding]:
    """Whether they are there, have the right partitions, keep what they hold, and take what is written to them."""
    found = list(compared(admin, settings))
    wrong = {finding.topic.name: finding.problem for finding in found if finding.problem}
    for text, names in _grouped((name, text) for name, text in wrong.items()):
        what, _, advice = text.partition(": ")
        yield problem("topics", f"{names}: {what}", advice)
    if not wrong:
        yield ok("topics", f"all {len(found)} there, the inputs with {settings.partitions} partitions each")
    wanted = [finding.topic for finding in found if finding.exists]
    described = {topic["name"]: topic for topic in admin.describe_topics([topic.name for topic in wanted])}
    configs = _configs(admin, wanted)
    remarks = [
        (topic.name, remark)
        for topic in wanted
        for remark in (*_copies(described[topic.name]), *_settings(topic, configs[topic.name], described[topic.name]))
    ]
    for (state, text, advice), names in _grouped(remarks):
        where = "every topic" if names.count(",") + 1 == len(wanted) > 1 else names
        yield Finding("topics", state, f"{where}: {text}", advice)
    for name in _CONFIGS:
        silent = [topic.name for topic in wanted if name not in configs[topic.name]]
        if silent and not _is_set(name, silent, wanted):
            yield ok("topics", f"{name}: not told by this broker{'' if len(silent) == len(wanted) else ' for some'}")


def _configs(admin: Any, wanted: Iterable[Topic]) -> Mapping[str, Mapping[str, str]]:
    """What is told of them, by topic and name: Tansu tells only what was set when the topic was created."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in wanted]
    told = admin.describe_configs(asked, config_filter="all").get("topic", {}) if asked else {}
    return {
        resource.name: {name: found["value"] for name, found in told.get(resource.name, {}).items()}
        for resource in asked
    }


def _copies(described: Mapping[str, Any]) -> Iterator[Remark]:
    partitions = described["partitions"]
    if any(partition["leader_id"] < 0 for partition in partitions):
        yield State.PROBLEM, "partitions without a leader", "start the brokers that hold them"
    elif any(len(partition["isr_nodes"]) < len(partition["replica_nodes"]) for partition in partitions):
        yield State.WARNING, "copies that are not in step", "is a broker down? it catches up by itself when it is back"
    if _replication(described) == 1:
        yield (
            State.WARNING,
            "one copy only: what is in it is lost with its broker's disk",
            "in production have three brokers and create topics with --replication 3",
        )


def _settings(topic: Topic, told: Mapping[str, str], described: Mapping[str, Any]) -> Iterator[Remark]:
    yield from _cleanup(topic, told.get("cleanup.policy"))
    wanted, limit = topic.config.get("max.message.bytes"), told.get("max.message.bytes")
    if wanted and limit and int(limit) < int(wanted):
        yield State.PROBLEM, f"takes records of {limit} bytes only", f"{_ALTER} max.message.bytes={wanted}"
    copies, least = _replication(described), told.get("min.insync.replicas")
    if least and copies > 1 and int(least) == 1:
        advice = f"{_ALTER} min.insync.replicas=2"
        yield State.WARNING, "confirms what one broker has (min.insync.replicas 1): it can be lost", advice
    elif least and copies > 1 and int(least) >= copies:
        advice = f"{_ALTER} min.insync.replicas={copies - 1}"
        yield State.WARNING, f"min.insync.replicas {least} of {copies}: no broker may be down", advice
    if told.get("unclean.leader.election.enable") == "true":
        advice = f"{_ALTER} unclean.leader.election.enable=false"
        yield State.WARNING, "unclean leader election: confirmed records can be lost", advice


def _cleanup(topic: Topic, told: str | None) -> Iterator[Remark]:
    if told is None:
        return
    wanted = topic.config.get("cleanup.policy", "delete")
    if wanted == told:
        return
    why = "the state would be deleted by age" if wanted == "compact" else "records of the same key would be deleted"
    yield State.PROBLEM, f"cleanup.policy {told}: {why}", f"{_ALTER} cleanup.policy={wanted}"


def _is_set(name: str, silent: list[str], wanted: Iterable[Topic]) -> bool:
    """Whether a broker that tells only what was set has told all there is to tell."""
    return name in {"cleanup.policy", "max.message.bytes"} and not any(
        name in topic.config for topic in wanted if topic.name in silent
    )


def _replication(described: Mapping[str, Any]) -> int:
    return min((len(partition["replica_nodes"]) for partition in described["partitions"]), default=0)


def _grouped(remarks: Iterable[tuple[str, Any]]) -> Iterator[tuple[Any, str]]:
    """Each remark once, with the names of the topics that it is about."""
    grouped = defaultdict(list)
    for name, remark in remarks:
        grouped[remark].append(name)
    for remark, names in grouped.items():
        yield remark, ", ".join(names)
