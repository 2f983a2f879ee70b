"""Workers that are killed, stopped, frozen, added and removed while events flow."""

import random
from pathlib import Path

import pytest

from tests.proof.contents import Contents, Recipe, made
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import QUIET_S, Stage, Start, stage
from tests.proof.verifier import cuts_of

pytestmark = pytest.mark.timeout(1200)

PATIENCE_S = 180.0
STEPS = (1, 3, 2, 4, 1)
"""How many workers there are, one step after the other."""
STEP_S = 10.0
FROZEN_SESSIONS = 2.5
END_WITHIN_S = 10.0
TERM_S = 30.0
"""How long the load lasts for each SIGTERM, if need be …"""
FREEZE_S = 30.0
"""… and for each worker that is frozen."""


def contents(scale: Scale, part: float = 1.0) -> Contents:
    """Events with a few repeats, late and bad ones among them."""
    events = int(scale.events * part)
    return made(Recipe(events, repeats=events // 20, late=events // 100, bad=events // 100))


def finish(on: Stage, proof: Proof) -> None:
    """Let it come to rest, and compare everything."""
    caught_up_s = on.settle(PATIENCE_S)
    proof.figure(caught_up_s=caught_up_s)
    if on.crew.endings:
        proof.figure(ended_by_themselves=dict(on.crew.endings))
    on.judge(proof)


@pytest.mark.promise(1)
def test_every_count_is_exact_although_a_random_worker_is_killed_every_few_seconds(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    kill_at_random(brokers, tmp_path, scale, proof)


def kill_at_random(brokers: str, folder: Path, scale: Scale, proof: Proof, start: Start | None = None) -> None:
    """Kill a random worker every few seconds, and have two to four of them."""
    rng = random.Random(1)
    given = contents(scale)
    with stage(brokers, f"kills{proof.row}", folder, given, workers=3, start=start) as on:
        feeder = on.feed(len(given.records) / scale.load_s)
        kills = 0
        while not feeder.is_done:
            on.during(scale.kill_every_s)
            on.crew.kill(rng.choice(on.crew.members))
            on.crew.scale(rng.choice((2, 3, 4)))
            kills += 1
        proof.figure(kills=kills)
        finish(on, proof)


@pytest.mark.promise(2)
def test_every_count_is_exact_although_all_workers_are_killed_together(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    """And equal to what a tracker without any fault makes of the same topics."""
    given = contents(scale, 0.5)
    times = 5
    calm_folder = tmp_path / "calm"
    calm_folder.mkdir()
    with stage(brokers, "together", tmp_path, given, workers=3) as on:
        s = on.run.settings
        feeder = on.feed(len(given.records) / scale.load_s)
        for _ in range(times):
            on.during(scale.load_s / (times + 1))
            on.crew.kill(*on.crew.members)
        assert not feeder.is_done or feeder.sent == len(given.records)
        proof.figure(kills=3 * times)
        finish(on, proof)
        faulty = cuts_of(on.seen)
        topics = {"posts_topic": s.posts_topic, "shares_topic": s.shares_topic}
        on.crew.scale(0)
        with stage(brokers, "calm", calm_folder, given, 2, None, **topics) as calm:
            calm.settle(PATIENCE_S)
            assert cuts_of(calm.seen) == faulty
            assert {name: calm.seen.total(name) for name in given.results} == given.results


@pytest.mark.promise(3)
def test_every_count_is_exact_although_workers_come_and_go(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = contents(scale, 0.5)
    with stage(brokers, "scaled", tmp_path, given, workers=STEPS[0]) as on:
        on.feed(len(given.records) / (STEP_S * len(STEPS)))
        ended = []
        for workers in STEPS:
            ended += on.crew.scale(workers)
            on.during(STEP_S)
        assert [status for status, _ in ended] == [0] * len(ended)
        proof.figure(steps="→".join(map(str, STEPS)))
        finish(on, proof)


@pytest.mark.promise(4)
def test_a_worker_that_is_terminated_under_load_ends_well_and_soon(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = contents(scale, 1.5)  # for as long as it may take at the pace of the other rows
    with stage(brokers, "terms", tmp_path, given, workers=2) as on:
        feeder = on.feed(len(given.records) / (TERM_S * scale.terms))
        ended = []
        for number in range(scale.terms):
            on.until_counting()
            ended.append(on.crew.replace(on.crew.members[number % 2]))
        assert not feeder.is_done, "there was no load any more"
        feeder.hurry()
        proof.figure(terms=len(ended), slowest_s=max(seconds for _, seconds in ended))
        assert [status for status, _ in ended] == [0] * len(ended)
        assert max(seconds for _, seconds in ended) <= END_WITHIN_S
        finish(on, proof)


@pytest.mark.promise(5)
def test_a_worker_that_was_frozen_and_wakes_up_after_another_took_over_changes_nothing(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = contents(scale, 0.5)
    with stage(brokers, "frozen", tmp_path, given, workers=2) as on:
        freezes = round(scale.load_s / 10)
        feeder = on.feed(len(given.records) / (FREEZE_S * freezes))
        for number in range(freezes):
            on.until_counting()
            sleeper, before = on.crew.members[number % 2], on.read()
            on.crew.freeze(sleeper)
            on.during(FROZEN_SESSIONS * on.run.settings.session_timeout_s)
            assert on.read() > before, "nobody took over"
            assert not feeder.is_done, "there was no load any more"
            on.crew.thaw(sleeper)
            on.during(2 * QUIET_S)
        feeder.hurry()
        proof.figure(frozen=freezes)
        finish(on, proof)
