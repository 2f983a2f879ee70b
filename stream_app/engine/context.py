"""What the parts of an engine share: the partitions it owns, and who may change what of them when."""

import asyncio
from dataclasses import dataclass, field

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.cuts.curve_updates import CurveUpdates
from stream_app.core.cuts.global_cuts import GlobalCuts, ScopeMap
from stream_app.core.flags.standing import StandingRules
from stream_app.core.privacy.erasures import Erasures
from stream_app.engine.output_topics import OutputTopics
from stream_app.engine.ports import Clock, Meter
from stream_app.settings import Settings

NOT_EVALUATED = (-1, -1, -1, -1)


@dataclass
class OwnedPartition:
    """One partition that this worker owns.

    Only the holder of `lock` changes these, and may await in between: `store` (and so the ledger), `curve_updates`,
    `scope_map`, `oldest_unseen_s`.

    These are loop-atomic, read and changed by anyone on the event loop without awaiting in between: `evaluated`,
    `unread`, `waiting_since`, `read_again`; and of the ledger `lagging`, the topic id of a source, and the position of
    a source that stands still while nobody holds the lock (see `PartitionOwnership.read_again`).
    """

    store: LedgerStore
    curve_updates: CurveUpdates
    scope_map: ScopeMap = field(default_factory=ScopeMap)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    oldest_unseen_s: float | None = None
    """Kafka time of the oldest record counted since the last evaluation."""
    evaluated: tuple[int, int, int, int] = NOT_EVALUATED
    """State at the last evaluation: batches counted, version of the cuts, horizon, erasures."""
    unread: dict[str, int] = field(default_factory=dict)
    """Records that Kafka still has for this worker, by topic."""
    waiting_since: dict[str, float] = field(default_factory=dict)
    """By topic with records that are not counted yet: about when the oldest of them arrived on Kafka."""
    read_again: dict[str, int] = field(default_factory=dict)
    """By topic, the last position that was sought because counting stood still there."""


OwnedPartitions = dict[int, OwnedPartition]


@dataclass(frozen=True)
class EngineContext:
    """One engine's state and connections."""

    settings: Settings
    rules: StandingRules
    owned: OwnedPartitions
    global_cuts: GlobalCuts
    output: OutputTopics
    meter: Meter
    clock: Clock
    erasures: Erasures
