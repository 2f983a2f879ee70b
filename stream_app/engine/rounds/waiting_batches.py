"""Waiting batches: small batches of a source wait for each other until the next round, and are counted as one.

The problem: while little comes in, a fetch brings one or two events. A batch costs as much as a hundred events do, and
its segment in the changelog names the positions of all sources again.

How: what is fetched joins what waits of its source. It is counted once it is enough, and at the latest before the next
round, which is the first to look at the counts, or after a tick. Nothing is decided before that: a position is that of
what was counted, so a crash or a move of the partition only has the next owner read again what waited.

    fetched   │ 40–41 │ 42 │ 43–45 │ round: 40–45 is one batch, one segment │ 46 │ …

The invariant: what is counted as one has no gap, and nothing in it comes twice: offsets increase.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Partition

ENOUGH = 500
"""Records that are counted at once: the cost of a batch hardly shows in them."""


class WaitingBatches:
    """Hands fetched batches to counting, each source in order."""

    def __init__(self, count: Callable[[FetchedBatches], Awaitable[None]]) -> None:
        self._count = count
        self._waiting: dict[Partition, FetchedBatches] = {}
        self._counting: dict[Partition, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, fetched: FetchedBatches) -> None:
        """Have fetched batches counted: now, or together with those that follow."""
        source = Partition(fetched.topic, fetched.partition)
        waiting = self._waiting.get(source)
        if waiting is not None and waiting.end == fetched.first:
            fetched = waiting.followed_by(fetched)
        elif waiting is not None:
            await self._count_of(source)
        self._waiting[source] = fetched
        if fetched.records >= ENOUGH:
            await self._count_of(source)

    async def count_all(self) -> None:
        """Count all that waits. No source waits for another one, as for a clock that is wrong."""
        await asyncio.gather(*map(self._count_of, list(self._waiting)))

    async def rest(self, pause_s: float, tick_s: float) -> None:
        """Pause between two rounds; in a long pause nothing waits longer than `tick_s`."""
        while pause_s > tick_s:
            await asyncio.sleep(tick_s)
            pause_s -= tick_s
            await self.count_all()
        await asyncio.sleep(pause_s)

    def forget(self) -> None:
        """Forget all that waits: it is read again by who owns its partition."""
        self._waiting.clear()

    async def _count_of(self, source: Partition) -> None:
        async with self._counting[source]:  # what came before may be under way
            if (waiting := self._waiting.pop(source, None)) is not None:
                await self._count(waiting)
