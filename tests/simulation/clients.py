"""What a process has of Kafka: requests that take their time, a producer, a consumer without a group.

They stand in for aiokafka's classes and keep its promises, no more. The producer has one batch per partition under way
and appends in order; a batch is in the log some time before the process hears of it. Of what was under way when the
process was killed, any beginning may still arrive; when it was frozen, the rest arrives after it wakes.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition

from stream_app.kafka.record_batches import PackedBatch
from stream_app.kafka.records import Partition
from tests.simulation.broker import Broker, Headers, Log, Place
from tests.simulation.loop import Loop, Process

T = TypeVar("T")
_LOOK_S = 0.05


def this_process() -> Process:
    """The process that runs now."""
    return cast(Loop, asyncio.get_running_loop()).process


class Line:
    """The connection of a process to the broker."""

    def __init__(self, process: Process, broker: Broker) -> None:
        self.process = process
        self.broker = broker
        self.deaf_until_s = 0.0
        """Until then the group coordinator cannot be reached."""

    async def ask(self, what: Callable[[], T]) -> T:
        """Have something done on the broker; what was sent is done even when the process is killed meanwhile."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def reached() -> None:
            value = what()
            self.broker.agenda.after(self.broker.delay_s(), lambda: _resolve(answer, value))

        self.broker.agenda.after(self.broker.delay_s(), reached)
        return await answer

    async def ask_group(self, what: Callable[[], T]) -> T:
        """Ask the group coordinator, once it can be reached."""
        while self.deaf_until_s > self.broker.agenda.now:  # noqa: ASYNC110 - on simulated time
            await asyncio.sleep(self.deaf_until_s - self.broker.agenda.now)
        return await self.ask(what)


def _resolve(future: "asyncio.Future[T]", value: T) -> None:
    if not future.done():
        future.set_result(value)


class BatchBuilder:
    """Records that are sent together; it is full earlier than a real one."""

    def __init__(self, most: int) -> None:
        self.records: list[tuple[bytes | None, bytes | None, Headers]] = []
        self._most = most

    def append(
        self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Headers
    ) -> object | None:
        """Add a record; None when the batch is full."""
        assert timestamp is None
        if len(self.records) >= self._most:
            return None
        self.records.append((key, value, headers))
        return self


class Producer:
    """Stands in for AIOKafkaProducer."""

    def __init__(self, line: Line, most: int) -> None:
        self._line = line
        self._most = most
        self._agenda = line.broker.agenda
        self._under_way: dict[Place, deque[tuple[BatchBuilder, asyncio.Future[Any]]]] = {}
        self._drained: dict[Place, asyncio.Event] = {}
        self._busy: set[Place] = set()
        self.client = SimpleNamespace(send=None)
        """What is sent here has left the process: it arrives whatever the lease says."""
        self.loses_next = self.has_lost = False
        """The next batch is, or some batch was, given up."""
        line.process.on_death.append(self._die)

    async def start(self) -> None:
        """Connect."""
        await self._line.ask(lambda: None)

    async def stop(self) -> None:
        """Nothing to close."""

    def create_batch(self) -> BatchBuilder:
        """An empty batch."""
        return BatchBuilder(self._most)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> "asyncio.Future[Any]":
        """Have a batch sent once the one before it is on its way; the result is set when it is in the log."""
        place = (topic, partition)
        queue = self._under_way.setdefault(place, deque())
        while len(queue) > (place in self._busy):
            await self._drained.setdefault(place, asyncio.Event()).wait()
        sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        queue.append((batch, sent))
        self._next(place)
        return asyncio.shield(sent)

    def _next(self, place: Place) -> None:
        if place in self._busy or not self._under_way[place]:
            return
        self._busy.add(place)
        if drained := self._drained.pop(place, None):
            drained.set()
        self._agenda.after(self._line.broker.delay_s(), lambda: self._arrive(place))

    def _arrive(self, place: Place, *, delayed: bool = False) -> None:
        """A batch reaches the broker; of a frozen process perhaps only when it is awake again."""
        process, broker = self._line.process, self._line.broker
        if not process.alive:
            return
        if process.frozen and (delayed or self._agenda.rng.random() < 0.5):
            self._agenda.after(_LOOK_S, lambda: self._arrive(place, delayed=True))
            return
        batch, sent = self._under_way[place].popleft()
        if self.loses_next:
            self.loses_next, self.has_lost = False, True
            self._agenda.after(3.0, lambda: self._lost(place, sent))
            return
        first = broker.logs[place].end
        broker.append(place, batch.records)
        self._agenda.after(broker.delay_s(), lambda: self._confirmed(place, sent, first))

    def _confirmed(self, place: Place, sent: "asyncio.Future[Any]", first: int) -> None:
        if not self._line.process.alive:
            return
        if self._line.process.frozen:
            self._agenda.after(_LOOK_S, lambda: self._confirmed(place, sent, first))
            return
        self._busy.discard(place)
        _resolve(sent, SimpleNamespace(offset=first))
        self._next(place)

    def _lost(self, place: Place, sent: "asyncio.Future[Any]") -> None:
        """The producer gives up on a batch; the next one is sent all the same."""
        self._busy.discard(place)
        if self._line.process.alive and not sent.done():
            sent.set_exception(KafkaTimeoutError())
        self._next(place)

    def _die(self) -> None:
        """Any beginning of what was under way arrives, soon."""
        rng, broker = self._agenda.rng, self._line.broker
        for place, queue in self._under_way.items():
            records = [record for batch, _ in queue for record in batch.records]
            if arrived := records[: rng.randint(0, len(records))]:
                self._agenda.after(rng.uniform(0, 0.5), partial(broker.append, place, arrived))


class Reader:
    """Stands in for AIOKafkaConsumer where it reads partitions without a group."""

    def __init__(self, line: Line, places: Iterable[Place], slowness: float = 1.0) -> None:
        self._line = line
        self._positions = dict.fromkeys(places, 0)
        self._paused: set[Place] = set()
        self._slowness = slowness
        self._idle = False

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Nothing to close."""

    def assign(self, tps: Iterable[Any]) -> None:
        """Read these from their beginnings."""
        self._positions = {(tp.topic, tp.partition): self._log((tp.topic, tp.partition)).start for tp in tps}

    def assignment(self) -> set[Partition]:
        """What is read."""
        return {Partition(*place) for place in self._positions}

    def pause(self, tp: Any) -> None:
        """Read no more of this."""
        self._paused.add((tp.topic, tp.partition))

    def seek(self, tp: Any, offset: int) -> None:
        """Read on from there."""
        self._positions[tp.topic, tp.partition] = offset

    async def beginning_offsets(self, tps: Iterable[Any]) -> dict[Any, int]:
        """Where partitions begin."""
        return await self._line.ask(lambda: {tp: self._log((tp.topic, tp.partition)).start for tp in tps})

    async def end_offsets(self, tps: Iterable[Any]) -> dict[Any, int]:
        """Where partitions end."""
        return await self._line.ask(lambda: {tp: self._log((tp.topic, tp.partition)).end for tp in tps})

    async def position(self, tp: Any) -> int:
        """What is read next."""
        return self._positions[tp.topic, tp.partition]

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[PackedBatch]]:
        """What is there; where nothing was the last time, wait for more."""
        assert timeout_ms
        wanted = [place for place in self._positions if place not in self._paused]
        if self._idle and all(self._log(place).end <= self._positions[place] for place in wanted):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._line.broker.news(wanted), timeout_ms / 1000)
        await asyncio.sleep(self._line.broker.delay_s(self._slowness))
        batches = self._line.broker.agenda.rng.randint(1, 40)
        found = await self._line.ask(
            lambda: {place: self._log(place).fetch(self._positions[place], batches) for place in wanted}
        )
        fetched = {TopicPartition(*place): packed for place, packed in found.items() if packed}
        self._idle = not fetched
        for tp, packed in fetched.items():
            self._positions[tp.topic, tp.partition] = packed[-1].offset + 1
        return fetched

    def _log(self, place: Place) -> Log:
        return self._line.broker.logs[place]
