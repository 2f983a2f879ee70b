"""Message limits: how large a record batch each topic takes, as the brokers say or as a refusal has shown.

Kafka compares `max.message.bytes` (of a topic) and `message.max.bytes` (of a broker, the default of its topics) with a
whole record batch. What the tracker writes keeps below the smaller of both, and of STREAM_APP_MAX_MESSAGE_BYTES, which
holds alone where this user may not describe configurations.
"""

from collections.abc import Callable, Mapping

from stream_app.settings.kinds import LEAST_MESSAGE_BYTES

_OVERHEAD = 1_024
"""Of a batch with one record: its head (61 bytes), lengths, and a key of the tracker's own."""


class MessageLimits:
    """How many bytes may be written to a topic at once."""

    def __init__(self, most: int, known: Callable[[], Mapping[str, int]] = dict) -> None:
        """`most`: of the settings, for every topic; `known`: the limits by topic that the brokers have last said."""
        self._most = most
        self._known = known
        self._refused: dict[str, int] = {}

    def batch(self, topic: str) -> int:
        """Return the size of the largest record batch."""
        return min(self._said(topic), self._refused.get(topic, self._most))

    def record(self, topic: str) -> int:
        """Return the size of the largest record: of its key, value and headers together."""
        return max(LEAST_MESSAGE_BYTES, self.batch(topic)) - _OVERHEAD

    def refused(self, topic: str, size: int) -> None:
        """Note that the broker has refused a batch of `size` bytes: write half of it from now on."""
        self._refused[topic] = min(self._refused.get(topic, self._most), size // 2)

    def _said(self, topic: str) -> int:
        return max(LEAST_MESSAGE_BYTES, min(self._most, self._known().get(topic, self._most)))
