"""The simulation finds bugs: engines broken on purpose, each caught within so many seeds."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec
import numpy as np
import pytest

from stream_app.core.arrays import Hashes
from stream_app.core.changelog.header import Header
from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.replay import OwnershipEpochs
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.dedup.deduplicator import Deduplicator
from stream_app.core.events import credit
from stream_app.core.events.identity import id_hashes
from stream_app.core.messages import Flag
from stream_app.core.signals.stored.step_log import StepLog
from stream_app.core.state.ledger import Ledger
from stream_app.engine import engine
from stream_app.engine.context import OwnedPartition
from stream_app.engine.counting.batch_counter import BatchCounter
from stream_app.engine.counting.held_batches import CreditedBatch
from stream_app.engine.engine import Engine
from stream_app.engine.faust.consumer import BatchConsumer
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.rounds.flag_outbox import FlagOutbox
from stream_app.kafka.records import Partition
from stream_app.settings import Settings
from tests.simulation.plan import Plan, plan_of
from tests.simulation.run import failure_of

_RESTORE, _RAISE_FLAGS, _ON_REVOKED = Ledger.restore, FlagOutbox.raise_flags, Engine.on_revoked
_TAKE_STEPS = StepLog._take


def _without_positions(ledger: Ledger, header: Header) -> None:
    _RESTORE(ledger, header)
    for source in ledger.sources.values():
        source.position = 0


def _accepts_all(_ownership: OwnershipEpochs, _key: SegmentKey) -> bool:
    return True


def _nothing_seen(_seen: Deduplicator, _hashes: object, _pane: int) -> None:
    """What was seen before the restart is not known any more."""


def _ids_alone(_kind: object, _users: object, event_ids: Sequence[str], _key: int) -> Hashes:
    return id_hashes(event_ids)


def _deletes_at_once(store: LedgerStore) -> int:
    """Garbage goes when it is found, without a word about it before."""
    store.sweep(len(store._garbage))
    return 0


async def _not_asked(_consumer: BatchConsumer, _positions: object, _generation: int) -> bool:
    return True


async def _counts_before_it_sets_aside(counter: BatchCounter, owned: OwnedPartition, credited: CreditedBatch) -> None:
    """And writes what it has counted after it has waited for Kafka."""
    batch, credits_, indices, rejected = credited[:4]
    late = owned.store.ledger.late(batch.topic, credits_.ts_ms)
    applied = owned.store.ledger.apply(batch.topic, batch.end, credits_, late, len(batch.records) - len(indices))
    await counter._set_aside.records(batch, rejected, [indices[place] for place in np.flatnonzero(late).tolist()])
    owned.store._write_delta(applied.content)
    counter._follow(owned, batch)


async def _raise_flags_first(outbox: FlagOutbox, partition: int, flags: Sequence[Flag]) -> None:
    """Flags, and then the standings."""
    log, written = outbox._log, []

    class Later:
        """Writes standings when the flags are sent."""

        def write(self, *what: Any) -> None:
            written.append(what)

    outbox._log = Later()
    try:
        await _RAISE_FLAGS(outbox, partition, flags)
    finally:
        outbox._log = log
    for what in written:
        log.write(*what)


async def _revoked_and_forgotten(engine: Engine, *args: Any, **kwargs: Any) -> None:
    await _ON_REVOKED(engine, *args, **kwargs)
    engine._is_moving = False


def _by_sources(assigned: Iterable[Partition], _topics: object) -> set[int]:
    inputs = Settings().input_topics
    return {partition for topic, partition in assigned if topic in inputs}


def _never_lapses(_lease: Lease) -> bool:
    return False


def _added_again(log: StepLog, steps: Any) -> None:
    log._heard.clear()
    _TAKE_STEPS(log, steps)


def _steps_lost(_log: StepLog, _value: bytes) -> None:
    """What came of other partitions since the snapshot is not known any more."""


class Mutation(NamedTuple):
    """What is broken, and the faults that show it."""

    broken: tuple[tuple[Any, str, Callable[..., Any]], ...]
    faults: tuple[str, ...] = ("kill", "kill in few steps", "rebalance")
    strict: bool = True
    """Whether it may show in more than the counts."""
    partitions: int = 1
    first: int = 0
    """The seed to begin with: near one that shows it."""


_FROZEN = ("freeze", "freeze in few steps", "cut off")
_UNLEASED = (Lease, "has_lapsed", _never_lapses)
MUTATIONS = {
    "positions are not part of the segments": Mutation(((Ledger, "restore", _without_positions),)),
    "event ids are not restored": Mutation(((Deduplicator, "restore", _nothing_seen),)),
    "an event is its id alone": Mutation(((credit, "event_hashes", _ids_alone),)),
    "garbage is deleted before the log says so": Mutation(((LedgerStore, "sweepable", _deletes_at_once),)),
    "flags are sent before their standings are in the log": Mutation(
        ((FlagOutbox, "raise_flags", _raise_flags_first),), first=200
    ),
    "the epoch fence lets everything through": Mutation(
        ((OwnershipEpochs, "accepts", _accepts_all), _UNLEASED), _FROZEN, strict=False, first=10
    ),
    "a batch is written some time after it was counted": Mutation(
        ((BatchCounter, "_count", _counts_before_it_sets_aside),), ("leave",), first=60
    ),
    "a take-over does not mind another rebalance": Mutation(
        ((Engine, "on_revoked", _revoked_and_forgotten),), ("rebalance twice",), partitions=3, first=30
    ),
    "a partition is taken over without the logs of its tables": Mutation(
        ((engine, "restorable", _by_sources),), ("visit",), partitions=3
    ),
    "a worker writes although the group has given it up": Mutation((_UNLEASED,), _FROZEN),
    "trials that are sent again count again": Mutation(((StepLog, "_take", _added_again),)),
    "steps are not restored": Mutation(((StepLog, "receive_again", _steps_lost),)),
    "garbage is deleted without asking the group": Mutation(
        ((BatchConsumer, "commit_positions", _not_asked), _UNLEASED), _FROZEN, strict=False
    ),
}
WITHIN = 30
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def _harsh(seed: int, mutation: Mutation) -> Plan:
    """A plan of little else than these faults."""
    plan = plan_of(seed)
    return replace(
        plan,
        settings=msgspec.structs.replace(plan.settings, partitions=mutation.partitions),
        workers=2,
        faults=mutation.faults,
        fault_every_s=0.8,
        active_s=10.0,
        strict=mutation.strict,
    )


@pytest.mark.parametrize("what", MUTATIONS)
def test_a_broken_engine_is_caught(what: str) -> None:
    with ExitStack() as stack:
        for owner, name, broken in MUTATIONS[what].broken:
            stack.enter_context(patch.object(owner, name, broken))
        mutation = MUTATIONS[what]
        seeds = range(mutation.first, mutation.first + WITHIN)
        assert any(failure_of(_harsh(seed, mutation)) for seed in seeds)


def test_counts_are_exact_even_without_the_lease() -> None:
    """Of the counts the epochs take care; the lease is for what else a worker publishes."""
    with patch.object(*_UNLEASED):
        for seed in range(3):
            assert not (report := failure_of(_harsh(seed, Mutation((), _FROZEN, strict=False)))), report


@pytest.mark.parametrize("seed", [4, 7])
def test_what_once_did_not_come_to_rest_does(seed: int) -> None:
    """4: an epoch record came after that of the next owner; 7: credits were received while nobody did anything."""
    assert not (report := failure_of(_harsh(seed, Mutation((), _FROZEN, strict=False)))), report
