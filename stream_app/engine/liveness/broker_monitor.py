"""The broker monitor: asks Kafka for the ends and the identities of the source topics, and for the limits of all.

It runs in its own thread, with its own connections, because what Faust's consumer reports may be as stuck as the
consumer itself.
See docs/reliability.md#fault-stale-highwater.
"""

import logging
import threading
import time
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
_SOON_S = 0.3
"""Between two questions, at least."""
_LIMITS_EVERY_S = 60.0
"""The limits are asked for again: they may be changed while workers run."""
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
    number: int = 0
    """Of the question."""


class BrokerMonitor:
    """Asks Kafka every two seconds, or sooner where `ask_soon` is called."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: AdminClient | None = None
        self.answer = BrokerState({}, {})
        """The last answer."""
        self.has_answered = threading.Event()
        """Set once there is a first answer."""
        self.answers = False
        """Whether Kafka answered the last request."""
        self.asked = 0
        """Questions so far, the one under way included."""
        self._trouble: type[Exception] | None = None
        self._wake = threading.Event()
        self._limits_due_s = 0.0

    def watch(self) -> threading.Thread:
        """Start the thread."""
        thread = threading.Thread(target=self._watch, name="probe", daemon=True)
        thread.start()
        return thread

    def ask_soon(self) -> None:
        """Have the thread ask soon."""
        self._wake.set()

    def ask(self) -> BrokerState:
        """Ask now. Raises KafkaError, OSError, or UnreachableError, which says why Kafka refuses the connection."""
        self.asked += 1
        number = self.asked
        if self._admin is None:
            require_reachable(self._settings)
            self._admin = new_admin(self._settings, bootstrap_timeout_ms=_TIMEOUT_MS, request_timeout_ms=_TIMEOUT_MS)
        described = self._admin.describe_topics(list(self._settings.read_topics))
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
            number,
        )

    def _limits(self, admin: AdminClient) -> Mapping[str, int]:
        if time.monotonic() < self._limits_due_s:
            return self.answer.limits
        limits = limits_of(admin, [topic.name for topic in topics_of(self._settings)])
        self._limits_due_s = time.monotonic() + _LIMITS_EVERY_S
        return limits

    def _watch(self) -> None:
        while True:
            self._wake.clear()
            try:
                self.answer = self.ask()
                self.answers, self._trouble = True, None
                self.has_answered.set()
            except (KafkaError, OSError, SettingsError, UnreachableError) as error:
                if type(error) is not self._trouble:
                    logger.warning("Kafka does not answer, waiting for it: %s", error)
                self.answers, self._trouble = False, type(error)
                self._forget_connection()
            time.sleep(_SOON_S)
            self._wake.wait(_EVERY_S - _SOON_S)

    def _forget_connection(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
