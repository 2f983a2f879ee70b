"""What the engine expects of its surroundings."""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from stream_app.core.messages import Cut, Flag, FlagType, Role
from stream_app.core.state.watermark import BatchCounts

Clock = Callable[[], float]
"""Wall clock, epoch seconds."""


class Meter(Protocol):
    """Where the engine reports what happens; the metrics of a worker."""

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
    """Who wants to see flags as they are raised, and to forget who was erased: standings by their keys, and users."""

    def submit(self, partition: int, flags: Sequence[Flag]) -> None: ...  # noqa: D102
    def forget(self, partition: int, standings: Sequence[bytes], users: Collection[str]) -> None: ...  # noqa: D102


class FlagListeners(list[FlagListener]):
    """Hands flags on to all who listen."""

    def submit(self, partition: int, flags: Sequence[Flag]) -> None:
        """Flags that were raised."""
        for listener in self:
            listener.submit(partition, flags)

    def forget(self, partition: int, standings: Sequence[bytes], users: Collection[str]) -> None:
        """Standings, by their keys, and users that were erased."""
        for listener in self:
            listener.forget(partition, standings, users)
