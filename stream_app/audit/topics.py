"""What is dangerous about the topics: where confirmed records can be lost, or state be deleted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stream_app.audit.findings import Finding
from stream_app.engine.topics import Topic, topics_of
from stream_app.settings import Settings

_ALTER = "kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config"
_FOREVER_MS = -1

Remark = tuple[str, str, bool]
"""What is wrong with a topic, what to do, and whether it is a danger."""


class TopicFacts(NamedTuple):
    """A topic as it is."""

    partitions: int
    copies: int
    """Of the partition that has the fewest."""
    config: Mapping[str, str] | None
    """As far as the broker tells; None where we may not ask."""


def topics(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    """Every topic of the tracker that there is; what a broker does not tell is not judged."""
    remarks = [
        (topic.name, remark)
        for topic in topics_of(settings)
        if topic.name in facts
        for remark in _remarks(topic, facts[topic.name], settings)
    ]
    for (what, advice, is_danger), names in _grouped(remarks):
        where = "every topic" if len(names) == len(facts) > 1 else ", ".join(names)
        yield Finding(where, what, advice.replace("TOPIC", names[0] if len(names) == 1 else "TOPIC"), is_danger)
    yield from _unequal(settings, facts)


def _remarks(topic: Topic, fact: TopicFacts, settings: Settings) -> Iterator[Remark]:
    config = fact.config
    if config is None:
        yield "its configuration may not be seen, nor judged", "allow DescribeConfigs, see deploy/security.md", True
        config = {}
    yield from _copies(fact.copies, config)
    yield from _cleanup(topic, config)
    if config.get("unclean.leader.election.enable") == "true":
        yield (
            "unclean leader election: a broker that lacks confirmed records may lead",
            f"{_ALTER} unclean.leader.election.enable=false",
            True,
        )
    if topic.name in settings.input_topics:
        yield from _retention(config, settings.window_s)


def _copies(copies: int, config: Mapping[str, str]) -> Iterator[Remark]:
    if copies == 1:
        yield (
            "one copy only: all is lost with the disk of one broker",
            "have three brokers and topics with three copies (`stream-app topics create --replication 3`)",
            True,
        )
        return
    least = int(config.get("min.insync.replicas", 2))
    if least < 2:
        yield (
            "min.insync.replicas 1: what one broker has is confirmed already, and lost with it",
            f"{_ALTER} min.insync.replicas=2",
            True,
        )
    if least > copies:
        advice = f"{_ALTER} min.insync.replicas={copies - 1}"
        yield f"min.insync.replicas {least} of {copies} copies: nothing can be written", advice, True


def _cleanup(topic: Topic, config: Mapping[str, str]) -> Iterator[Remark]:
    found, wanted = config.get("cleanup.policy"), topic.config.get("cleanup.policy", "delete")
    if found is None or found == wanted:
        return
    why = "what is kept there is deleted by age" if wanted == "compact" else "records with the same key are deleted"
    yield f"cleanup.policy {found}: {why}", f"{_ALTER} cleanup.policy={wanted}", True


def _retention(config: Mapping[str, str], window_s: float) -> Iterator[Remark]:
    kept_ms = int(config.get("retention.ms", _FOREVER_MS))
    if kept_ms != _FOREVER_MS and kept_ms < window_s * 1000:
        yield (
            f"kept for {kept_ms / 3_600_000:g} h, less than the window: the counts could not be made anew from it",
            f"{_ALTER} retention.ms={round(window_s * 1000)}",
            False,
        )


def _unequal(settings: Settings, facts: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    partitions = {name: facts[name].partitions for name in settings.input_topics if name in facts}
    if len(set(partitions.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in partitions.items())
        yield Finding(
            "the input topics",
            f"unequal partitions ({told}): the posts and the shares of a user go to different ledgers",
            "start with new topics and a new STREAM_APP_APP_ID; partitions cannot be taken away",
        )


def _grouped(remarks: Iterable[tuple[str, Remark]]) -> Iterator[tuple[Remark, list[str]]]:
    """Each remark once, with the names of the topics that it is about."""
    grouped = defaultdict(list)
    for name, remark in remarks:
        grouped[remark].append(name)
    yield from grouped.items()
