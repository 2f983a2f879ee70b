"""An engine without Kafka: recorded writes, a group with given answers, a clock that stands still."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple, cast
from unittest.mock import Mock

import msgspec
import numpy as np
from aiokafka.structs import ConsumerRecord

from stream_app.core.changelog.standing_records import kept, readable
from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.exchange.followed_cuts import FollowedCuts
from stream_app.core.flags.outcomes import DAY_MS, FORESIGHT_MS
from stream_app.core.flags.track_record import TrackRecord
from stream_app.core.privacy.erasures import Erasures
from stream_app.engine.context import EngineContext, OwnedPartitions, homes_of
from stream_app.engine.faust.config import configured_app
from stream_app.engine.faust.consumer import SourceConsumer
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.liveness.broker_monitor import BrokerState
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.message_limits import MessageLimits
from stream_app.engine.output_topics import OutputTopics
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.producer import BatchingProducer, Headers
from stream_app.kafka.records import Partition
from stream_app.settings import Settings
from stream_app.settings.standing_rules import rules_of

NOW_S = 1_704_067_200.0
"""2024-01-01T00:00Z."""
NOW_MS = round(NOW_S * 1000)
PARTITION = 3
OUTPUTS = ("flags", "dead-letters", "late", "curves", "cuts", "standings")


class Crash(Exception):
    """The worker dies here."""


class Written(NamedTuple):
    """A record written."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class FakeOutgoing(BatchingProducer):
    """Keeps what is put; `steps` says in which order things were put and became durable."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, Lease(settings.session_timeout_s))
        self.steps: list[str] = []
        """The topic of each record put, and "flush"."""
        self.durable: list[Written] = []
        self.crash_before = -1
        """The step, counted from 0, that is no longer made."""
        self._open: list[Written] = []

    def put(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        spare: Callable[[], Headers] | None = None,  # noqa: ARG002 - nothing is too large here
    ) -> None:
        self._step(topic)
        self._open.append(Written(topic, partition, key, value, headers))

    async def flush(self) -> None:
        self._step("flush")
        self.durable += self._open
        self._open = []

    async def relieve(self) -> None:
        pass

    def of(self, topic: str) -> list[Written]:
        """What is durable on a topic."""
        return [record for record in self.durable if record.topic == topic]

    def _step(self, what: str) -> None:
        if len(self.steps) == self.crash_before:
            raise Crash
        self.steps.append(what)


class FakeKafka(SourceConsumer):
    """A group that answers commits as set; nothing lags unless `ended` says so."""

    def __init__(self) -> None:
        self.commits: list[Mapping[Partition, int]] = []
        self.generations: list[int] = []
        """Those that the commits were to be made in."""
        self.on_commit: Callable[[], object] = list
        """Called when the group is asked."""
        self.takes_commits = True
        self.fetched_at_s: dict[Partition, float] = {}
        """When Kafka last answered a fetch; all the time if unknown."""
        self.paused: set[Partition] = set()
        self.sought: list[tuple[Partition, int]] = []
        self.began: dict[Partition, int] = {}
        self.ended: dict[Partition, int] = {}

    async def commit(self, positions: Mapping[Partition, int], generation: int) -> bool:
        self.generations.append(generation)
        self.commits.append(dict(positions))
        self.on_commit()
        return self.takes_commits

    async def ends(self, tps: Iterable[Partition]) -> Mapping[Partition, int]:
        return {tp: self.ended.get(tp, 0) for tp in tps}

    async def start(self, tp: Partition) -> int:
        return self.began.get(tp, 0)

    async def seek(self, tp: Partition, offset: int) -> None:
        self.sought.append((tp, offset))

    def end(self, tp: Partition) -> int:
        return self.ended.get(tp, 0)

    def fetched_s(self, tp: Partition) -> float:
        return self.fetched_at_s.get(tp, inf)

    def pause(self, tp: Partition) -> None:
        self.paused.add(tp)

    def resume(self, tp: Partition) -> None:
        self.paused.discard(tp)


class FakeBroker:
    """Kafka asked beside the consumer: it answers at once, that all is read unless `ended` of the group says more."""

    def __init__(self, kafka: FakeKafka) -> None:
        self._kafka = kafka
        self.asked = 0
        self.answers = True
        self.number = 1
        """Of its answer."""
        self.questions = 0
        """How often an answer was asked for."""

    @property
    def answer(self) -> BrokerState:
        """As of now."""
        topics = Settings().input_topics
        places = [Partition(topic, PARTITION) for topic in topics]
        return BrokerState({tp: self._kafka.ended.get(tp, 0) for tp in places}, {}, number=self.number * self.answers)

    def ask_soon(self) -> None:
        self.questions += 1


class Surroundings:
    """What the parts of an engine need, all of it fake but the tables."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self.producer = FakeOutgoing(self.settings)
        self.kafka = FakeKafka()
        self.broker = FakeBroker(self.kafka)
        self.meter = Mock()
        self.now_s = NOW_S
        self.limits = MessageLimits(self.settings.max_message_bytes)
        output = OutputTopics(self.producer, self.settings, self.limits, self.meter.bound_hit)
        rules = rules_of(self.settings)
        owned: OwnedPartitions = {}
        self.erasures = Erasures(self.settings.erasures_topic, self.settings.person_key.reveal())
        self.context = EngineContext(
            *(self.settings, rules, owned, FollowedCuts(), homes_of(owned, self.settings), output, self.meter),
            *(lambda: self.now_s, self.erasures),
            limits=self.limits,
            track_record=TrackRecord(self.settings.version, DAY_MS, FORESIGHT_MS),
        )
        self._app = configured_app(
            self.settings, Lease(self.settings.session_timeout_s), WorkerHealth(self.settings.stall_s), dict
        )
        self.segments = self.table("segments")
        self.standings = self.table("standings")
        self.standings.kept, self.standings.readable = kept, readable

    def table(self, name: str) -> PartitionTable:
        """A table whose writes go to the fake."""
        table = cast(PartitionTable, self._app.Table(name, key_type=bytes, value_type=bytes, partitions=8))
        table.producer = self.producer
        return table


def stored_after(written: Iterable[Written]) -> dict[bytes, bytes]:
    """What a compacted log holds once all of this is written."""
    stored: dict[bytes, bytes] = {}
    for record in written:
        assert record.key is not None
        if record.value is None:
            stored.pop(record.key, None)
        else:
            stored[record.key] = record.value
    return stored


def user_of(partition: int, number: int = 0) -> str:
    """A user whose records belong in `partition`: the number-th of them."""
    users = list(map("u{}".format, range(100 * (number + 1))))
    places = partitions_of([user.encode() for user in users], 8)
    return users[int(np.flatnonzero(places == partition)[number])]


def record(
    offset: int,
    value: bytes | None,
    key: bytes | None,
    topic: str = "influence.posts",
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> Any:
    """A record as the consumer hands it over."""
    return ConsumerRecord(topic, PARTITION, offset, NOW_MS, 0, key, value, None, -1, -1, headers)


def post(offset: int, *, user: str = "", ts_ms: int = NOW_MS, topic: str = "influence.posts", **fields: Any) -> Any:
    """A record of an event that counts."""
    user = user or user_of(PARTITION)
    event = {"event_id": f"{topic}-{offset}", "ts": ts_ms, "user_id": user, "audience": 10, **fields}
    return record(offset, msgspec.json.encode(event), user.encode(), topic)


def posts(offsets: Sequence[int], **fields: Any) -> list[Any]:
    """Records of events that count."""
    return [post(offset, **fields) for offset in offsets]
