"""The lease: whether this worker is certainly a member of its group still, and so may write."""

import asyncio
import math
from collections.abc import Callable
from time import monotonic

_LOOK_S = 0.05


class Lease:
    """Runs out when the group has not been heard of for as long as it takes to give a member up.

    A worker that was frozen, or cut off, finds it run out before it has asked anybody: whatever it still wants to write
    must wait until the group has answered. Renewed from the consumer's thread, asked from the event loop.
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
