"""Writing: the state topic, and the messages that no sink took."""

from collections.abc import Mapping
from typing import Any

import msgspec
from kafka import KafkaProducer

from stream_app.alerts.leadership import CLOSE_MS, TIMEOUT_MS
from stream_app.alerts.state import state_records
from stream_app.alerts.state.state_records import OWNER, Owner, Record
from stream_app.core.messages import Undelivered
from stream_app.kafka.clients import kafka_python_options
from stream_app.settings import Settings

BY = "by"
"""The header that names the instance that wrote a record."""

_ACK_S = 30.0
_LARGEST_BYTES = 4_000_000


class StateWriter:
    """Writes records, in order, and returns when Kafka has them."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError."""
        self._settings = settings
        self._by = ""
        self._producer = KafkaProducer(
            **kafka_python_options(settings),
            acks="all",
            max_block_ms=TIMEOUT_MS,
            delivery_timeout_ms=2 * TIMEOUT_MS,
            request_timeout_ms=TIMEOUT_MS,
            max_request_size=_LARGEST_BYTES,
            allow_auto_create_topics=False,
            bootstrap_timeout_ms=TIMEOUT_MS,
            metrics_enabled=False,
        )

    def begin(self, owner: Owner) -> None:
        """Say that from here on this instance writes. Raises KafkaError."""
        self._by = owner.name
        self.write({OWNER: owner})

    def write(self, records: Mapping[str, Record | None]) -> None:
        """Set keys of the state topic, or delete them (None). Raises KafkaError."""
        topic, headers = self._settings.alerts_topic, [(BY, self._by.encode())]
        self._all_taken(
            [
                self._producer.send(
                    topic, None if record is None else state_records.encode(record), key.encode(), headers
                )
                for key, record in records.items()
            ]
        )

    def wrote(self, record: Any) -> bool:
        """Whether a record of the state topic is this instance's own, since it began."""
        return (BY, self._by.encode()) in record.headers

    def give_up(self, message: Undelivered) -> None:
        """Keep a message that no sink took. Raises KafkaError."""
        value, key = msgspec.json.encode(message), message.sink.encode()
        self._all_taken([self._producer.send(self._settings.undelivered_topic, value, key)])

    def close(self) -> None:
        """Leave the broker."""
        self._producer.close(CLOSE_MS / 1000)

    def _all_taken(self, sent: list[Any]) -> None:
        if sent:
            self._producer.flush(_ACK_S)
        for record in sent:
            record.get(_ACK_S)
