"""Message limits: how large a record batch each topic takes, as the brokers say or as a refusal has shown.

Kafka compares `max.message.bytes` (of a topic) and `message.max.bytes` (of a broker, the default of its topics) with a
whole record batch. What the tracker writes keeps below the smaller of both, and of STREAM_APP_MAX_MESSAGE_BYTES, which
holds alone where this user may not describe configurations.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

OF_TOPIC, OF_BROKER = "max.message.bytes", "message.max.bytes"
LEAST_BYTES = 32_768
"""No record of the tracker that has to be whole is larger than this, whatever the names in it."""
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
        return max(
            LEAST_BYTES, min(self._most, self._known().get(topic, self._most), self._refused.get(topic, self._most))
        )

    def record(self, topic: str) -> int:
        """Return the size of the largest record: of its key, value and headers together."""
        return self.batch(topic) - _OVERHEAD

    def refused(self, topic: str, size: int) -> None:
        """Note that the broker has refused a batch of `size` bytes: write half of it from now on."""
        self._refused[topic] = min(self._refused.get(topic, self._most), size // 2)


def asked(admin: Any, topics: list[str]) -> dict[str, int]:
    """Return the limit of each topic of which the brokers say one; of the others this user may see none."""
    brokers = [str(broker["broker_id"]) for broker in admin.describe_cluster()["brokers"]]
    try:
        of_brokers = [_described(admin, ConfigResourceType.BROKER, [broker]) for broker in brokers[:1]]
        of_topics = _described(admin, ConfigResourceType.TOPIC, topics)
    except KafkaError:
        return {}
    least = [int(found[OF_BROKER]) for answer in of_brokers for found in answer.values() if OF_BROKER in found]
    limits = {
        name: [*least, *([int(found[OF_TOPIC])] if OF_TOPIC in found else [])] for name, found in of_topics.items()
    }
    return {name: min(sizes) for name, sizes in limits.items() if sizes}


def _described(admin: Any, kind: ConfigResourceType, names: list[str]) -> dict[str, dict[str, str]]:
    answer = admin.describe_configs([ConfigResource(kind, name) for name in names], config_filter="all")
    found = answer.get(kind.name.lower(), {})
    return {name: {key: entry["value"] for key, entry in (entries or {}).items()} for name, entries in found.items()}
