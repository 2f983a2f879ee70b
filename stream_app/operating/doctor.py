"""The examination as a whole: one part after the other; what cannot be reached is a finding, and the others go on."""

from collections.abc import Iterator
from typing import Any

from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, RequestTimedOutError

from stream_app.operating import exam_counting, exam_kafka, exam_machine, exam_records, exam_redis
from stream_app.operating.clients import OperatingError, administration, consumer
from stream_app.operating.findings import Finding, problem
from stream_app.settings import Settings

_UNANSWERED = (KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError)
"""After one of these the next question would only wait as long again."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding, as soon as it is made. Changes nothing anywhere, and never waits for long."""
    yield from exam_machine.versions(settings)
    yield from _kafka(settings)
    yield from exam_redis.redis(settings)
    yield from exam_machine.worker(settings)


def _kafka(settings: Settings) -> Iterator[Finding]:
    try:
        with administration(settings) as admin, consumer(settings) as reader:
            yield from exam_kafka.cluster(settings, admin)
            yield from _each(settings, admin, reader)
    except OperatingError as error:
        what, _, advice = str(error).rpartition("; ")
        yield problem("Kafka", what, f"{advice} What Kafka would have told was not examined")


def _each(settings: Settings, admin: Any, reader: Any) -> Iterator[Finding]:
    """The parts that need Kafka: one that is refused does not keep the others from being asked."""
    for part in (exam_kafka.topics, exam_counting.counting, exam_records.inputs, exam_records.set_aside):
        try:
            yield from part(settings, admin, reader)
        except _UNANSWERED:
            raise
        except KafkaError as error:
            yield problem(part.__name__, f"Kafka refuses: {error}", "is this user allowed to? See its ACLs")
