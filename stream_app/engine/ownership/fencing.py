"""Fencing: whether this worker is certainly still a member of its group, and so may write.

The problem: a worker that is frozen, or cut off from Kafka, does not learn that the group has given its partitions to
another. When it wakes up it would go on writing: flags, dead letters, curves.

    group       …heartbeat──────────────── session timeout ───▶ partitions go to B
    worker A    …renewed ──(frozen)──────────────────────────────────▶ awake: the lease has lapsed, nothing is written
    worker B                                                     takes over, writes its epoch

The invariant: a write leaves this process only while the group has answered within the last session timeout, by the
clock of this machine, counted from when it was asked. What the lease cannot stop (a write already on its way) the
epochs do: see core/changelog/replay. Change together: `engine/faust/membership` renews it, `engine/producer` asks it.
"""

import asyncio
import math
from collections.abc import Callable
from time import monotonic

_LOOK_S = 0.05


class Lease:
    """Lapses when the group has not answered for as long as it takes to give a member up.

    Renewed from the consumer's thread, asked from the event loop.
    """

    def __init__(self, session_timeout_s: float, now: Callable[[], float] = monotonic) -> None:
        self._session_timeout_s = session_timeout_s
        self._now = now
        self._renewed_s = now()

    def renew(self, since_s: float) -> None:
        """The group has answered what was asked at `since_s`, by the clock of `now`."""
        self._renewed_s = max(self._renewed_s, since_s)

    def give_up(self) -> None:
        """The group has given this worker up."""
        self._renewed_s = -math.inf

    def has_lapsed(self) -> bool:
        """Whether the group may have given the partitions of this worker to another."""
        return self._now() - self._renewed_s > self._session_timeout_s

    async def held(self) -> None:
        """Return when it has not lapsed."""
        while self.has_lapsed():  # noqa: ASYNC110 - it is renewed from another thread
            await asyncio.sleep(_LOOK_S)
