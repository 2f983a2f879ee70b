"""Waiting batches: what was fetched of each source and is not counted yet, in order.

There are two reasons to wait. While little comes in, a fetch brings one or two events; a batch costs as much as a
hundred events do, and its segment in the changelog names the positions of all sources again. So what is fetched joins
what waits of its source, and is counted once it is enough, or before the next round, which is the first to look at the
counts, or after a tick. And counting stops at the end of a step of event time (see watermark_alignment): what comes
after it is held until all sources are there. Of a source that is far ahead nothing more is fetched meanwhile.

Nothing is decided before it is counted: a position is that of what was counted, so a crash or a move of the partition
only has the next owner read again what waited.

    fetched   │ 40–41 │ 42 │ 43–45 │ round: 40–45 is one batch, one segment │ 46 │ …

The invariant: what is counted as one has no gap, and nothing in it comes twice: offsets increase.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from stream_app.engine.counting.held_batches import HeldBatches
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Partition

ENOUGH = 500
"""Records that are counted at once: the cost of a batch hardly shows in them."""
_NAP_S = 0.05
MOST_WAITING = 20_000
"""Records of a source that may wait before fetching pauses."""


class Flow(Protocol):
    """What a consumer does about sources that are far ahead."""

    def pause(self, source: Partition) -> None:
        """Fetch no more of a source."""

    def resume(self, source: Partition) -> None:
        """Fetch it again."""


class WaitingBatches:
    """Hands fetched batches to counting, each source in order."""

    def __init__(
        self, count: Callable[[FetchedBatches | HeldBatches], Awaitable[HeldBatches | None]], flow: Flow
    ) -> None:
        """`count`: counts batches up to the end of a step, and returns what is held."""
        self._count = count
        self._flow = flow
        self._waiting: dict[Partition, deque[FetchedBatches]] = defaultdict(deque)
        self.held: dict[Partition, HeldBatches] = {}
        """By source: what comes after the end of the step."""
        self._counting: dict[Partition, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._paused: set[Partition] = set()
        self._forgotten = 0

    async def take(self, fetched: FetchedBatches) -> None:
        """Have fetched batches counted: now, or together with those that follow."""
        source = Partition(fetched.topic, fetched.partition)
        waiting = self._waiting[source]
        if waiting and waiting[-1].end == fetched.first and waiting[-1].records < ENOUGH:
            waiting[-1] = waiting[-1].followed_by(fetched)
        else:
            waiting.append(fetched)
        if len(waiting) > 1 or waiting[-1].records >= ENOUGH:
            await self._count_of(source)
        if self._records(source) > MOST_WAITING and source not in self._paused:
            self._paused.add(source)
            self._flow.pause(source)

    async def count_all(self) -> None:
        """Count all that waits. No source waits for another one, as for a clock that is wrong."""
        await asyncio.gather(*(self._count_of(source) for source in dict.fromkeys([*self.held, *self._waiting])))

    async def rest(self, pause_s: float, tick_s: float) -> None:
        """Pause between two rounds; in a long pause nothing waits longer than `tick_s`.

        The pause ends early with the first event after the end of the step, for then the step may end.
        """
        was_held, waited_s = bool(self.held), 0.0
        while pause_s > 0 and (was_held or not self.held):
            nap_s = min(pause_s, _NAP_S)
            await asyncio.sleep(nap_s)
            pause_s, waited_s = pause_s - nap_s, waited_s + nap_s
            if waited_s >= tick_s and pause_s > 0:
                waited_s = 0.0
                await self.count_all()

    def forget(self) -> None:
        """Forget all that waits: it is read again by who owns its partition."""
        self._waiting.clear()
        self.held.clear()
        self._forgotten += 1
        for source in self._paused:
            self._flow.resume(source)
        self._paused.clear()

    async def _count_of(self, source: Partition) -> None:
        async with self._counting[source]:  # what came before may be under way
            forgotten = self._forgotten
            while (batches := self._next(source)) is not None:
                left = await self._count(batches)
                if left is not None and self._forgotten == forgotten:
                    self.held[source] = left
                    break
        if source in self._paused and self._records(source) < MOST_WAITING // 2:
            self._paused.discard(source)
            self._flow.resume(source)

    def _next(self, source: Partition) -> FetchedBatches | HeldBatches | None:
        if (held := self.held.pop(source, None)) is not None:
            return held
        waiting = self._waiting.get(source)
        if not waiting:
            self._waiting.pop(source, None)
            return None
        return waiting.popleft()

    def _records(self, source: Partition) -> int:
        waiting = sum(fetched.records for fetched in self._waiting.get(source, ()))
        held = self.held.get(source)
        return waiting + (held.fetched.records if held is not None else 0)
