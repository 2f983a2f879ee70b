"""What the parts of an engine share: the partitions held, and who may touch them when."""

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

NOTHING_SEEN = (-1, -1, -1, -1)


@dataclass
class OwnedPartition:
    """One partition. Whoever changes its book holds the lock, also while waiting for Kafka in between."""

    store: LedgerStore
    curve_updates: CurveUpdates
    view: ScopeMap = field(default_factory=ScopeMap)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    oldest_unseen_s: float | None = None
    """Kafka time of the oldest record counted since the last evaluation."""
    seen: tuple[int, int, int, int] = NOTHING_SEEN
    """State at the last evaluation: batches counted, version of the cuts, horizon, erasures."""
    unread: dict[str, int] = field(default_factory=dict)
    """Records that Kafka still has for us, by topic."""
    waiting_since: dict[str, float] = field(default_factory=dict)
    """By topic with records that are not counted yet: about when the oldest of them arrived on Kafka."""
    read_again: dict[str, int] = field(default_factory=dict)
    """By topic, the last position that was sought because counting stood still there."""


Books = dict[int, OwnedPartition]


@dataclass(frozen=True)
class EngineContext:
    """One engine's state and connections."""

    settings: Settings
    rules: StandingRules
    owned: Books
    global_cuts: GlobalCuts
    output: OutputTopics
    meter: Meter
    clock: Clock
    erasures: Erasures
