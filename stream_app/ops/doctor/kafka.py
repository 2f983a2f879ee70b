"""Check of the Kafka cluster and the topics: its brokers, and whether the topics keep what they hold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream_app.findings import Finding, Severity, ok, problem, warning
from stream_app.kafka.reachability import ADVERTISED_ADVICE, advertised_listeners
from stream_app.kafka.topics import OF_BROKER, OF_TOPIC, TopicSpec, compared, limits_of, topics_of
from stream_app.ops.audit.startup import facts_of
from stream_app.ops.audit.topics import TopicFacts, altering, gathered
from stream_app.ops.audit.topics import topics as audit_of
from stream_app.settings import Settings
from stream_app.settings.kinds import LEAST_MESSAGE_BYTES

_OLDEST = (3, 9)
_SET = ("cleanup.policy", "max.message.bytes")
"""Set when topics are created: a broker that reports only what was set (Tansu) reports these where they matter."""
_JUDGED = (*_SET, "min.insync.replicas", "unclean.leader.election.enable", "retention.ms")


def cluster(settings: Settings, admin: Any) -> Iterator[Finding]:
    """The brokers."""
    described = admin.describe_cluster()
    brokers = [broker for broker in described["brokers"] if not broker.get("is_fenced")]
    version = admin.get_broker_version_data(brokers[0]["broker_id"]).broker_version
    features = {
        name: found["finalized"][1] for name, found in admin.describe_features().items() if "finalized" in found
    }
    level = f", metadata.version {features['metadata.version']}" if "metadata.version" in features else ""
    count = "1 broker" if len(brokers) == 1 else f"{len(brokers)} brokers"
    cluster_id = described["cluster_id"]
    what = f"{count} at {settings.brokers}, cluster {cluster_id}, Kafka {'.'.join(map(str, version))}{level}"
    if version < _OLDEST:
        yield problem("Kafka", what, "use Kafka 3.9 or newer")
    else:
        yield ok("Kafka", what)
    for listener in advertised_listeners(settings):
        if listener.refusal:
            what = f"a broker advertises {listener.address}: {listener.refusal}"
            yield problem("Kafka", what, ADVERTISED_ADVICE)
    if fenced := len(described["brokers"]) - len(brokers):
        yield warning("Kafka", f"{fenced} of {len(described['brokers'])} brokers are fenced off", "read their logs")


def topics(settings: Settings, admin: Any, _consumer: Any) -> Iterator[Finding]:
    """Whether they are there, have the right partitions, keep what they hold, and take what is written to them."""
    states = list(compared(admin, settings))
    wrong = [state.finding for state in states if state.finding]
    if not wrong:
        there = sum(state.exists for state in states)
        yield ok("topics", f"all {there} there, the inputs with {settings.partitions} partitions each")
    facts = facts_of(settings, admin)
    limits = limits_of(admin, [*facts])
    described = {topic["name"]: topic["partitions"] for topic in admin.describe_topics([*facts])}
    now = [
        finding
        for topic in topics_of(settings)
        if topic.name in facts
        for finding in (*_replicas(topic.name, described[topic.name]), *_size(settings, topic, limits.get(topic.name)))
    ]
    judged = (*gathered(wrong), *audit_of(settings, facts), *gathered(now, len(facts)))
    yield from sorted(
        (_shown(each, settings) for each in judged), key=lambda shown: shown.state is not Severity.PROBLEM
    )
    if unreported := ", ".join(_unreported(settings, facts)):
        yield ok("topics", f"not reported by this broker, so not judged: {unreported}")


def _shown(finding: Finding, settings: Settings) -> Finding:
    """A finding about topics, for the doctor: a danger is a problem only where it keeps workers from starting."""
    is_problem = finding.state is Severity.PROBLEM or (finding.is_danger and settings.production)
    state = Severity.PROBLEM if is_problem else Severity.WARNING
    return Finding("topics", state, f"{finding.area}: {finding.found}", finding.advice)


def _replicas(name: str, partitions: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    if any(partition["leader_id"] < 0 for partition in partitions):
        yield problem(name, "partitions without a leader", "start the brokers that hold them")
    elif any(len(partition["isr_nodes"]) < len(partition["replica_nodes"]) for partition in partitions):
        advice = "is a broker down? it catches up by itself when it is back"
        yield warning(name, "copies that are not in step", advice)


def _size(settings: Settings, topic: TopicSpec, limit: int | None) -> Iterator[Finding]:
    """`limit`: the smaller one of the topic and of the brokers, if they say one."""
    if limit is None or limit >= settings.max_message_bytes or topic.name in settings.source_topics:
        return
    wanted = topic.config.get(OF_TOPIC, settings.max_message_bytes)
    alter = f"{altering(OF_TOPIC, wanted)}, and {OF_BROKER} of the brokers where it is smaller"
    if limit < LEAST_MESSAGE_BYTES:
        yield problem(topic.name, f"takes records of {limit} bytes only: workers end with 74", alter)
        return
    found = f"takes records of {limit} bytes, less than STREAM_APP_MAX_MESSAGE_BYTES ({settings.max_message_bytes})"
    yield warning(topic.name, f"{found}: messages are cut into more parts, dead letters shortened earlier", alter)


def _unreported(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[str]:
    """The configurations that the broker leaves out, of topics whose configuration this user may see."""
    visible = {name: fact.config for name, fact in facts.items() if fact.config is not None}
    for setting in _JUDGED:
        silent = {name for name, config in visible.items() if setting not in config}
        matters = setting not in _SET or any(setting in t.config for t in topics_of(settings) if t.name in silent)
        if silent and matters:
            yield setting if len(silent) == len(visible) else f"{setting} (of some topics)"
