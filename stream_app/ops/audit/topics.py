"""What is dangerous about the topics: where confirmed records can be lost, or state be deleted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stream_app.kafka.topics import TopicSpec, topics_of
from stream_app.ops.audit.findings import AuditFinding, Grade
from stream_app.settings import Settings

_FOREVER_MS = -1


class Remark(NamedTuple):
    """What is wrong with a topic, and what to do, where TOPIC stands for its name."""

    what: str
    advice: str
    grade: Grade = Grade.DANGER


class TopicFacts(NamedTuple):
    """A topic as it is."""

    partitions: int
    copies: int
    """Of the partition that has the fewest."""
    config: Mapping[str, str] | None
    """As far as the broker tells; None where we may not ask."""


def topics(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[AuditFinding]:
    """Every topic of the tracker that there is; what a broker does not tell is not judged."""
    remarks = [
        (topic.name, remark)
        for topic in topics_of(settings)
        if topic.name in facts
        for remark in _remarks(topic, facts[topic.name], settings)
    ]
    yield from gathered(remarks, len(facts))
    yield from _unequal(settings, facts)


def gathered(remarks: Iterable[tuple[str, Remark]], every: int = 0) -> Iterator[AuditFinding]:
    """Each remark once, with the names of the topics that it is about; where these are `every` topic, it says so."""
    about = defaultdict(list)
    for name, remark in remarks:
        about[remark].append(name)
    for (what, advice, grade), names in about.items():
        where = "every topic" if len(names) == every > 1 else ", ".join(names)
        yield AuditFinding(where, what, advice.replace("TOPIC", names[0]) if len(names) == 1 else advice, grade)


def altering(name: str, value: object) -> str:
    """The advice to set a configuration of a topic."""
    return f"kafka-configs.sh --bootstrap-server … --alter --topic TOPIC --add-config {name}={value}"


def _remarks(topic: TopicSpec, fact: TopicFacts, settings: Settings) -> Iterator[Remark]:
    config = fact.config
    if config is None:
        yield Remark("its configuration may not be seen, nor judged", "allow DescribeConfigs, see docs/security.md")
        config = {}
    yield from _copies(fact.copies, config)
    yield from _cleanup(topic, config)
    if config.get("unclean.leader.election.enable") == "true":
        yield Remark(
            "unclean leader election: a broker that lacks confirmed records may lead",
            altering("unclean.leader.election.enable", "false"),
        )
    if topic.name in settings.input_topics:
        yield from _retention(config, settings.window_s)


def _copies(copies: int, config: Mapping[str, str]) -> Iterator[Remark]:
    if copies == 1:
        yield Remark(
            "one copy only: all is lost with the disk of one broker",
            "in production have three brokers, and create topics with `stream-app topics create --replication 3`",
        )
        return
    if "min.insync.replicas" not in config:
        return
    least = int(config["min.insync.replicas"])
    if least < 2:
        yield Remark(
            "min.insync.replicas 1: what one broker has is confirmed already, and lost with it",
            altering("min.insync.replicas", 2),
        )
    if least >= copies:
        # More than there are copies: Kafka takes it for as many, other brokers may take it at its word.
        lower = altering("min.insync.replicas", copies - 1)
        yield Remark(
            f"min.insync.replicas {least} of {copies} copies: nothing can be written while a broker is down",
            lower if copies > 2 else f"have three copies, or put up with losing what one broker confirmed: {lower}",
            Grade.DANGER if least > copies else Grade.WARNING,
        )


def _cleanup(topic: TopicSpec, config: Mapping[str, str]) -> Iterator[Remark]:
    found, wanted = config.get("cleanup.policy"), topic.config.get("cleanup.policy", "delete")
    if found is None or found == wanted:
        return
    why = "what is kept there is deleted by age" if wanted == "compact" else "records with the same key are deleted"
    yield Remark(f"cleanup.policy {found}: {why}", altering("cleanup.policy", wanted), Grade.HARM)


def _retention(config: Mapping[str, str], window_s: float) -> Iterator[Remark]:
    kept_ms = int(config.get("retention.ms", _FOREVER_MS))
    if kept_ms != _FOREVER_MS and kept_ms < window_s * 1000:
        yield Remark(
            f"kept for {kept_ms / 3_600_000:g} h, less than the window: the counts could not be made anew from it",
            altering("retention.ms", round(window_s * 1000)),
            Grade.WARNING,
        )


def _unequal(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[AuditFinding]:
    partitions = {name: facts[name].partitions for name in settings.input_topics if name in facts}
    if len(set(partitions.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in partitions.items())
        yield AuditFinding(
            "the input topics",
            f"unequal partitions ({told}): the posts and the shares of a user go to different ledgers",
            "start with new topics and a new STREAM_APP_APP_ID; partitions cannot be taken away",
            Grade.HARM,
        )
