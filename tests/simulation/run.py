"""One run: a world made from a seed, faults while events flow, calm until nothing moves, and the verdict."""

import asyncio
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError

from stream_app.core.changelog.replay import replay
from stream_app.core.state.watermark import Source
from stream_app.engine.ownership import lost_records
from stream_app.engine.rounds.curve_exchange import WATERMARK_KEY
from stream_app.kafka.topics import changelogs_of
from tests.simulation import verdict
from tests.simulation.broker import Broker, Place, Record
from tests.simulation.clients import this_process
from tests.simulation.faults import Faults
from tests.simulation.feed import PANE_MS, START_MS, Feed
from tests.simulation.group import Group
from tests.simulation.loop import Agenda
from tests.simulation.plan import DWELL_S, SESSION_S, Plan
from tests.simulation.worker import Worker, engines

_CLOCKS_AHEAD_S = 10 * 86_400
_EVENTS_EVERY_S = 0.3
_QUIET_S = 1.6
_PATIENCE_S = 90.0


def failure_of(plan: Plan) -> str:
    """Play a plan; the report where something is wrong, else nothing."""
    run = Run(plan)
    return run.report() if run.play() else ""


class Run:
    """The world of one seed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.agenda = Agenda(plan.seed)
        self.broker = Broker(self.agenda, START_MS / 1000 + _CLOCKS_AHEAD_S)
        self.group = Group(self.agenda, plan.settings.partitions, SESSION_S)
        self.feed = Feed(plan, self.broker, self.sources)
        self.workers: list[Worker] = []
        self.trace: list[str] = []
        """What happened, one line each."""
        self.problems: list[str] = []
        self.gone: dict[tuple[str, int], list[range]] = {}
        """Offsets that a worker reported as gone from Kafka."""
        self._changelog = changelogs_of(plan.settings)[0]
        self._sources: dict[int, tuple[int, dict[str, Source]]] = {}
        self._appended_s = 0.0
        self._events_until_s = plan.active_s
        self.statuses: list[Record] = []
        """Every published status, in order."""
        self.broker.on_append.append(self._note)

    def play(self) -> list[str]:
        """Play it; returns what is wrong."""
        with engines(self.plan), self._listening():
            for _ in range(self.plan.workers):
                self.start()
            faults = Faults(self)
            self._produce()
            self.agenda.run(self.plan.active_s)
            faults.end()
            self.say("calm: no more events, no more faults")
            self._settle()
            self._nudge()
            if not self.problems:
                self.problems += verdict.problems(self)
            for worker in self.live():
                worker.process.kill()
            self.agenda.run(self.agenda.now + 0.01)
        return self.problems

    def report(self) -> str:
        """All about it: the plan, what happened, what is wrong."""
        return "\n".join([f"seed {self.plan.seed}: {self.plan}", "", *self.trace, "", *self.problems])

    def start(self) -> Worker:
        """Start one more worker."""
        worker = Worker(self.agenda, self.plan, self.broker, self.group, f"w{len(self.workers) + 1}")
        self.workers.append(worker)
        worker.process.on_death.append(lambda: self._is_dead(worker))
        self.say(f"{worker.name} starts")
        return worker

    def end(self, worker: Worker) -> None:
        """End a worker in good order: its agents end, it leaves the group, and ends a moment later."""
        self.say(f"{worker.name} is terminated")
        worker.is_leaving = True
        worker.process.start(self._end(worker))

    async def _end(self, worker: Worker) -> None:
        worker.app.stop()
        await asyncio.sleep(self.agenda.rng.uniform(0, 0.5))
        self.say(f"{worker.name} leaves the group")
        worker.process.start(worker.app.consumer.leave())
        self.agenda.after(self.agenda.rng.uniform(0, 0.5), worker.process.kill)

    def have_one(self) -> None:
        """Start a worker unless there is one that stays."""
        if all(worker.is_leaving for worker in self.live()):
            self.start()

    def live(self) -> list[Worker]:
        """The workers that are alive."""
        return [worker for worker in self.workers if worker.process.alive]

    def say(self, what: str) -> None:
        """Note what happens."""
        self.trace.append(f"{self.agenda.now:8.3f}  {what}")

    def sources(self, partition: int) -> dict[str, Source]:
        """How far a partition is counted in its log."""
        log = self.broker.logs[self._changelog, partition]
        known = self._sources.get(partition)
        if known is None or known[0] != log.end:
            header = replay(log.table(), partition).header
            known = self._sources[partition] = (log.end, header.sources if header else {})
        return known[1]

    def _note(self, place: Place, records: list[Record]) -> None:
        self._appended_s = self.agenda.now
        if place[0] == self.plan.settings.curves_topic:
            self.statuses += [record for record in records if (record.key or b"").startswith(b"status/")]

    def _produce(self) -> None:
        if self.agenda.now < self._events_until_s:
            self.feed.produce()
            self.agenda.after(self.agenda.rng.expovariate(1 / _EVENTS_EVERY_S), self._produce)

    def _settle(self) -> None:
        """Let everything happen until nothing is written any more and all is read."""
        begun_s = self.agenda.now
        while self.agenda.now - begun_s < _PATIENCE_S:
            self.agenda.run(self.agenda.now + 1.0)
            quiet = self.agenda.now - max(self._appended_s, begun_s) >= _QUIET_S
            if quiet and not verdict.unrest(self):
                return
        self.problems.append(f"it does not come to rest within {_PATIENCE_S:g} s: {verdict.unrest(self)}")

    def _nudge(self) -> None:
        """Move event time on to a new pane, and then by the dwell time twice, so that whatever waits for that ends."""
        for step_ms in (PANE_MS - self.feed.newest_ms % PANE_MS, DWELL_S * 1000, DWELL_S * 1000):
            self.feed.newest_ms += step_ms
            said = str(self.feed.newest_ms).encode()
            self.broker.append((self.plan.settings.curves_topic, 0), [(WATERMARK_KEY, said, ())])
            self._settle()

    def _is_dead(self, worker: Worker) -> None:
        lost = worker.producer is not None and worker.producer.has_lost
        for error in worker.process.loop.errors:
            if not (lost and isinstance(error, KafkaError)):
                self._crashed(worker, error)
        if worker.ended:
            self.say(f"{worker.name} ends itself: {worker.ended}")
            self.agenda.after(0.1, self.have_one)
            if not worker.may_end:
                self.problems.append(f"{worker.name} ended itself: {worker.ended}")

    def _crashed(self, worker: Worker, error: BaseException) -> None:
        text = "".join(traceback.format_exception(error))
        self.problems.append(f"{worker.name} crashed: {text}")

    @contextmanager
    def _listening(self) -> Iterator[None]:
        handler = _Listener(self)
        logger = logging.getLogger("stream_app")
        assert not logging.getLogger(lost_records.__name__).disabled, "something in this process switched loggers off"
        before = logger.level, logger.propagate
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before[0])
            logger.propagate = before[1]


class _Listener(logging.Handler):
    """Takes what workers log into the trace."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        if "cannot be counted" in str(record.msg):
            return
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        self._run.say(f"{this_process().name} says: {text}")
        if "are gone from Kafka" in str(record.msg) and isinstance(record.args, tuple):
            topic, partition, first, last = record.args
            self._run.gone.setdefault((str(topic), int(str(partition))), []).append(
                range(int(str(first)), int(str(last)) + 1)
            )
