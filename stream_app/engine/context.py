"""Shared state of the parts of an engine: the owned partitions, and the locking rules for changing them."""

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.events.duplicate_sample import NewestDuplicates
from stream_app.core.exchange.delta_sender import DeltaSender
from stream_app.core.exchange.followed_cuts import FollowedCuts, LedgerScopes
from stream_app.core.exchange.homes import Homes
from stream_app.core.flags.standing import StandingRules
from stream_app.core.flags.track_record import TrackRecord
from stream_app.core.flags.watched_rows import WatchedRows
from stream_app.core.group.clocks import Clocks
from stream_app.core.group.members import Members
from stream_app.core.privacy.erasures import Erasures
from stream_app.engine.message_limits import MessageLimits
from stream_app.engine.output_topics import OutputTopics
from stream_app.engine.ports import Clock, Meter
from stream_app.settings import Settings
from stream_app.settings.standing_rules import rules_of

NEVER: tuple[object, ...] = ()
FOREVER = 2**62
"""Later than any event."""


class Doubt(NamedTuple):
    """A source that may have more to read than is known (see time_synchronization)."""

    asked: int
    """Questions to Kafka before the doubt arose."""
    target_ms: int
    """Where the window was about to move, epoch ms."""


class SeenAnswer(NamedTuple):
    """An answer of Kafka about the ends of sources, when it was seen."""

    number: int
    horizon_ms: int
    """Where the window ended then, epoch ms."""


@dataclass
class OwnedPartition:
    """One partition that this worker owns.

    Guarded by `lock`, whose holder may await between reading and writing: `store` (and so the ledger), `sender`,
    `scopes`, `watched`, `is_paused`, `oldest_unseen_s`.

    Loop-atomic, so any code on the event loop may read and change them if it does not await in between: `published`,
    `updates`, `evaluated`, `unread`, `doubts`, `answers`, `waiting_since`, `arrived_s`, `duplicates`, `read_again`.
    Also, in the ledger: `lagging`, `read_up_ms`, the topic id of a source, and the position of a stuck source while
    nobody holds the lock (see `PartitionOwnership.read_again`).
    """

    store: LedgerStore
    sender: DeltaSender
    scopes: LedgerScopes = field(default_factory=LedgerScopes)
    watched: WatchedRows = field(default_factory=WatchedRows)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_paused: bool = False
    """Whether the group may have given the partition away: nothing is begun until it is taken over again."""
    oldest_unseen_s: float | None = None
    """When the oldest record counted since the last evaluation arrived in Kafka."""
    published: tuple[object, ...] = NEVER
    """State when its changes were last published: batches counted, version of the cuts, horizon, erasures, homes."""
    updates: int = 0
    """How often its changes were published."""
    evaluated: tuple[object, ...] = NEVER
    """State at the last evaluation: the updates before it, and the version of the cuts."""
    unread: dict[str, int] = field(default_factory=dict)
    """Records in Kafka that are not counted yet, by topic."""
    doubts: dict[str, Doubt] = field(default_factory=dict)
    """By topic that may have more to read than is known. It lags until Kafka has answered."""
    answers: list[SeenAnswer] = field(default_factory=list)
    """The last few that were seen."""
    waiting_since: dict[str, float] = field(default_factory=dict)
    """By topic with uncounted records: the approximate time at which the oldest of them arrived in Kafka."""
    arrived_s: dict[str, float] = field(default_factory=dict)
    """By topic: when the newest record that was counted arrived, or when no more had arrived."""
    duplicates: NewestDuplicates = field(default_factory=NewestDuplicates)
    read_again: dict[str, int] = field(default_factory=dict)
    """By topic: the last position that the consumer was sent back to because counting was stuck there."""


OwnedPartitions = dict[int, OwnedPartition]


@dataclass
class StepLimit:
    """Where the step of event time ends that is being counted (see watermark_alignment)."""

    end_ms: int = FOREVER
    """Exclusive, epoch ms. Events at or after it are held, and what follows them in their source."""


def homes_of(owned: OwnedPartitions, settings: Settings) -> Homes:
    """Return the homes in the owned partitions."""
    return Homes(
        lambda: {partition: held.store.ownership.epoch for partition, held in owned.items()},
        *(settings.partitions, settings.share, rules_of(settings).ranking),
    )


@dataclass(frozen=True)
class EngineContext:
    """State and connections of one engine."""

    settings: Settings
    rules: StandingRules
    owned: OwnedPartitions
    followed: FollowedCuts
    homes: Homes
    output: OutputTopics
    meter: Meter
    clock: Clock
    erasures: Erasures
    limits: MessageLimits
    track_record: TrackRecord
    """Fed by who reads the flags topic: the flags of all workers."""
    limit: StepLimit = field(default_factory=StepLimit)
    members: Members = field(default_factory=Members)
    clocks: Clocks = field(default_factory=Clocks)

    def holds(self, held: OwnedPartition) -> bool:
        """Return whether a partition is still owned as `held`, and is not about to move."""
        return self.owned.get(held.store.partition) is held and not held.is_paused
