"""200 seeds of the simulation, the seeds that once found a bug, and that a seed always plays the same."""

import subprocess
import sys

import pytest

from tests.simulation.pinned import PINNED
from tests.simulation.plan import plan_of
from tests.simulation.run import Run, failure_of

pytestmark = pytest.mark.timeout(120)
SEEDS, CHECKED, TOGETHER = 200, 40, 5
"""All seeds, those of them that `make check` plays, and how many in one test."""

_PLAY = """
from tests.simulation.plan import plan_of
from tests.simulation.run import Run
run = Run(plan_of(3))
run.play()
print(*run.trace, run.agenda.steps, sep="\\n")
"""


@pytest.mark.parametrize(
    "first",
    [
        *range(0, CHECKED, TOGETHER),
        *(pytest.param(first, marks=pytest.mark.slow) for first in range(CHECKED, SEEDS, TOGETHER)),
    ],
)
def test_nothing_is_lost_or_counted_twice_whatever_happens(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        assert not (report := failure_of(plan_of(seed))), report


@pytest.mark.parametrize("seed", PINNED)
def test_a_bug_that_was_found_stays_fixed(seed: int) -> None:
    assert not (report := failure_of(plan_of(seed))), report


def test_a_seed_always_plays_the_same_in_any_process() -> None:
    here = Run(plan_of(3))
    here.play()
    command = [sys.executable, "-c", _PLAY]
    there = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout
    assert there.splitlines() == [*here.trace, str(here.agenda.steps)]
