"""Every kafka-python client is made here: none creates topics by writing to them, and none waits for ever.

`new_*` makes a client that its owner closes. `open_*` is for commands: a client for the length of a block, in which
every failure of Kafka becomes a KafkaOperationError that says what to do.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError
from kafka.serializer import Serializer

from stream_app.kafka.error_hints import kafka_advice
from stream_app.kafka.format.kafka_python import read_all_batches
from stream_app.kafka.options import kafka_python_options
from stream_app.kafka.reachability import UnreachableError, require_reachable
from stream_app.settings import Settings

COMMAND_TIMEOUT_S = 5.0
"""A person waits for a command: it gives up earlier than a service does."""
_TIMEOUT_MS = 10_000
_COMMAND_TIMEOUT_MS = round(COMMAND_TIMEOUT_S * 1000)
_FETCH_WAIT_MS = 100
_COMMAND_FETCH_BYTES = 8_000_000
"""Of a partition, and of a record that is produced: dead letters may be larger than Kafka's defaults."""

NO_VALUE = object()
"""What a producer of `open_producer` is given for no value, where there is no key either: kafka-python refuses None."""


class KafkaOperationError(RuntimeError):
    """Kafka cannot be reached, or does not do what a command asks; the message says what to do next."""


class AdminClient(KafkaAdminClient):  # type: ignore[misc]  # kafka-python has no types
    """kafka-python's, corrected where it hides an answer of the brokers: docs/reliability.md#fault-admin-client."""

    @classmethod
    def _describe_configs_process_responses(cls, responses: Any, config_filter: str = "modified") -> Any:
        """It leaves out a topic whose configuration this user may not see: here the configuration is None."""
        configs = super()._describe_configs_process_responses(responses, config_filter)
        refused = [found for response in responses for found in response.results if found.error_code]
        return {**configs, "topic": {**configs.get("topic", {}), **{found.resource_name: None for found in refused}}}

    def _process_acl_operations(self, found: Any) -> Any:
        """It fails on operations that it does not know (Tansu sets all 32 bits): here they are None."""
        try:
            return super()._process_acl_operations(found)
        except ValueError:
            found["authorized_operations"] = None
            return found


def new_admin(settings: Settings, **options: Any) -> AdminClient:
    """An admin client; `options` replace the defaults. Raises KafkaError, SettingsError."""
    return AdminClient(**{**kafka_python_options(settings), "bootstrap_timeout_ms": _TIMEOUT_MS, **options})


def new_consumer(settings: Settings, **options: Any) -> KafkaConsumer:
    """A consumer without a group, of committed records, from the beginning; `options` replace the defaults.

    It reads every codec, and passes over batches that cannot be read. Raises KafkaError, SettingsError.
    """
    defaults = {
        "group_id": None,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
        "isolation_level": "read_committed",
        "fetch_max_wait_ms": _FETCH_WAIT_MS,
        "bootstrap_timeout_ms": _TIMEOUT_MS,
        "metrics_enabled": False,
    }
    consumer = KafkaConsumer(**{**kafka_python_options(settings), **defaults, **options})
    read_all_batches(consumer, settings.max_unpacked_bytes)
    return consumer


def new_producer(settings: Settings, **options: Any) -> KafkaProducer:
    """A producer for topics that exist; `options` replace the defaults. Raises KafkaError, SettingsError."""
    defaults = {
        "acks": "all",
        "allow_auto_create_topics": False,
        "bootstrap_timeout_ms": _TIMEOUT_MS,
        "max_block_ms": _TIMEOUT_MS,
        "request_timeout_ms": _TIMEOUT_MS,
        "delivery_timeout_ms": 2 * _TIMEOUT_MS,
        "metrics_enabled": False,
    }
    return KafkaProducer(**{**kafka_python_options(settings), **defaults, **options})


@contextmanager
def open_admin(settings: Settings) -> Iterator[Any]:
    """An admin client for a command. Raises KafkaOperationError, also for a KafkaError in the block."""
    with _explained(settings), closing(new_admin(settings, **_command_timeouts())) as admin:
        yield admin


@contextmanager
def open_consumer(settings: Settings) -> Iterator[Any]:
    """A consumer for a command. Raises KafkaOperationError, also for a KafkaError in the block."""
    with (
        _explained(settings),
        closing(
            new_consumer(settings, **_command_timeouts(), max_partition_fetch_bytes=_COMMAND_FETCH_BYTES)
        ) as consumer,
    ):
        yield consumer


@contextmanager
def open_producer(settings: Settings, **options: Any) -> Iterator[Any]:
    """A producer for a command; `options` add to the defaults.

    Raises KafkaOperationError, also for a KafkaError in the block.
    """
    with _explained(settings):
        producer = new_producer(
            settings,
            **_command_timeouts(),
            max_block_ms=_COMMAND_TIMEOUT_MS,
            delivery_timeout_ms=2 * _COMMAND_TIMEOUT_MS,
            max_request_size=_COMMAND_FETCH_BYTES,
            value_serializer=_Unchanged(),
            **options,
        )
        try:
            yield producer
        finally:
            producer.close(COMMAND_TIMEOUT_S)


@contextmanager
def quiet_kafka() -> Iterator[None]:
    """Keep kafka-python from logging what it raises as an error anyhow: it logs every connection refused."""
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _command_timeouts() -> dict[str, int]:
    return {"bootstrap_timeout_ms": _COMMAND_TIMEOUT_MS, "request_timeout_ms": _COMMAND_TIMEOUT_MS}


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    try:
        require_reachable(settings)
        yield
    except UnreachableError as error:
        raise KafkaOperationError(f"{error.what}; {error.advice}") from error
    except KafkaError as error:
        advice = kafka_advice(error, settings) or "is it running, and is STREAM_APP_BROKERS right?"
        raise KafkaOperationError(f"a request to Kafka at {settings.brokers} failed: {error}; {advice}") from error


class _Unchanged(Serializer):  # type: ignore[misc]  # kafka-python has no types
    """Every value as it is."""

    def serialize(self, topic: str, headers: Any, data: Any) -> Any:  # noqa: ARG002 - kafka-python's signature
        """What Kafka gets."""
        return None if data is NO_VALUE else data
