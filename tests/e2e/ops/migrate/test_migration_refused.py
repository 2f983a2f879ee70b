"""What a migration refuses, in a sentence, before it has made anything; and what a dry run says."""

import json
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition

from stream_app.kafka.clients import open_admin, open_producer
from stream_app.kafka.topic_scan import Span, spans
from stream_app.ops.migrate import migration_plan
from stream_app.settings import Settings
from tests.unit.ops.parts import made, produce, run, settings_of

DAY_MS = 86_400_000


@pytest.fixture
def own(brokers: str, request: pytest.FixtureRequest) -> Settings:
    """A tracker's topics, with three events."""
    settings = made(settings_of(brokers, f"refused{abs(hash(request.node.nodeid))}"))
    produce(settings, settings.posts_topic, [(0, b"ann", b'{"event_id":"1"}', [])] * 3)
    return settings


def refusal(settings: Settings, partitions: int = 3) -> str:
    result = run(settings, "migrate", "--partitions", partitions)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    with open_admin(settings) as admin:
        assert not [name for name in admin.list_topics() if name.startswith(f"{settings.posts_topic}.p")]
    return str(result.stderr)


def test_the_number_that_it_has_is_refused(own: Settings) -> None:
    assert "the topics have 2 partitions already" in refusal(own, partitions=2)


def test_settings_that_are_not_those_of_the_topics_are_refused(own: Settings) -> None:
    other = msgspec.structs.replace(own, partitions=5)
    assert "run this with the settings of the tracker as it is" in refusal(other)


def test_a_partitioner_that_nobody_knows_is_refused(own: Settings) -> None:
    other = msgspec.structs.replace(own, partitioner="any")
    assert "where the producers place a user is not known" in refusal(other)


def test_inputs_that_are_kept_for_less_than_the_window_are_refused(apache_brokers: str) -> None:
    own = settings_of(apache_brokers, "refused-retention")
    kept = {"num_partitions": own.partitions, "replication_factor": 1, "configs": {"retention.ms": "3600000"}}
    with open_admin(own) as admin:
        admin.create_topics({own.shares_topic: kept})
    refused = refusal(made(own))
    assert f"{own.shares_topic} keeps records for 1 h, less than the window of 24 h" in refused
    assert "Set its retention.ms higher" in refused


def test_a_dry_run_makes_nothing_and_estimates_the_disk(own: Settings) -> None:
    result = run(own, "migrate", "--partitions", 3, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["dry_run"], found["done"], found["records"], found["workers"]) == (True, False, 3, 0)
    assert found["bytes_needed"] == 3 * (len(b'ann{"event_id":"1"}') + 64)
    assert found["settings"]["STREAM_APP_PARTITIONS"] == "3"
    with open_admin(own) as admin:
        assert f"{own.posts_topic}.p3" not in admin.list_topics()
    shown = run(own, "migrate", "--partitions", 3, "--dry-run")
    assert f"{own.posts_topic}.p3" in shown.stdout
    assert "3 records" in shown.stdout


@pytest.mark.parametrize("watermark_ms", [DAY_MS * 25_000, 10**16 - 1])
def test_a_window_whose_oldest_records_are_gone_is_refused(
    own: Settings, watermark_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_producer(own) as producer:
        producer.send(own.curves_topic, str(watermark_ms).encode(), b"watermark", partition=0).get(10)
        producer.send(own.posts_topic, b"{}", b"ann", partition=0, timestamp_ms=DAY_MS * 25_000).get(10)
        producer.send(own.posts_topic, b"{}", b"ann", partition=0, timestamp_ms=DAY_MS * 25_000).get(10)

    def newest(consumer: Any, places: list[TopicPartition]) -> dict[TopicPartition, Span]:
        return {place: Span(max(end - 2, 0), end) for place, (_, end) in spans(consumer, places).items()}

    monkeypatch.setattr(migration_plan, "spans", newest)  # as after retention
    assert "Kafka no longer has all records of the window" in refusal(own)
