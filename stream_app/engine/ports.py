"""Ports: the interfaces that the engine expects from its surroundings."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from stream_app.core.messages import Cut, Flag, FlagType, Role
from stream_app.core.state.watermark import BatchCounts

Clock = Callable[[], float]
"""Wall clock, epoch seconds."""


class Meter(Protocol):
    """The metrics of a worker, as the engine reports them."""

    def read(self, topic: str, n: int) -> None: ...  # noqa: D102
    def batch(self, topic: str, counts: BatchCounts, seconds: float) -> None: ...  # noqa: D102
    def skipped(self, topic: str, n: int) -> None: ...  # noqa: D102
    def misrouted(self, n: int) -> None: ...  # noqa: D102
    def erased(self, n: int) -> None: ...  # noqa: D102
    def lag(self, topic: str, partition: int, records: int, seconds: float) -> None: ...  # noqa: D102
    def partition_revoked(self, partition: int) -> None: ...  # noqa: D102
    def watermark_delay(self, seconds: float) -> None: ...  # noqa: D102
    def flags(self, type: FlagType, role: Role, n: int) -> None: ...  # noqa: A002, D102
    def flag_latency(self, seconds: float) -> None: ...  # noqa: D102
    def active_users(self, n: int) -> None: ...  # noqa: D102
    def rows(self, n: int) -> None: ...  # noqa: D102
    def segments(self, n: int) -> None: ...  # noqa: D102
    def state_bytes(self, n: int) -> None: ...  # noqa: D102
    def rebalance(self) -> None: ...  # noqa: D102
    def recovery(self, seconds: float) -> None: ...  # noqa: D102
    def recovery_remaining(self, records: int) -> None: ...  # noqa: D102
    def cut(self, cut: Cut) -> None: ...  # noqa: D102
    def cut_gone(self, cut: Cut) -> None: ...  # noqa: D102


class FlagListener(Protocol):
    """Receives flags as they are raised, and the standings (by key) and users to forget after an erasure."""

    def submit(self, partition: int, flags: Sequence[Flag]) -> None: ...  # noqa: D102
    def forget(self, partition: int, standings: Sequence[bytes], users: Collection[str]) -> None: ...  # noqa: D102


class FlagListeners(list[FlagListener]):
    """Passes every call on to all listeners."""

    def submit(self, partition: int, flags: Sequence[Flag]) -> None:
        """Pass on flags that were raised."""
        for listener in self:
            listener.submit(partition, flags)

    def forget(self, partition: int, standings: Sequence[bytes], users: Collection[str]) -> None:
        """Pass on the standings (by key) and the users that were erased."""
        for listener in self:
            listener.forget(partition, standings, users)
