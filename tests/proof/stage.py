"""A proof on its stage: topics, a feeder, a crew of workers, and somebody who reads what they publish."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.proof.contents import Contents
from tests.proof.crew import Crew
from tests.proof.feeder import Feeder
from tests.proof.report import Proof
from tests.proof.verifier import Verdict, cuts_of, verdict
from tests.servers.tracker import Follower, Seen, Tracker, Worker, following, tracker, variables

Start = Callable[[Tracker], Worker]
"""Starts a worker of a tracker."""

SETTINGS = {"window_s": "24h", "pane_s": "1h", "short_s": "2h", "tick_s": "200ms"}
QUIET_S = 1.5


class Stage:
    """What a proof works with."""

    def __init__(self, run: Tracker, crew: Crew, follower: Follower, contents: Contents) -> None:
        self.run = run
        self.crew = crew
        self.follower = follower
        self.contents = contents
        self._feeders: list[Feeder] = []

    @property
    def seen(self) -> Seen:
        """What was read so far."""
        return self.follower.seen

    def feed(self, per_second: float, first: int = 0, last: int | None = None) -> Feeder:
        """Begin to produce records of the contents."""
        topics = self.run.settings.input_topics
        feeder = Feeder(self.run.settings.brokers, topics, self.contents.records[first:last], per_second)
        self._feeders.append(feeder)
        return feeder.start()

    def read(self) -> int:
        """Records counted, as the workers report it."""
        return self.seen.total("read")

    def until(self, condition: Callable[[], bool], what: str, within_s: float) -> float:
        """Read on until the condition holds; the seconds it took. Fails after `within_s`."""
        began_s = time.monotonic()
        while not condition():
            waited_s = time.monotonic() - began_s
            assert waited_s < within_s, f"not within {within_s:g} s: {what}; {self.state()}"
            self.follower.poll()
        return time.monotonic() - began_s

    def until_counting(self, within_s: float = 60.0) -> None:
        """Read on until every member of the crew has partitions and something more is counted."""
        members = list(self.crew.members)
        self.until(lambda: all(worker.has_said("took over") for worker in members), "partitions for all", within_s)
        before = self.read()
        self.until(lambda: self.read() > before, "more events counted", within_s)

    def during(self, seconds: float) -> None:
        """Read on for so long."""
        self.follower.during(seconds)

    def state(self) -> str:
        """Where things stand, for the one who has to find out why."""
        counted = {name: self.seen.total(name) for name in self.contents.results}
        logs = "\n".join(
            f"-- {worker.process.pid} {worker.process.poll()}\n{worker.said()[-1500:]}" for worker in self.crew.members
        )
        return (
            f"{self.read()} of {len(self.contents.records)} read, {counted}; endings {dict(self.crew.endings)}\n{logs}"
        )

    def settle(self, within_s: float) -> float:
        """Return when all is counted and the cuts are exact or at rest; the seconds from the last event until then."""
        self.until(lambda: all(feeder.is_done for feeder in self._feeders), "everything produced", within_s)
        took_s = self.until(lambda: self.read() >= len(self.contents.records), "everything counted", within_s)
        expected = self.contents.cuts(self.run.settings.share)
        quiet_since_s, known = time.monotonic(), cuts_of(self.seen)
        while cuts_of(self.seen) != expected and time.monotonic() - quiet_since_s < 10 * QUIET_S:
            self.follower.poll()
            if cuts_of(self.seen) != known:
                quiet_since_s, known = time.monotonic(), cuts_of(self.seen)
        self.during(QUIET_S)
        self.follower.drain()
        return took_s

    def judge(self, proof: Proof) -> Verdict:
        """Compare everything with what must be; fails with what is wrong."""
        found = verdict(self.run.settings, self.seen, self.contents)
        proof.figure(events=len(self.contents.records), lost=found.lost, twice=found.twice, **found.figures)
        assert not found.wrong, "\n".join([*found.wrong, self.state()])
        return found

    def end(self) -> None:
        """Stop feeding."""
        for feeder in self._feeders:
            feeder.stop()


@contextmanager
def stage(
    brokers: str,
    name: str,
    logs: Path,
    contents: Contents,
    workers: int,
    start: Start | None = None,
    **settings: str,
) -> Iterator[Stage]:
    """Topics called after `name`, and so many workers, for the length of the block."""
    with tracker(variables(brokers, name, **{**SETTINGS, **settings}), logs, workers=0) as run:
        s = run.settings
        internal = (s.curves_topic, s.additions_topic)
        outputs = (*internal, s.cuts_topic, s.flags_topic, s.standings_topic, s.dead_letters_topic, s.late_topic)
        crew = Crew(run, workers, (lambda: start(run)) if start else None)
        with following(run, *outputs) as follower, crew:
            made = Stage(run, crew, follower, contents)
            try:
                yield made
            finally:
                made.end()
