"""Workers of the release before and of this one together, and workers with other settings, while events flow."""

import json
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest

from stream_app import __version__
from stream_app.engine.liveness.exit_codes import Exit
from stream_app.until import until
from tests.proof.crew import asked
from tests.proof.prove_kills import PATIENCE_S, contents, finish
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import stage
from tests.proof.verifier import flags_of
from tests.servers.releases import OLD, command_of
from tests.servers.tracker import WORKER, Tracker, Worker
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(1200)

WORKERS = 2
LOAD_S = 600.0
REST_S = 25.0
"""Too fast, 0.2.0 calls events late: it reads a day of one topic before it knows that the other has more as well."""
SESSION = "10s"
"""Long enough for a busy machine: an upgrade is no fault."""
STEP_S = 3.0
REFUSED_WITHIN_S = 90.0
OTHER = {"window_s": "12h"}
OK = HTTPStatus.OK


@pytest.mark.promise(21, what="rolling upgrade from the release before and back")
def test_every_count_is_exact_although_one_worker_after_the_other_is_replaced_by_another_release(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = contents(scale)
    crew_of = Releases(tmp_path)
    with stage(brokers, "upgrade", tmp_path, given, WORKERS, crew_of.start, session_timeout_s=SESSION) as on:
        feeder = on.feed(len(given.records) / LOAD_S)
        on.until_counting(PATIENCE_S)
        ended: list[tuple[int, float]] = []
        together = 0
        for release in (__version__, OLD):
            while wrong := [worker for worker in on.crew.members if crew_of.release(worker) != release]:
                crew_of.next = release
                ended.append(on.crew.replace(wrong[0]))
                on.until_counting(PATIENCE_S)
                if len({*map(crew_of.release, on.crew.members)}) > 1:
                    together += 1
                    for worker in list(on.crew.members):  # one of each dies too
                        crew_of.next = crew_of.release(worker)
                        on.crew.kill(worker)
                    on.until_counting(PATIENCE_S)
                    on.during(STEP_S)
            assert {release_of(worker) for worker in on.crew.members} == {release}
            assert not feeder.is_done, "there was no load any more"
        assert together >= len((__version__, OLD))
        feeder.hurry(len(given.records) / REST_S)
        assert [status for status, _ in ended] == [0] * len(ended)
        proof.figure(old=OLD, new=__version__, replaced=len(ended))
        finish(on, proof)


@pytest.mark.promise(21, what="a worker with other settings is refused")
def test_a_worker_with_other_settings_does_not_join_and_changes_nothing(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = contents(scale, 0.25)
    with stage(brokers, "mixed", tmp_path, given, workers=2) as on:
        on.feed(len(given.records) / scale.load_s)
        on.until_counting()
        rebalances = [worker.times_said("took over") for worker in on.crew.members]
        other = on.run.start(**OTHER)
        refused_after_s = on.until(lambda: other.process.poll() is not None, "the other one ends", REFUSED_WITHIN_S)
        assert other.process.returncode == Exit.REFUSED
        for words in ("STREAM_APP_WINDOW_S is 12h here and 24h there", "STREAM_APP_ALLOW_MIXED", __version__):
            assert other.has_said(words), other.said()
        assert [worker.times_said("took over") for worker in on.crew.members] == rebalances, "partitions moved"
        proof.figure(refused_after_s=refused_after_s)
        finish(on, proof)
        assert {flag.settings_version for flag in flags_of(on.run.settings, on.seen)} <= {on.run.settings.version}
        on.run.workers.remove(other)
        other.log.close()


@pytest.mark.promise(21, what="of two that start together one goes on; a dead one blocks nobody")
def test_of_two_workers_that_start_together_with_different_settings_exactly_one_goes_on(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = contents(scale, 0.05)
    with stage(brokers, "together21", tmp_path, given, workers=0) as on:
        for mine in ({}, OTHER):
            pair = [on.run.start(), on.run.start(**OTHER)]
            on.until(partial(is_decided, pair), "one of them ends", REFUSED_WITHIN_S)
            on.during(STEP_S)
            (left,) = [worker for worker in pair if worker.process.poll() is None]
            (gone,) = [worker for worker in pair if worker.process.poll() is not None]
            assert gone.process.returncode == Exit.REFUSED, gone.said()
            left.kill()
            # Its last announcement is still there. A worker with any settings goes on all the same.
            alone = on.run.start(**mine)
            assert eventually(partial(alone.has_said, "took over"), REFUSED_WITHIN_S), alone.said()
            alone.kill()
        first = on.run.start()
        assert eventually(partial(first.has_said, "took over"), REFUSED_WITHIN_S), first.said()
        guest = on.run.start(**OTHER, allow_mixed="true")
        assert eventually(partial(guest.has_said, "took over"), REFUSED_WITHIN_S), guest.said()
        on.feed(len(given.records) / STEP_S)
        on.until(lambda: on.read() >= len(given.records), "everything counted", REFUSED_WITHIN_S)
        assert flags_of(on.run.settings, on.seen) == [], "workers with different settings raise no flags"
        for worker in (first, guest):
            worker.kill()
        proof.figure(events=len(given.records), lost=0, twice=0)


class Releases:
    """Starts workers of one release or the other, and knows which is which."""

    def __init__(self, folder: Path) -> None:
        self._commands = {OLD: command_of(OLD, folder), __version__: WORKER}
        self._started: dict[int, str] = {}
        self.next = OLD
        """What is started next."""

    def start(self, run: Tracker) -> Worker:
        """Start one."""
        worker = run.start(self._commands[self.next])
        self._started[worker.process.pid] = self.next
        return worker

    def release(self, worker: Worker) -> str:
        """What it was started as."""
        return self._started[worker.process.pid]


def release_of(worker: Worker) -> str:
    """What a worker says that it is."""
    status, text = until(lambda: asked(worker, "/api/v1/about"), PATIENCE_S, is_done=lambda answer: answer[0] == OK)
    assert status == OK, worker.said()
    return str(json.loads(text)["version"])


def is_decided(pair: list[Worker]) -> bool:
    """Whether one of two has ended and the other has partitions."""
    ended = [worker.process.poll() is not None for worker in pair]
    return any(ended) and any(worker.has_said("took over") for worker in pair)
