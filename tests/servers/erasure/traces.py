"""Where a text still occurs: in live records on Kafka, in Redis, in logs and metrics."""

import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import redis
from kafka import KafkaConsumer, TopicPartition

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.state.ledger import Ledger
from stream_app.kafka.topics import changelogs_of, topics_of
from stream_app.settings import Settings
from tests.e2e.erasure.load import Counts
from tests.servers.reading import up_to_the_end
from tests.servers.tracker import Tracker
from tests.unit.core.streams import totals_of


def records_of(settings: Settings, topic: str) -> Iterator[Any]:
    """All records of a topic, up to its present end."""
    consumer = KafkaConsumer(
        bootstrap_servers=settings.brokers, auto_offset_reset="earliest", enable_auto_commit=False, group_id=None
    )
    places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(places)
    consumer.seek_to_beginning()
    yield from up_to_the_end(consumer)
    consumer.close()


def live(settings: Settings, topic: str) -> dict[tuple[int, bytes], Any]:
    """The last record of every key that has a value, by partition and key."""
    last = {(record.partition, record.key): record for record in records_of(settings, topic)}
    return {key: record for key, record in last.items() if record.value is not None}


def on_kafka(settings: Settings, texts: Iterable[str], spared: Iterable[str] = ()) -> set[str]:
    """The topics, but for the input and those `spared`, whose live records hold one of the texts."""
    wanted = [text.encode() for text in texts]
    found = set()
    for topic in topics_of(settings):
        if topic.name in {*settings.input_topics, *spared}:
            continue
        is_compacted = topic.config.get("cleanup.policy") == "compact"
        records = live(settings, topic.name).values() if is_compacted else records_of(settings, topic.name)
        for record in records:
            parts = [record.key or b"", record.value or b"", *(value for _, value in record.headers)]
            if any(text in part for text in wanted for part in parts):
                found.add(topic.name)
    return found


def on_redis(settings: Settings, texts: Iterable[str]) -> set[str]:
    """The keys of the board that hold one of the texts."""
    client: Any = redis.Redis.from_url(settings.redis_url.reveal(), decode_responses=True)
    readers = {
        "hash": client.hgetall,
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": client.xrange,
        "string": client.get,
    }
    keys = list(client.scan_iter(match=f"{settings.redis_prefix}:*"))
    texts_of = {key: f"{key} {readers[client.type(key)](key)}" for key in keys if client.exists(key)}
    return {key for key, text in texts_of.items() if any(wanted in text for wanted in texts)}


def in_logs_and_metrics(run: Tracker, texts: Iterable[str]) -> set[str]:
    """The logs and metrics of its workers that hold one of the texts."""
    said = {worker.log.name: Path(worker.log.name).read_text() for worker in run.workers}
    said |= {f"metrics {number}": text for number, text in enumerate(metrics(run))}
    return {where for where, text in said.items() if any(wanted in text for wanted in texts)}


def metrics(run: Tracker) -> list[str]:
    """What the workers that run show at /metrics."""
    shown = []
    for worker in run.workers:
        if worker.process.poll() is None:
            log = Path(worker.log.name).read_text()
            url = log.partition("/readyz on ")[2].split()[0]
            with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
                shown.append(answer.read().decode())
    return shown


def counted(settings: Settings) -> Counts:
    """What the changelog of the segments says that everybody made, by topic and user."""
    stored: dict[int, dict[bytes, bytes]] = {number: {} for number in range(settings.partitions)}
    for (partition, key), record in live(settings, changelogs_of(settings)[0]).items():
        stored[partition][key] = record.value
    found: Counts = {}
    for partition, segments in stored.items():
        ledger = Ledger(settings.pane_ms, settings.panes, settings.short_panes)
        LedgerStore(partition, ledger, segments, lambda _key, _value: None)
        for (_, topic, user), (posts, impressions, _squares) in totals_of(ledger).items():
            assert (topic, user) not in found
            found[topic, user] = (posts, impressions)
    return found
