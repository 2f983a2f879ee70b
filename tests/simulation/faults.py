"""What goes wrong in a run, and when: everything by chance from the seed, everything noted in the trace."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation.plan import SESSION_S
from tests.simulation.worker import Worker

if TYPE_CHECKING:
    from tests.simulation.run import Run

_MOST_WORKERS = 4


class Faults:
    """Makes faults until `end`."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._rng = run.agenda.rng
        self._ended = False
        self._kinds: dict[str, Callable[[], None]] = {
            "kill": lambda: self._kill(self._some()),
            "kill in few steps": lambda: self._in_few_steps("killed", self._kill),
            "kill all": self._kill_all,
            "add": self._add,
            "leave": self._leave,
            "rebalance": self._rebalance,
            "rebalance twice": self._rebalance_twice,
            "visit": self._visit,
            "group forgotten": self._forget_group,
            "lose a write": self._lose,
            "freeze": lambda: self._freeze(self._some()),
            "freeze in few steps": lambda: self._in_few_steps("frozen", self._freeze),
            "cut off": self._cut_off,
            "compact": self._compact,
            "slow broker": self._slow_broker,
            "retention": self._retention,
        }
        self._again()

    def end(self) -> None:
        """No more faults: everybody awake, everything reachable, at least one worker."""
        self._ended = True
        run = self._run
        run.broker.slow_until_s = min(run.broker.slow_until_s, run.agenda.now)
        for worker in run.live():
            worker.process.steps_left = None
            worker.line.deaf_until_s = 0.0
            if worker.producer is not None:
                worker.producer.loses_next = False
            self._thaw(worker)
        run.have_one()

    def _again(self) -> None:
        def happen() -> None:
            if not self._ended:
                self._kinds[self._rng.choice(self._run.plan.faults)]()
                self._again()

        self._run.agenda.after(self._rng.expovariate(1 / self._run.plan.fault_every_s), happen)

    def _some(self) -> Worker | None:
        live = self._run.live()
        return self._rng.choice(live) if live else None

    def _kill(self, worker: Worker | None) -> None:
        if worker is None or not worker.process.alive:
            return
        self._run.say(f"{worker.name} is killed")
        worker.process.kill()
        self._replace()

    def _replace(self) -> None:
        def start() -> None:
            if len(self._run.live()) < self._run.plan.workers:
                self._run.start()

        self._run.agenda.after(self._rng.choice((0.05, 0.3, 1.0, 4.0)), start)

    def _kill_all(self) -> None:
        for worker in self._run.live():
            self._kill(worker)

    def _in_few_steps(self, what: str, fault: Callable[[Worker], None]) -> None:
        if worker := self._some():
            steps = self._rng.randint(1, 150)
            self._run.say(f"{worker.name} will be {what} in {steps} steps")
            worker.process.steps_left = (steps, lambda: fault(worker))

    def _add(self) -> None:
        if len(self._run.live()) < _MOST_WORKERS:
            self._run.start()

    def _leave(self) -> None:
        if (worker := self._some()) and worker.process.running and not worker.is_leaving:
            self._run.end(worker)
            self._replace()

    def _rebalance(self) -> None:
        self._run.say("the group rebalances")
        self._run.group.rebalance()

    def _rebalance_twice(self) -> None:
        """The second while workers still recover from the first."""
        self._rebalance()
        self._run.agenda.after(self._rng.uniform(0.3, 2.5), self._rebalance)

    def _visit(self) -> None:
        """A worker of an older version is stopped while it starts."""
        self._run.say("a member that has subscribed to the sources only comes and goes")
        self._run.group.visit(self._rng.choice((0.3, 1.0, 4.0)))

    def _forget_group(self) -> None:
        """All workers are gone for so long that Kafka forgets their group."""
        self._kill_all()
        self._run.say("the group is forgotten")
        self._run.agenda.after(0.6 + SESSION_S, self._run.group.forget)

    def _lose(self) -> None:
        """A worker's producer gives up on a batch."""
        worker = self._some()
        if worker is not None and worker.producer is not None:
            self._run.say(f"a write of {worker.name} will be lost")
            worker.producer.loses_next = True

    def _freeze(self, worker: Worker | None) -> None:
        if worker is None or not worker.process.running:
            return
        seconds = self._rng.choice((0.3, 1.0, 2.5, 4.0, 7.0))
        self._run.say(f"{worker.name} is frozen for {seconds:g} s")
        worker.process.frozen = True
        self._run.agenda.after(seconds, lambda: self._thaw(worker))

    def _thaw(self, worker: Worker) -> None:
        if worker.process.frozen:
            self._run.say(f"{worker.name} wakes")
            worker.process.frozen = False

    def _cut_off(self) -> None:
        """A worker cannot reach the group coordinator, but everything else."""
        if worker := self._some():
            seconds = self._rng.choice((1.0, 3.0, 6.0))
            self._run.say(f"{worker.name} is cut off from the group for {seconds:g} s")
            worker.line.deaf_until_s = self._run.agenda.now + seconds

    def _compact(self) -> None:
        settings = self._run.plan.settings
        self._run.say("all compacted topics are compacted")
        inputs = {*settings.read_topics, settings.flags_topic, settings.dead_letters_topic, settings.late_topic}
        for (topic, _), log in self._run.broker.logs.items():
            if topic not in inputs:
                log.compact()

    def _slow_broker(self) -> None:
        seconds = self._rng.choice((0.5, 2.0))
        self._run.say(f"the broker is slow for {seconds:g} s")
        self._run.broker.slow_until_s = self._run.agenda.now + seconds

    def _retention(self) -> None:
        """The oldest half of an input is gone, or all of it, read or not."""
        settings = self._run.plan.settings
        topic = self._rng.choice(settings.input_topics)
        partition = self._rng.randrange(settings.partitions)
        log = self._run.broker.logs[topic, partition]
        log.forget(self._rng.choice(((log.start + log.end) // 2, log.end)))
        self._run.say(f"retention: {topic}-{partition} begins at {log.start} now")
