"""The examination as a whole: one part after the other; what cannot be reached is a finding, and the others go on."""

from collections.abc import Iterator
from typing import Any

from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from stream_app.kafka.operator_clients import OperatingError, administration, consumer
from stream_app.ops.doctor import alerts, counting, kafka, machine, records, redis
from stream_app.ops.doctor.findings import Finding, problem
from stream_app.settings import Settings

_UNANSWERED = (KafkaTimeoutError, RequestTimedOutError)
"""After one of these the next question would only wait as long again."""
_PARTS = {
    "topics": kafka.topics,
    "counting": counting.counting,
    "records": records.inputs,
    "dead letters": records.set_aside,
}


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, as soon as it is made. Changes nothing anywhere, and never waits for long."""
    yield from machine.versions(settings)
    yield from _kafka(settings)
    yield from redis.redis(settings)
    yield from alerts.alerts(settings)
    yield from machine.worker(settings)


def _kafka(settings: Settings) -> Iterator[Finding]:
    try:
        with administration(settings) as admin, consumer(settings) as reader:
            yield from kafka.cluster(settings, admin)
            yield from _each(settings, admin, reader)
    except OperatingError as error:
        what, _, advice = str(error).rpartition("; ")
        yield problem("Kafka", what, f"{advice} What Kafka would have told was not examined")


def _each(settings: Settings, admin: Any, reader: Any) -> Iterator[Finding]:
    """The parts that need Kafka: one that is refused does not keep the others from being asked."""
    for area, part in _PARTS.items():
        try:
            yield from part(settings, admin, reader)
        except _UNANSWERED:
            raise
        except (KafkaConnectionError, NodeNotReadyError) as error:
            yield problem(area, f"a broker cannot be reached: {error}", "see to it, then examine again")
        except KafkaError as error:
            yield problem(area, f"Kafka refuses: {error}", "is this user allowed to? See its ACLs")
