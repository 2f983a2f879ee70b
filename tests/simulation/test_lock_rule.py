"""The lock rule of an owned partition: what the lock guards is changed under the lock, in runs full of faults."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import pytest

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.state.ledger import Ledger
from stream_app.engine.context import OwnedPartition
from tests.simulation.plan import plan_of
from tests.simulation.run import failure_of

LOCKED_FIELDS = {"store", "sender", "scopes", "oldest_unseen_s"}
LOCKED_METHODS = (
    *((LedgerStore, name) for name in ("count", "maintain", "sweepable", "sweep", "erase", "write_state")),
    *((Ledger, name) for name in ("apply", "advance", "take_out", "drop_rows")),
)
SEEDS = range(1000, 1030)


class Watch:
    """Notes every change of a partition that nobody has locked."""

    def __init__(self) -> None:
        self.changes = 0
        self.unlocked: list[str] = []
        self._owner: dict[int, OwnedPartition] = {}

    def own(self, partition: OwnedPartition) -> None:
        """Its ledger is known from now on."""
        self._owner[id(partition.store)] = self._owner[id(partition.store.ledger)] = partition

    def note(self, partition: OwnedPartition | None, what: str) -> None:
        """Something of it is being changed."""
        if partition is not None:
            self.changes += 1
            if not partition.lock.locked():
                self.unlocked.append(what)

    def around(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        """`method` of a store or a ledger, noted."""

        def noted(owner: Any, *args: Any, **kwargs: Any) -> Any:
            self.note(self._owner.get(id(owner)), name)
            return method(owner, *args, **kwargs)

        return noted


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_guarded_fields_are_changed_only_under_the_lock() -> None:
    watch = Watch()
    set_attribute = OwnedPartition.__setattr__

    def set_noted(partition: OwnedPartition, name: str, value: object) -> None:
        if name in LOCKED_FIELDS and name in vars(partition):
            watch.note(partition, f"OwnedPartition.{name}")
        set_attribute(partition, name, value)
        if name == "store":
            watch.own(partition)

    with ExitStack() as stack:
        stack.enter_context(patch.object(OwnedPartition, "__setattr__", set_noted))
        for owner, name in LOCKED_METHODS:
            method = getattr(owner, name)
            stack.enter_context(patch.object(owner, name, watch.around(method, f"{owner.__name__}.{name}")))
        for seed in SEEDS:
            assert not (report := failure_of(plan_of(seed))), report
    assert watch.changes > 1000
    assert not watch.unlocked
