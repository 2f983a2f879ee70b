"""The broker monitor: asks Kafka for the ends and the identities of the source topics, and for the limits of all.

It runs in its own thread, with its own connections, because what Faust's consumer reports may be as stuck as the
consumer itself.
See docs/reliability.md#fault-stale-highwater.
"""

import logging
import threading
from collections.abc import Mapping
from typing import NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.protocol.consumer.offsets import IsolationLevel

from stream_app.kafka.clients import AdminClient, new_admin
from stream_app.kafka.reachability import UnreachableError, require_reachable
from stream_app.kafka.records import Partition
from stream_app.kafka.topics import limits_of, topics_of
from stream_app.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

_EVERY_S = 2.0
_LIMITS_EVERY = 30
"""Answers after which the limits are asked for again: they may be changed while workers run."""
_TIMEOUT_MS = 5000
_LATEST = -1


class TopicIdentity(NamedTuple):
    """Identifies the topic that currently has a name."""

    id: str
    """Assigned by Kafka at creation; all zeros from a Kafka without topic ids."""
    partitions: int


class BrokerState(NamedTuple):
    """An answer of Kafka."""

    ends: Mapping[Partition, int]
    topics: Mapping[str, TopicIdentity]
    """The source topics that exist."""
    limits: Mapping[str, int] = {}
    """By topic of the tracker: the largest record batch, as far as the brokers say."""


class BrokerMonitor:
    """Asks Kafka every two seconds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AdminClient | None = None
        self.answer = BrokerState({}, {})
        """The last answer."""
        self.has_answered = threading.Event()
        """Set once there is a first answer."""
        self.answers = False
        """Whether Kafka answered the last request."""
        self._trouble: type[Exception] | None = None
        self._asked = 0

    def watch(self) -> threading.Thread:
        """Start the thread."""
        thread = threading.Thread(target=self._watch, name="probe", daemon=True)
        thread.start()
        return thread

    def ask(self) -> BrokerState:
        """Ask now. Raises KafkaError, OSError, or UnreachableError, which says why Kafka refuses the connection."""
        if self._admin is None:
            require_reachable(self._settings)
            self._admin = new_admin(self._settings, bootstrap_timeout_ms=_TIMEOUT_MS, request_timeout_ms=_TIMEOUT_MS)
        described = self._admin.describe_topics(list(self._settings.input_topics))
        topics = {
            found["name"]: TopicIdentity(str(found["topic_id"]), len(found["partitions"]))
            for found in described
            if not found["error_code"]
        }
        wanted = [TopicPartition(name, n) for name, known in topics.items() for n in range(known.partitions)]
        # Records in open transactions cannot be read yet.
        ends = self._admin.list_partition_offsets(dict.fromkeys(wanted, _LATEST), IsolationLevel.READ_COMMITTED)
        return BrokerState(
            {Partition(place.topic, place.partition): end.offset for place, end in ends.items()},
            topics,
            self._limits(self._admin),
        )

    def _limits(self, admin: AdminClient) -> Mapping[str, int]:
        self._asked += 1
        if self._asked % _LIMITS_EVERY != 1:
            return self.answer.limits
        return limits_of(admin, [topic.name for topic in topics_of(self._settings)])

    def _watch(self) -> None:
        pause = threading.Event()
        while True:
            try:
                self.answer = self.ask()
                self.answers, self._trouble = True, None
                self.has_answered.set()
            except (KafkaError, OSError, SettingsError, UnreachableError) as error:
                if type(error) is not self._trouble:
                    logger.warning("Kafka does not answer, waiting for it: %s", error)
                self.answers, self._trouble = False, type(error)
                self._forget_connection()
            pause.wait(_EVERY_S)

    def _forget_connection(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
