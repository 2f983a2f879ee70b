"""Examining the Kafka cluster and the topics: which brokers there are, and whether the topics keep what they hold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_app.kafka.topics import TopicSpec, compared, topics_of
from stream_app.ops.audit import findings as audited
from stream_app.ops.audit.findings import Grade
from stream_app.ops.audit.startup import facts_of
from stream_app.ops.audit.topics import Remark, TopicFacts, altering, gathered
from stream_app.ops.audit.topics import topics as audit_of
from stream_app.ops.doctor.findings import Finding, Severity, ok, problem, warning
from stream_app.settings import Settings

_OLDEST = (3, 9)
_SET = ("cleanup.policy", "max.message.bytes")
"""At the creation of topics: a broker that tells only what was set (Tansu) tells these where they matter."""
_JUDGED = (*_SET, "min.insync.replicas", "unclean.leader.election.enable", "retention.ms")


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
    wrong = [(finding.topic.name, _wrong(finding.problem)) for finding in found if finding.problem]
    if not wrong:
        there = sum(finding.exists for finding in found)
        yield ok("topics", f"all {there} there, the inputs with {settings.partitions} partitions each")
    facts = facts_of(settings, admin)
    described = {topic["name"]: topic["partitions"] for topic in admin.describe_topics([*facts])}
    remarks = [
        (topic.name, remark)
        for topic in topics_of(settings)
        if topic.name in facts
        for remark in (*_at_present(described[topic.name]), *_size(topic, facts[topic.name]))
    ]
    judged = (*gathered(wrong), *audit_of(settings, facts), *gathered(remarks, len(facts)))
    yield from sorted(
        (_shown(each, settings) for each in judged), key=lambda shown: shown.state is not Severity.PROBLEM
    )
    if untold := ", ".join(_untold(settings, facts)):
        yield ok("topics", f"not told by this broker, so not judged: {untold}")


def _wrong(told: str) -> Remark:
    what, _, advice = told.partition(": ")
    return Remark(what, advice, Grade.HARM)


def _shown(judged: audited.AuditFinding, settings: Settings) -> Finding:
    """What is wrong, as the doctor says it: a danger keeps workers from starting in production."""
    is_problem = judged.grade is Grade.HARM or (judged.is_danger and settings.production)
    state = Severity.PROBLEM if is_problem else Severity.WARNING
    return Finding("topics", state, f"{judged.where}: {judged.what}", judged.advice)


def _at_present(partitions: Sequence[Mapping[str, Any]]) -> Iterator[Remark]:
    if any(partition["leader_id"] < 0 for partition in partitions):
        yield Remark("partitions without a leader", "start the brokers that hold them", Grade.HARM)
    elif any(len(partition["isr_nodes"]) < len(partition["replica_nodes"]) for partition in partitions):
        advice = "is a broker down? it catches up by itself when it is back"
        yield Remark("copies that are not in step", advice, Grade.WARNING)


def _size(topic: TopicSpec, fact: TopicFacts) -> Iterator[Remark]:
    wanted, limit = topic.config.get("max.message.bytes"), (fact.config or {}).get("max.message.bytes")
    if wanted and limit and int(limit) < int(wanted):
        yield Remark(f"takes records of {limit} bytes only", altering("max.message.bytes", wanted), Grade.HARM)


def _untold(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[str]:
    """The configurations that the broker does not tell of topics that we may ask about."""
    told = {name: fact.config for name, fact in facts.items() if fact.config is not None}
    for setting in _JUDGED:
        silent = {name for name, config in told.items() if setting not in config}
        matters = setting not in _SET or any(setting in t.config for t in topics_of(settings) if t.name in silent)
        if silent and matters:
            yield setting if len(silent) == len(told) else f"{setting} (of some topics)"
