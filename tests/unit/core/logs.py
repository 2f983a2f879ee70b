"""The log of one partition as its owners write it: cut anywhere, compacted at will."""

from collections.abc import Iterable
from typing import NamedTuple

from stream_app.core.changelog.ledger_store import LedgerStore
from tests.unit.core import streams

P = 3


class Write(NamedTuple):
    """One write to the log."""

    key: bytes
    value: bytes | None
    confirmed_at: int
    """A deletion: how long the log was when the group confirmed the owner. Other writes: 0."""


class Log:
    """What the owners of one partition have written."""

    def __init__(self, writes: Iterable[Write] = ()) -> None:
        self.writes = list(writes)
        self.confirmed_at = 0

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write."""
        self.writes.append(Write(key, value, self.confirmed_at if value is None else 0))

    def table(self) -> dict[bytes, bytes]:
        """What is left of the log once it is compacted."""
        left: dict[bytes, bytes | None] = {key: value for key, value, _ in self.writes}
        return {key: value for key, value in left.items() if value is not None}

    def open(self, generation: int) -> LedgerStore:
        """A new owner."""
        store = LedgerStore(P, streams.new_ledger(), self.table(), self.put)
        store.begin(generation)
        return store

    def sweep(self, store: LedgerStore) -> None:
        """Delete what is garbage; the group confirms the owner."""
        count = store.sweepable()
        self.confirmed_at = len(self.writes)
        store.sweep(count)
