"""A worker: the real engine of stream_app in a simulated process.

Everything that the engine does is the product's own code. Replaced is only what is outside of it: Faust's app, the two
clients of aiokafka that it uses itself, clocks, and the end of the process. Some constants are made small, so that
short runs have segments of several parts, many seals and few messages of curves.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any, NoReturn, cast
from unittest.mock import patch

from stream_app.core.changelog import ledger_store
from stream_app.core.changelog.content import parts
from stream_app.core.signals.partition_signals import PartitionSignals
from stream_app.core.signals.stored import signal_log
from stream_app.core.state import ledger
from stream_app.engine import build, engine
from stream_app.engine.build import build_engine
from stream_app.engine.counting import waiting_batches
from stream_app.engine.engine import Engine
from stream_app.engine.faust import app, restore
from stream_app.engine.faust.consumer import Positions
from stream_app.engine.liveness.broker_monitor import BrokerState, TopicIdentity
from stream_app.engine.liveness.exit_codes import Exit
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.engine.ownership.fencing import Lease
from stream_app.engine.ports import Meter
from stream_app.engine.rounds import busy_time, delta_reader, evaluation_round, source_reach, watermark_alignment
from stream_app.kafka import async_clients, record_batches
from stream_app.kafka.records import Partition
from stream_app.kafka.topic_reader import READ_WAIT_MS
from stream_app.settings import Settings
from tests.simulation import step_verdict
from tests.simulation.broker import Broker
from tests.simulation.clients import Line, Producer, Reader, this_process
from tests.simulation.faustlike import App
from tests.simulation.group import Group
from tests.simulation.loop import Agenda, Process
from tests.simulation.plan import SESSION_S, ZOMBIES, Plan

_SWEEP_S = 0.7
_TOGETHER_RECORDS = 4
_ENOUGH_RECORDS = 6
_LIVE_S, _SKEW_S = 0.5, 0.1


class Worker:
    """One life of a worker."""

    def __init__(self, agenda: Agenda, plan: Plan, broker: Broker, group: Group, name: str) -> None:
        self.name = name
        self.process = Process(agenda, name)
        self.process.worker = self  # type: ignore[attr-defined]
        self.line = Line(self.process, broker)
        self.plan = plan
        self.clock_skew_s = agenda.rng.uniform(-2, 2)
        self.status: Exit | None = None
        self.ended: str = ""
        """Why it ended by itself."""
        self.producer: Producer | None = None
        self.is_leaving = False
        """It was terminated."""
        self.app: App
        self.engine: Engine
        self._group = group
        running = self.process.start(self._run())
        running.add_done_callback(lambda _: self.process.kill())  # Faust ends a worker of which something crashed

    async def _run(self) -> None:
        self.engine = build_engine(self.plan.settings, cast(Meter, _Unmeasured()))
        await asyncio.gather(self.engine.run(), self.app.run(), self._tick())

    async def _tick(self) -> None:
        """What the watchdog does for the clock of health; it ends nobody here."""
        while True:
            await asyncio.sleep(1.0)
            self.engine.health.tick(1.0)

    def now_s(self) -> float:
        """Its wall clock."""
        return self.line.broker.now_s + self.clock_skew_s

    @property
    def may_end(self) -> bool:
        """Whether it has a reason to end itself: a lost write; or, cut off or as good as that, it had some to make."""
        if self.status is Exit.FENCED:
            broker = self.line.broker
            was_slow = broker.agenda.now < broker.slow_until_s + SESSION_S
            is_slow = self.app.consumer.has_slow_beats
            return was_slow or is_slow or not set(ZOMBIES).isdisjoint(self.plan.faults)
        lost = self.producer is not None and self.producer.has_lost
        return lost and self.status is Exit.LOST_WRITE

    def new_producer(self) -> Producer:
        """Its producer."""
        self.producer = Producer(self.line, self.plan.records_a_batch)
        return self.producer

    def new_reader(self, *topics: str, fetch_max_wait_ms: int = 0, **_: object) -> Reader:
        """One more consumer without a group: of whole topics, or one that says later what it reads.

        A recovery may be slow. What is sent to homes is read with a wait of its own.
        """
        if topics or fetch_max_wait_ms == READ_WAIT_MS:
            return Reader(self.line, [(topic, 0) for topic in topics])
        return Reader(self.line, [], self.app.slowness)

    def configured_app(
        self, settings: Settings, lease: Lease, health: WorkerHealth, positions: Callable[[], Positions]
    ) -> App:
        """Its Faust app."""
        self.app = App(settings, lease, health, positions, self.line, self._group)
        return self.app


class Probe:
    """What Kafka says when asked directly, without the thread."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.has_answered = SimpleNamespace(wait=lambda: True)
        self.asked = 0

    def ask_soon(self) -> None:
        """Every answer is as of now."""

    @property
    def answer(self) -> BrokerState:
        """The present truth."""
        settings, logs = self._worker.plan.settings, self._worker.line.broker.logs
        tps = [
            Partition(topic, partition) for topic in settings.read_topics for partition in range(settings.partitions)
        ]
        topics = {topic: TopicIdentity(f"id of {topic}", settings.partitions) for topic in settings.read_topics}
        return BrokerState({tp: logs[tp].end for tp in tps}, topics, number=1)


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


class _Unmeasured:
    """A meter that measures nothing."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return _ignored


def _ignored(*_args: object) -> None:
    """Not measured."""


def _worker() -> Worker:
    worker: Worker = this_process().worker  # type: ignore[attr-defined]
    return worker


def _end(status: Exit, why: str, _doing: str = "") -> NoReturn:
    worker = _worker()
    worker.ended = f"{status.name}: {why}"
    worker.status = status
    worker.process.kill()
    raise SystemExit(status)


async def _nothing() -> None:
    """Memory is no matter here."""


@contextmanager
def engines(plan: Plan) -> Iterator[None]:
    """While this lasts engines can be made and run in simulated processes only."""
    replaced: list[tuple[Any, str, Any]] = [
        (app, "configured_app", lambda *given: _worker().configured_app(*given)),
        (engine, "end", _end),
        (build, "time", SimpleNamespace(time=lambda: _worker().now_s(), monotonic=_monotonic)),
        (build, "Lease", lambda timeout_s: Lease(timeout_s, _monotonic)),
        (build, "WorkerHealth", lambda stall_s: WorkerHealth(stall_s, _monotonic)),
        (build, "BrokerMonitor", lambda _settings: Probe(_worker())),
        (app, "collect_quietly", _nothing),
        (engine, "_SWEEP_S", _SWEEP_S),
        (engine, "_OBSERVE_S", 5.0),
        (async_clients, "AIOKafkaProducer", lambda **_: _worker().new_producer()),
        (async_clients, "AIOKafkaConsumer", lambda *topics, **options: _worker().new_reader(*topics, **options)),
        (restore, "monotonic", _monotonic),
        (busy_time, "perf_counter", _monotonic),
        (evaluation_round, "perf_counter", _monotonic),
        (evaluation_round, "monotonic", _monotonic),
        (delta_reader, "monotonic", _monotonic),
        (watermark_alignment, "monotonic", _monotonic),
        (watermark_alignment, "LIVE_S", _LIVE_S),
        (source_reach, "SKEW_S", _SKEW_S),
        (parts, "MOST_ENTRIES", plan.most_entries),
        (record_batches, "TOGETHER_RECORDS", _TOGETHER_RECORDS),
        (waiting_batches, "ENOUGH", _ENOUGH_RECORDS),
        (ledger_store, "MOST_DELTAS", plan.most_deltas),
        (ledger, "_DEAD_ROWS_KEPT", 2),
        (signal_log, "PartitionSignals", lambda: PartitionSignals(step_verdict.LIMITS)),
    ]
    with ExitStack() as stack:
        for module, name, stand_in in replaced:
            stack.enter_context(patch.object(module, name, stand_in))
        yield
