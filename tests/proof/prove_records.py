"""Invalid and hostile records."""

from pathlib import Path

import pytest

from tests.proof.contents import Recipe, made
from tests.proof.prove_kills import PATIENCE_S
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import Start, stage

pytestmark = pytest.mark.timeout(600)


@pytest.mark.promise(8)
def test_corrupt_records_are_set_aside_as_they_came_and_the_rest_is_exact(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    corrupt(brokers, tmp_path, scale, proof)


def corrupt(brokers: str, folder: Path, scale: Scale, proof: Proof, start: Start | None = None) -> None:
    """One record in a hundred is corrupt; no worker ends."""
    given = made(Recipe(scale.events, bad=scale.events // 100, seed=8))
    with stage(brokers, f"corrupt{proof.row}", folder, given, workers=2, start=start) as on:
        on.feed(len(given.records) / scale.load_s * 3)
        on.settle(PATIENCE_S)
        proof.figure(corrupt=len(given.rejected))
        on.judge(proof)
        assert (on.crew.started, dict(on.crew.endings)) == (2, {})


@pytest.mark.promise(10)
def test_clocks_that_lie_move_no_watermark_and_make_nothing_late(
    brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = made(Recipe(scale.events, strays=scale.events // 10_000 * 2, seed=10))
    with stage(brokers, "strays", tmp_path, given, workers=2) as on:
        on.feed(len(given.records) / scale.load_s * 3)
        on.settle(PATIENCE_S)
        horizons = {known.horizon for known in on.seen.statuses.values()}
        proof.figure(strays=scale.events // 10_000 * 2, late=on.seen.total("late"), watermarks=len(horizons))
        on.judge(proof)
        assert horizons == {given.newest_ms}
