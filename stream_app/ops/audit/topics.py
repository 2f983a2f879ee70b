"""Audit of the topics: where confirmed records can be lost, or state be deleted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stream_app.findings import Finding, danger, problem, warning
from stream_app.kafka.topics import TopicSpec, topics_of
from stream_app.settings import Settings

_FOREVER_MS = -1


class TopicFacts(NamedTuple):
    """A topic as it is."""

    partitions: int
    copies: int
    """Of the partition that has the fewest."""
    config: Mapping[str, str] | None
    """As far as the broker reports it; None where this user may not see it."""


def topics(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    """Every topic of the tracker that exists; a configuration that the broker does not report is not judged."""
    found = [
        finding
        for topic in topics_of(settings)
        if topic.name in facts
        for finding in _findings(topic, facts[topic.name], settings)
    ]
    yield from gathered(found, len(facts))
    yield from _unequal(settings, facts)


def gathered(findings: Iterable[Finding], every: int = 0) -> Iterator[Finding]:
    """Findings about topics, each once, with all topics it is about; where these are `every` topic, it says so.

    In an advice, TOPIC is replaced by the name of the topic where there is only one.
    """
    names = defaultdict(list)
    for finding in findings:
        names[finding[1:]].append(finding.area)
    for (state, found, advice), topic_names in names.items():
        area = "every topic" if len(topic_names) == every > 1 else ", ".join(topic_names)
        yield Finding(area, state, found, advice.replace("TOPIC", area) if len(topic_names) == 1 else advice)


def altering(name: str, value: object) -> str:
    """The advice to set a configuration of a topic."""
    return f"kafka-configs.sh --bootstrap-server … --alter --topic TOPIC --add-config {name}={value}"


def _findings(topic: TopicSpec, fact: TopicFacts, settings: Settings) -> Iterator[Finding]:
    config = fact.config
    if config is None:
        advice = "allow DescribeConfigs, see docs/security.md"
        yield danger(topic.name, "its configuration may not be seen, nor judged", advice)
        config = {}
    yield from _copies(topic.name, fact.copies, config)
    yield from _cleanup(topic, config)
    if config.get("unclean.leader.election.enable") == "true":
        yield danger(
            topic.name,
            "unclean leader election: a broker that lacks confirmed records may lead",
            altering("unclean.leader.election.enable", "false"),
        )
    if topic.name in settings.source_topics:
        yield from _retention(topic.name, config, settings.window_s)


def _copies(name: str, copies: int, config: Mapping[str, str]) -> Iterator[Finding]:
    if copies == 1:
        yield danger(
            name,
            "one copy only: all is lost with the disk of one broker",
            "in production have three brokers, and create topics with `stream-app topics create --replication 3`",
        )
        return
    if "min.insync.replicas" not in config:
        return
    least = int(config["min.insync.replicas"])
    if least < 2:
        yield danger(
            name,
            "min.insync.replicas 1: Kafka confirms a record that one broker has, and it is lost with that broker",
            altering("min.insync.replicas", 2),
        )
    if least >= copies:
        # Kafka lowers a number above that of the copies to it; other brokers may not.
        found = f"min.insync.replicas {least} of {copies} copies: nothing can be written while a broker is down"
        lower = altering("min.insync.replicas", copies - 1)
        advice = lower if copies > 2 else f"have three copies, or accept losing what one broker confirmed: {lower}"
        yield (danger if least > copies else warning)(name, found, advice)


def _cleanup(topic: TopicSpec, config: Mapping[str, str]) -> Iterator[Finding]:
    policy, wanted = config.get("cleanup.policy"), topic.config.get("cleanup.policy", "delete")
    if policy is None or policy == wanted:
        return
    why = "its records are deleted by age" if wanted == "compact" else "records with the same key are deleted"
    yield problem(topic.name, f"cleanup.policy {policy}: {why}", altering("cleanup.policy", wanted))


def _retention(name: str, config: Mapping[str, str], window_s: float) -> Iterator[Finding]:
    kept_ms = int(config.get("retention.ms", _FOREVER_MS))
    if kept_ms != _FOREVER_MS and kept_ms < window_s * 1000:
        yield warning(
            name,
            f"kept for {kept_ms / 3_600_000:g} h, less than the window: a reset could not count all of it again",
            altering("retention.ms", round(window_s * 1000)),
        )


def _unequal(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    partitions = {name: facts[name].partitions for name in settings.source_topics if name in facts}
    if len(set(partitions.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in partitions.items())
        yield problem(
            "the input topics",
            f"unequal partitions ({counts}): the posts and the shares of a user go to different ledgers",
            "start with new topics and a new STREAM_APP_APP_ID; partitions cannot be taken away",
        )
