"""What of Faust's consumer the engine sees: its place in the group, what it reads, seeks and commits.

Written after faust-streaming 0.15.3 on aiokafka, whose names it keeps. What matters for the protocol:
- a commit is made in the name of the generation that the consumer is in when it is sent, and of partitions that are no
  longer assigned it silently leaves the offsets out;
- a worker that the group no longer knows goes on with its old assignment until it has joined again;
- what was fetched and is on its way to an agent may be dropped in a rebalance, for reading goes on from what is
  committed.
"""

import asyncio
import math
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from faust.types import TP

from stream_app.engine.faust.batches import scheduler_of
from stream_app.engine.faust.consumer import BatchConsumer
from stream_app.kafka.records import Partition
from tests.simulation.broker import Log
from tests.simulation.clients import Line
from tests.simulation.group import Answer, Group
from tests.simulation.plan import SESSION_S

if TYPE_CHECKING:
    from tests.simulation.faustlike import App

_COMMIT_S = 2.0


class Consumer:
    """Stands in for the BatchConsumer of a worker."""

    def __init__(self, app: "App", line: Line, group: Group) -> None:
        self.app = app
        self._line = line
        self._group = group
        self._number = 0
        self._generation = -1
        self._has_left = False
        self._rejoin = asyncio.Event()
        self._rejoin.set()
        self._assignment: set[TP] = set()
        self._positions: dict[TP, int] = {}
        self._read_offset: dict[TP, int | None] = {}
        self._highwaters: dict[TP, int] = {}
        self._fetched_s: dict[TP, float] = {}
        self._paused: set[TP] = set()
        self._acked: dict[TP, int] = {}
        self._beats_s: list[tuple[float, float]] = []
        """The last two heartbeats: when each was sent, and answered."""
        self._flow = asyncio.Event()
        self._stopped = asyncio.Event()
        self._moved = asyncio.Event()
        """Positions were sought."""
        self._scheduler = scheduler_of(app.settings.batch_events, app.settings.read_topics)()

    def assignment(self) -> set[TP]:
        """What is assigned, as far as this worker knows."""
        return set(self._assignment)

    def highwater(self, tp: TP) -> int | None:
        """Where a partition ended when it was last fetched from."""
        return self._highwaters.get(tp)

    async def highwaters(self, *tps: TP) -> Mapping[TP, int]:
        """Where partitions end."""
        return await self._line.ask(lambda: {tp: self._log(tp).end for tp in tps})

    async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
        """Where partitions begin."""
        return await self._line.ask(lambda: {tp: self._log(tp).start for tp in tps})

    @property
    def generation(self) -> int:
        """Of the group, below 0 where the group does not know this worker."""
        return self._generation

    async def commit_positions(self, positions: Mapping[TP, int], generation: int) -> bool:
        """As the real one does it."""
        return await BatchConsumer.commit_positions(self, positions, generation)  # type: ignore[arg-type]  # stands in for it

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        known = {tp: offset for tp, offset in offsets.items() if tp in self._assignment}
        if not known:
            return True
        number, generation = self._number, self._generation
        answer = await self._line.ask_group(
            lambda: self._group.commit(number, generation, {Partition(*tp): offset for tp, offset in known.items()})
        )
        self._take(answer)
        return answer is Answer.OK

    async def seek(self, tp: TP, offset: int) -> None:
        """Read on from there."""
        self._positions[tp] = offset
        self._read_offset[tp] = offset or None
        self._moved.set()

    async def perform_seek(self) -> None:
        """As the real one does it."""
        await BatchConsumer.perform_seek(self)  # type: ignore[arg-type]  # stands in for it
        self._moved.set()

    async def seek_wait(self, positions: Mapping[TP, int]) -> None:
        """Read on from there."""
        await asyncio.sleep(self._line.broker.delay_s())
        self._positions |= positions

    def fetched_s(self, tp: TP) -> float:
        """When Kafka last said where a partition ends: it says so all the time while there is nothing new."""
        is_read_up = self._log(tp).end <= (self._highwaters.get(tp) or self._positions.get(tp, 0))
        return self._now_s() if is_read_up else self._fetched_s.get(tp, 0.0)

    def resume_partitions(self, tps: set[TP]) -> None:
        """Nothing is paused here but the flow."""

    def hold_back(self, source: TP) -> None:
        """Hand over no more of it."""
        self._paused.add(source)

    def release(self, source: TP) -> None:
        """Hand it over again."""
        self._paused.discard(source)
        self._moved.set()

    def stop_flow(self) -> None:
        """Hand nothing to agents any more."""
        self._flow.clear()
        self._stopped.set()
        self._acked.clear()

    def resume_flow(self) -> None:
        """Hand batches to agents."""
        self._stopped.clear()
        self._flow.set()

    def ack(self, tp: TP, offset: int) -> None:
        """An agent is done with a batch."""
        self._acked[tp] = max(self._acked.get(tp, -1), offset)

    async def take_part(self) -> None:
        """Be a member of the group, again and again. Nothing is assigned when all is given up for the first time."""
        await self.app.revoked()
        while not self._has_left:
            if not await self._join():
                continue
            beating = asyncio.ensure_future(self._beat())
            await self.app.assigned(self._generation)
            await self._rejoin.wait()
            if self.app.should_stop:
                return  # Faust closes the consumer of an app that stops, and calls nobody
            await self.app.revoked()
            beating.cancel()

    async def _beat(self) -> None:
        """Send heartbeats to the group; every answer renews the lease, except that the member is unknown."""
        while self._number:
            await asyncio.sleep(self.app.settings.session_timeout_s / 4)
            asked_s, number, generation = self._line.broker.agenda.now, self._number, self._generation
            self._beats_s = [*self._beats_s[-1:], (asked_s, math.inf)]
            answer = await self._line.ask_group(lambda: self._group.heartbeat(number, generation))  # noqa: B023
            self._beats_s[-1] = (asked_s, self._line.broker.agenda.now)
            self._take(answer)
            if answer in {Answer.OK, Answer.REBALANCING}:
                self.app.lease.renew(asked_s)

    @property
    def has_slow_beats(self) -> bool:
        """Whether the answers to the last two heartbeats took so long that the lease may have lapsed in between."""
        now_s = self._line.broker.agenda.now
        return sum(min(answered_s, now_s) - asked_s for asked_s, answered_s in self._beats_s) > SESSION_S / 2

    async def leave(self) -> None:
        """Leave the group for good."""
        self._has_left = True
        await self._line.ask_group(lambda: self._group.leave(self._number))

    async def commit_regularly(self) -> None:
        """Commit what agents are done with."""
        while True:
            await asyncio.sleep(_COMMIT_S)
            offsets, self._acked = {tp: offset + 1 for tp, offset in self._acked.items()}, {}
            if offsets:
                await self._commit(offsets)

    async def read(self) -> None:
        """Fetch, and hand batches to the agents."""
        while True:
            await self._flow.wait()
            self._moved.clear()
            some = [tp for tp in self._inputs() if tp not in self._paused and self._has_more(tp)]
            if some:
                await self._fetch(self._line.broker.agenda.rng.choice(some))
            else:
                await self._first(self._line.broker.news(self._inputs()), self._moved.wait(), self._stopped.wait())

    async def _fetch(self, tp: TP) -> None:
        generation, position = self.app.consumer_generation_id, self._positions[tp]
        batches = self._line.broker.agenda.rng.randint(1, 6)
        packed, end = await self._line.ask(lambda: (self._log(tp).fetch(position, batches), self._log(tp).end))
        if not packed or tp not in self._assignment or self._positions.get(tp) != position:
            return
        self._positions[tp], self._highwaters[tp] = packed[-1].offset + 1, end
        self._fetched_s[tp] = self._now_s()
        for _, message in self._scheduler.iterate({tp: packed}):
            if not self._flow.is_set() or self.app.consumer_generation_id != generation:
                return
            known = self._read_offset.get(tp)
            if known is None or message.offset >= known:
                await self._first(self.app.queues[message.topic].put(message), self._stopped.wait())
                self._read_offset[tp] = message.offset

    async def _first(self, *waiting: Coroutine[Any, Any, object]) -> None:
        """Wait for the first of these, and for the others no more."""
        futures = [asyncio.ensure_future(one) for one in waiting]
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        for future in futures:
            future.cancel()

    async def _join(self) -> bool:
        """Join the group. Returns whether this worker is a member of a generation, which may be over by now.

        What is answered meanwhile in the name of the generation before makes it join again, and is forgotten.
        """
        line, number = self._line, self._number
        joined: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
        await line.ask_group(lambda: self._group.join(number, joined))
        self._number, self._generation = await joined
        member, asked_s = (self._number, self._generation), self._line.broker.agenda.now
        self._rejoin.clear()
        answer, sources, logs = await line.ask_group(lambda: self._group.sync(*member))
        if answer is not Answer.OK:
            self._take(answer)
            return False
        self._number, self._generation = member
        self.app.lease.renew(asked_s)
        dealt = ((self.app.settings.read_topics, sources), (self.app.tables, logs))
        self._assignment = {TP(topic, number) for topics, numbers in dealt for topic in topics for number in numbers}
        self._positions.clear()
        self._highwaters.clear()
        return True

    def _take(self, answer: Answer) -> None:
        """What an answer of the coordinator means for the membership."""
        if answer is not Answer.OK:
            self._rejoin.set()
        if answer in {Answer.UNKNOWN_MEMBER, Answer.ILLEGAL_GENERATION}:
            self._number, self._generation = 0, -1

    def _has_more(self, tp: TP) -> bool:
        return self._log(tp).end > self._positions.get(tp, self._log(tp).end)

    def _now_s(self) -> float:
        """The wall clock of this worker."""
        worker: Any = self._line.process.worker  # type: ignore[attr-defined]
        return self._line.broker.now_s + float(worker.clock_skew_s)

    def _inputs(self) -> list[TP]:
        return sorted(tp for tp in self._assignment if tp.topic in self.app.settings.read_topics)

    def _log(self, tp: TP) -> Log:
        return self._line.broker.logs[tp.topic, tp.partition]
