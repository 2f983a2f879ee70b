"""All checks, one after the other: a server that cannot be reached is a finding, and the other checks go on."""

from collections.abc import Iterator
from typing import Any

from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from stream_app.findings import Finding, problem
from stream_app.kafka.clients import KafkaOperationError, open_admin, open_consumer
from stream_app.ops.doctor import alerts, counting, kafka, machine, records, redis
from stream_app.settings import Settings

_UNANSWERED = (KafkaTimeoutError, RequestTimedOutError)
"""After one of these the next request would wait as long again."""
_KAFKA_CHECKS = {
    "topics": kafka.topics,
    "counting": counting.counting,
    "records": records.inputs,
    "dead letters": records.set_aside,
}


def check_all(settings: Settings) -> Iterator[Finding]:
    """Every finding, as soon as it is made. Changes nothing, and never waits for long."""
    yield from machine.versions(settings)
    yield from _kafka(settings)
    yield from redis.redis(settings)
    yield from alerts.alerts(settings)
    yield from machine.worker(settings)


def _kafka(settings: Settings) -> Iterator[Finding]:
    try:
        with open_admin(settings) as admin, open_consumer(settings) as reader:
            yield from kafka.cluster(settings, admin)
            yield from _each(settings, admin, reader)
    except KafkaOperationError as error:
        what, _, advice = str(error).rpartition("; ")
        yield problem("Kafka", what, f"{advice} The checks that need Kafka were left out")


def _each(settings: Settings, admin: Any, reader: Any) -> Iterator[Finding]:
    """The checks that need Kafka: one that Kafka refuses does not stop the others."""
    for area, check in _KAFKA_CHECKS.items():
        try:
            yield from check(settings, admin, reader)
        except _UNANSWERED:
            raise
        except (KafkaConnectionError, NodeNotReadyError) as error:
            yield problem(area, f"a broker cannot be reached: {error}", "start it, then run the doctor again")
        except KafkaError as error:
            yield problem(area, f"Kafka refuses: {error}", "is this user allowed to? See its ACLs")
