"""Every aiokafka client is made here; Faust's own consumer takes the same connection options."""

from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.abc import AbstractTokenProvider

from stream_app.kafka.options import connection_options, read_token
from stream_app.kafka.record_batches import leave_records_packed
from stream_app.settings import Settings, SettingsError


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """How every client of aiokafka connects, Faust's too. Raises SettingsError."""
    return connection_options(settings, _AsyncTokenProvider)


def new_async_consumer(connection: Mapping[str, Any], *topics: str, **options: Any) -> AIOKafkaConsumer:
    """A consumer without a group that begins at the beginning; not started. `options` replace the defaults.

    It hands over record batches, not records. aiokafka's fetcher is patched for that here, because everything in this
    package that reads with aiokafka gets its consumer here. Faust makes its own consumer: `configured_app` calls
    `leave_records_packed` too.
    """
    leave_records_packed()
    defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100}
    return AIOKafkaConsumer(*topics, **connection, **{**defaults, **options})


def new_async_producer(settings: Settings, **options: Any) -> AIOKafkaProducer:
    """A producer that waits for all replicas; not started. `options` replace the defaults. Raises SettingsError."""
    return AIOKafkaProducer(**aiokafka_options(settings), **{"acks": "all", **options})


class _AsyncTokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Reads the token again for every connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def token(self) -> str:
        """Raises OSError, after which aiokafka tries again; the file is small and local, so it may block."""
        try:
            return read_token(self._settings)
        except SettingsError as error:
            raise OSError(str(error)) from error
