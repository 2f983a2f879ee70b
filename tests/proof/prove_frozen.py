"""Parts of a worker that freeze: the worker reports it, ends, and is replaced."""

import sys
import time
from pathlib import Path

import pytest

from tests.proof.crew import asked
from tests.proof.faulty import FAULTS
from tests.proof.prove_kills import PATIENCE_S, contents, finish
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import stage
from tests.servers.tracker import WORKER, Tracker, Worker

pytestmark = pytest.mark.timeout(600)

NOTICED_WITHIN_S = 30.0
REPLACED_WITHIN_S = 60.0


@pytest.mark.promise(11)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_part_that_stands_still_is_noticed_and_the_worker_is_replaced(
    fault: str, brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    proof.promise = f"{proof.promise}: {fault}"
    given = contents(scale, 0.1)
    trigger = tmp_path / "now"
    first = [(sys.executable, "-m", "tests.proof.faulty", fault, str(trigger))]

    def start(run: Tracker) -> Worker:
        return run.start(first.pop() if first else WORKER)

    with stage(brokers, f"frozen-{fault}", tmp_path, given, 1, start, stall_s=f"{scale.stall_s:g}s") as on:
        on.feed(len(given.records) / (4 * scale.stall_s))
        on.until_counting()
        worker = on.crew.members[0]
        assert asked(worker, "/livez")[0] == 200
        trigger.touch()
        began_s = time.monotonic()
        on.until(lambda: asked(worker, "/livez")[0] == 503, "/livez 503", NOTICED_WITHIN_S)
        noticed_s = time.monotonic() - began_s
        on.until(lambda: on.crew.started == 2, "another worker", REPLACED_WITHIN_S)
        on.until(lambda: on.crew.members[0].has_said("took over"), "partitions for the other", REPLACED_WITHIN_S)
        replaced_s = time.monotonic() - began_s
        proof.figure(stall_s=scale.stall_s, noticed_s=noticed_s, replaced_s=replaced_s)
        finish(on, proof)
        assert replaced_s <= REPLACED_WITHIN_S
        assert PATIENCE_S > REPLACED_WITHIN_S
