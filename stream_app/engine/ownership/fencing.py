"""Fencing: a worker writes only while it is certain to be a member of its group.

The problem: a worker that is frozen, or disconnected from Kafka, does not learn that the group has given its partitions
to another worker. When it wakes up it would continue to write flags, dead letters and curves.

    group       …heartbeat──────────────── session timeout ───▶ partitions go to B
    worker A    …renewed ──(frozen)──────────────────────────────────▶ awake: the lease has lapsed, so it writes nothing
    worker B                                                     takes over, writes its epoch

The invariant: a write leaves this process only if the group has answered a request that was sent within the last
session timeout, by the clock of this machine. The lease cannot stop a write that is already on its way; epochs make
readers ignore it, see core/changelog/replay. Change together: `engine/faust/membership` renews the lease,
`engine/producer` waits for it.
"""

import asyncio
import math
from collections.abc import Callable
from time import monotonic

_LOOK_S = 0.05


class Lease:
    """Lapses when the group has not answered for a session timeout, after which it removes a member.

    The consumer's thread renews it, the event loop reads it.
    """

    def __init__(self, session_timeout_s: float, now: Callable[[], float] = monotonic) -> None:
        self._session_timeout_s = session_timeout_s
        self._now = now
        self._renewed_s = now()

    def renew(self, since_s: float) -> None:
        """Renew the lease: the group has answered a request sent at `since_s`, by the clock `now`."""
        self._renewed_s = max(self._renewed_s, since_s)

    def give_up(self) -> None:
        """End the lease: the group has removed this worker."""
        self._renewed_s = -math.inf

    def has_lapsed(self) -> bool:
        """Return whether the group may have given this worker's partitions to another."""
        return self._now() - self._renewed_s > self._session_timeout_s

    async def held(self) -> None:
        """Wait while the lease has lapsed."""
        while self.has_lapsed():  # noqa: ASYNC110 - another thread renews it
            await asyncio.sleep(_LOOK_S)
