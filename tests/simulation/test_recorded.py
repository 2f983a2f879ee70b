"""A rebalance of the real Faust, recorded, against the same one in the simulation."""

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.simulation.callbacks import Callback, canonical, noting
from tests.simulation.clients import this_process
from tests.simulation.plan import plan_of
from tests.simulation.run import Run
from tests.simulation.verdict import unrest
from tests.simulation.worker import engines
from tests.tools.rebalance import FILE, played

_WITHIN_S = 60
Calls = dict[str, list[Callback]]


@pytest.fixture
def recorded() -> Calls:
    """The calls of each worker, as the real Faust made them."""
    return {worker: [Callback(*call) for call in of_one] for worker, of_one in json.loads(FILE.read_text()).items()}


def simulated(seed: int) -> Calls:
    """The same in the simulation: a second worker joins, and leaves."""
    plan = plan_of(seed)
    run = Run(replace(plan, settings=msgspec.structs.replace(plan.settings, partitions=2)))
    calls: Calls = defaultdict(list)

    def note(call: Callback) -> None:
        calls[this_process().name].append(call)

    with engines(run.plan), noting(note):
        run.start()
        _settle(run)
        second = run.start()
        _settle(run)
        run.end(second)
        _settle(run)
        for worker in run.live():
            worker.process.kill()
        run.agenda.run(run.agenda.now + 0.01)
    assert not run.problems
    return canonical({"first": calls["w1"], "second": calls["w2"]})


def _settle(run: Run) -> None:
    for _ in range(_WITHIN_S):
        run.agenda.run(run.agenda.now + 1)
        if not unrest(run):
            return
    pytest.fail(str(unrest(run)))


@pytest.mark.parametrize("seed", range(20))
def test_the_simulation_calls_an_engine_as_faust_does(seed: int, recorded: Calls) -> None:
    assert simulated(seed) == recorded


@pytest.mark.timeout(150)
def test_faust_still_calls_an_engine_as_recorded(embedded_brokers: str, tmp_path: Path, recorded: Calls) -> None:
    assert played(embedded_brokers, tmp_path) == recorded
