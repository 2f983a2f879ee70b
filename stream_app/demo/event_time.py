"""Event time as a demo says it: a watermark on the curves topic, for what no event says.

A worker that has read all of a source waits a while before it goes on in event time without it, for more may come (see
source_reach). Who sends all events knows better.
"""

from typing import Any

from stream_app.kafka.clients import new_producer
from stream_app.settings import Settings

_PATIENCE_S = 30.0


class EventTime:
    """Says how far event time has come; to be closed."""

    def __init__(self, settings: Settings, key: bytes) -> None:
        """`key`: that of watermarks on the curves topic."""
        self._settings = settings
        self._key = key
        self._producer: Any = None

    def say(self, ts_ms: int) -> None:
        """Say that all events up to a time are in Kafka, epoch ms. Raises KafkaError."""
        self._producer = self._producer or new_producer(self._settings)
        topic = self._settings.curves_topic
        self._producer.send(topic, str(ts_ms).encode(), self._key, partition=0).get(_PATIENCE_S)

    def close(self, timeout_s: float) -> None:
        """Close the connection."""
        if self._producer is not None:
            self._producer.close(timeout_s)
