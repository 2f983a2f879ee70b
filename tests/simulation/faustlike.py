"""What of Faust the engine lives in: agents, tables that are recovered, and what happens in which order in a rebalance.

Written after faust-streaming 0.15.3, whose names it keeps. What matters for the protocol:
- revoked, before the first join too: no more batches, queued ones are dropped, but whatever is under way goes on;
- assigned: recovery begins (the product's own). One that is under way goes on until then, and is cancelled then,
  wherever it is, even in the middle of a take-over;
- recovered: the engine takes over, then reading goes on;
- stopped: agents are cancelled wherever they are, and no rebalance is handed on; what goes on beside them, and the
  consumer, do not end at once;
- offsets of batches that agents are done with are committed every two seconds, durable or not.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

from faust.types import TP

from stream_app.engine.faust.config import configured_app
from stream_app.engine.faust.consumer import Positions
from stream_app.engine.faust.restore import Recovery
from stream_app.engine.faust.tables import PartitionTable
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.ownership.fencing import Lease
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.settings import Settings
from tests.simulation.clients import Line
from tests.simulation.consumer import Consumer
from tests.simulation.group import Group

_FAUST = configured_app(Settings(), Lease(1.0), WorkerHealth(1.0), dict)
"""Only what topics and tables are made of."""
_BATCHES_AHEAD = 2

Handler = Callable[..., Awaitable[None]]
Agent = Callable[[Any], Coroutine[Any, Any, None]]


class Signal:
    """Handlers called one after the other."""

    def __init__(self) -> None:
        self._handlers: list[Handler] = []

    def connect(self, handler: Handler, *, weak: bool) -> None:
        """Call this too."""
        assert not weak
        self._handlers.append(handler)

    async def send(self) -> None:
        """Call all."""
        for handler in self._handlers:
            await handler()


class Tables(dict[str, PartitionTable]):
    """Stands in for Faust's table manager."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        self.recovery = _recovery_of(app, self)

    def on_actives_ready(self) -> None:
        """Nobody waits for it."""

    on_standbys_ready = on_actives_ready


def _recovery_of(app: Any, tables: Tables) -> Recovery:
    """The product's own recovery, without the service around it."""
    recovery = Recovery.__new__(Recovery)
    recovery._app, recovery._tables, recovery._client = app, cast(Any, tables), {}
    recovery.completed, recovery._rebalanced = cast(Any, asyncio.Event()), cast(Any, asyncio.Event())
    recovery.remaining = recovery._rebalances = 0
    return recovery


async def _nothing() -> None:
    """What is always running."""


async def _until_cancelled(agent: Coroutine[Any, Any, None]) -> None:
    with suppress(asyncio.CancelledError):
        await agent


class App:
    """Stands in for faust.App."""

    def __init__(
        self,
        settings: Settings,
        lease: Lease,
        health: WorkerHealth,
        positions: Callable[[], Positions],
        line: Line,
        group: Group,
    ) -> None:
        self.settings = settings
        self.lease = lease
        self.health = health
        self.positions = positions
        self.should_stop = False
        self.consumer_generation_id = 0
        self.on_partitions_revoked = Signal()
        self.on_partitions_assigned = Signal()
        self.on_rebalance_complete = Signal()
        self.consumer = Consumer(self, line, group)
        self.queues: dict[str, asyncio.Queue[Any]] = defaultdict(lambda: asyncio.Queue(_BATCHES_AHEAD))
        self._line = line
        self.slowness = line.broker.agenda.rng.choice((0.1, 1, 10, 60))
        """Of all but the protocol itself: large tables, a busy event loop."""
        self._agents: list[tuple[str, Agent]] = []
        self._counting: list[asyncio.Task[None]] = []
        self._tasks: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self.tables = Tables(self)
        self.in_recovery = False
        self.flow_control = SimpleNamespace(resume=self.clear_queues)
        self._fetcher = SimpleNamespace(maybe_start=_nothing)

    def topic(self, name: str, **kwargs: Any) -> Any:
        """A topic."""
        return _FAUST.topic(name, **kwargs)

    def Table(self, name: str, *, changelog_topic: Any, **kwargs: Any) -> PartitionTable:  # noqa: N802 - Faust's name
        """A table, real but for who recovers it."""
        table = PartitionTable(_FAUST, name=name, changelog_topic=changelog_topic, **kwargs)
        self.tables[changelog_topic.get_topic_name()] = table
        return table

    def agent(self, topic: Any, *, name: str, concurrency: int) -> Callable[[Agent], Agent]:
        """A decorator that makes an agent."""
        assert name
        assert concurrency == 1

        def register(function: Agent) -> Agent:
            self._agents.append((topic.get_topic_name(), function))
            return function

        return register

    def task(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run this beside the agents."""
        self._tasks.append(function)

    async def run(self) -> None:
        """Run everything."""
        loop = asyncio.get_running_loop()
        self._counting = [
            loop.create_task(_until_cancelled(agent(self._stream(topic)))) for topic, agent in self._agents
        ]
        await asyncio.gather(
            *self._counting,
            *(task() for task in self._tasks),
            self._recoveries(),
            self.consumer.take_part(),
            self.consumer.read(),
            self.consumer.commit_regularly(),
        )

    def stop(self) -> None:
        """Begin to end, as a signal asks for."""
        self.should_stop = True
        for counting in self._counting:
            counting.cancel()

    async def revoked(self) -> None:
        """All partitions are given up."""
        self.consumer.stop_flow()
        self.clear_queues()
        await self.on_partitions_revoked.send()

    async def assigned(self, generation: int) -> None:
        """A new assignment: recovery starts, anew where one is under way."""
        self.consumer_generation_id = generation
        if self.should_stop:
            return
        await asyncio.sleep(self._line.broker.delay_s(self.slowness))  # agents come first; a recovery goes on
        await self.tables.recovery.on_rebalance()
        await self.on_partitions_assigned.send()

    def on_rebalance_end(self) -> None:
        """Nobody waits for it."""

    async def _recoveries(self) -> None:
        """Recover once there is an assignment, anew when there is another."""
        recovery = self.tables.recovery
        under_way: asyncio.Task[None] | None = None
        while True:
            await recovery._rebalanced.wait()
            if under_way is not None:
                under_way.cancel()
                await asyncio.wait((under_way,))
            recovery._rebalanced.clear()
            under_way = asyncio.get_running_loop().create_task(recovery._recover())

    def clear_queues(self) -> None:
        """Drop what waits for agents."""
        for queue in self.queues.values():
            while not queue.empty():
                queue.get_nowait()

    async def _stream(self, topic: str) -> AsyncIterator[FetchedBatches]:
        while True:
            message = await self.queues[topic].get()
            yield message.value
            self.consumer.ack(TP(message.topic, message.partition), message.offset)
