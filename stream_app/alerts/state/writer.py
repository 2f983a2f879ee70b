"""Writes the state topic, and the messages that could not be delivered."""

from collections.abc import Mapping
from typing import Any

import msgspec
from kafka.errors import MessageSizeTooLargeError

from stream_app.alerts.leadership import CLOSE_MS
from stream_app.alerts.state import state_records
from stream_app.alerts.state.state_records import LEADER_KEY, LeaderRecord, StateRecord
from stream_app.core.messages import Undelivered
from stream_app.kafka.clients import new_producer
from stream_app.settings import Settings

WRITER_HEADER = "by"
"""The name of the instance that wrote the record."""

_ACK_TIMEOUT_S = 30.0
_MAX_REQUEST_BYTES = 4_000_000
_OVERHEAD = 1_024
"""Of a batch with one record, and its key."""
_LONGEST_REASON = 1_000


class StateWriter:
    """Writes records in order; each method returns when Kafka has acknowledged them."""

    def __init__(self, settings: Settings) -> None:
        """Raises KafkaError."""
        self._settings = settings
        self._name = ""
        self._producer = new_producer(settings, max_request_size=_MAX_REQUEST_BYTES)

    def claim(self, leader: LeaderRecord) -> None:
        """Write that this instance leads from here on. Raises KafkaError."""
        self._name = leader.name
        self.write({LEADER_KEY: leader})

    def write(self, records: Mapping[str, StateRecord | None]) -> None:
        """Set keys of the state topic, or delete them (None). Raises KafkaError."""
        topic, headers = self._settings.alerts_topic, [(WRITER_HEADER, self._name.encode())]
        self._wait_for_acks(
            [
                self._producer.send(
                    topic, None if record is None else state_records.encode(record), key.encode(), headers
                )
                for key, record in records.items()
            ]
        )

    def write_undelivered(self, message: Undelivered) -> None:
        """Keep a message that could not be delivered, with as many of its flags as fit. Raises KafkaError."""
        topic, most = self._settings.undelivered_topic, self._settings.max_message_bytes - _OVERHEAD
        message = msgspec.structs.replace(message, reason=message.reason[:_LONGEST_REASON])
        while True:
            value = msgspec.json.encode(message)
            try:
                if len(value) <= most or not message.flags:
                    self._wait_for_acks([self._producer.send(topic, value, message.sink.encode())])
                    return
            except MessageSizeTooLargeError:
                if not message.flags:
                    raise
            message = msgspec.structs.replace(message, flags=message.flags[: len(message.flags) // 2])

    def wrote(self, record: Any) -> bool:
        """Whether this instance wrote a record of the state topic, since it leads."""
        return (WRITER_HEADER, self._name.encode()) in record.headers

    def close(self) -> None:
        """Close the connection."""
        self._producer.close(CLOSE_MS / 1000)

    def _wait_for_acks(self, sent: list[Any]) -> None:
        if sent:
            self._producer.flush(_ACK_TIMEOUT_S)
        for future in sent:
            future.get(_ACK_TIMEOUT_S)
