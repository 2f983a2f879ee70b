"""The connections of operators: every client of Kafka they use is made here, and none waits for ever."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.serializer import Serializer

from stream_app.kafka.admin import Administration
from stream_app.kafka.clients import kafka_python_options
from stream_app.kafka.error_hints import kafka_advice
from stream_app.kafka.reachability import UnreachableError, require_reachable
from stream_app.settings import Settings

TIMEOUT_S = 5.0
_TIMEOUT_MS = round(TIMEOUT_S * 1000)
_FETCH_WAIT_MS = 100
_FETCH_BYTES = 8_000_000
"""Of a partition, and of a record that is produced: what is set aside may be larger than Kafka's defaults."""

NOTHING = object()
"""What `producer` is given for no value, where there is no key either: kafka-python refuses None for both."""


class OperatingError(RuntimeError):
    """A server cannot be asked or does not do as told; the message says which, and what to do next."""


class _Values(Serializer):  # type: ignore[misc]  # kafka-python has no types
    """Every value as it is."""

    def serialize(self, topic: str, headers: Any, data: Any) -> Any:  # noqa: ARG002 - its own signature
        """What Kafka gets."""
        return None if data is NOTHING else data


@contextmanager
def administration(settings: Settings) -> Iterator[Any]:
    """A client for administration, for the length of the block. Raises OperatingError, also for what fails in it."""
    with _told(settings), closing(Administration(**_common(settings))) as admin:
        yield admin


@contextmanager
def consumer(settings: Settings) -> Iterator[Any]:
    """A consumer without a group, which disturbs nobody, of what is committed as the workers see it.

    Raises OperatingError, also for what fails in the block.
    """
    with _told(settings):
        made = KafkaConsumer(
            **_common(settings),
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
            metrics_enabled=False,
        )
        with closing(made):
            yield made


@contextmanager
def producer(settings: Settings) -> Iterator[Any]:
    """A producer for topics that exist. Raises OperatingError, also for what fails in the block."""
    with _told(settings):
        made = KafkaProducer(
            **_common(settings),
            max_block_ms=_TIMEOUT_MS,
            delivery_timeout_ms=2 * _TIMEOUT_MS,
            max_request_size=_FETCH_BYTES,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            value_serializer=_Values(),
        )
        try:
            yield made
        finally:
            made.close(TIMEOUT_S)


def _common(settings: Settings) -> dict[str, Any]:
    return {
        **kafka_python_options(settings),
        "bootstrap_timeout_ms": _TIMEOUT_MS,
        "request_timeout_ms": _TIMEOUT_MS,
    }


@contextmanager
def _told(settings: Settings) -> Iterator[None]:
    try:
        require_reachable(settings)
        yield
    except UnreachableError as error:
        raise OperatingError(f"{error.what}; {error.advice}") from error
    except KafkaError as error:
        advice = kafka_advice(error, settings) or "does it run, and is STREAM_APP_BROKERS right?"
        raise OperatingError(f"Kafka at {settings.brokers} does not do as asked: {error}; {advice}") from error
