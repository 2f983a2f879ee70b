"""The demo with employees as people run it: it judges itself, and says nothing of departments that are too small."""

from pathlib import Path

import pytest

from tests.e2e.demo.test_demo import finished

pytestmark = pytest.mark.timeout(300)


def test_a_made_up_company_is_tracked_and_nobody_is_named_below_the_minimum(tmp_path: Path) -> None:
    output, report = finished(tmp_path, "--employees", "--speed", "max", deadline_s=280)
    verdict, settings = report["verdict"], report["settings"]
    assert verdict["is_right"]
    assert (verdict["leaks"], verdict["wrong_cuts"]) == ([], [])
    assert min(verdict["readings"], verdict["names"], verdict["cuts"]) > 50
    assert (settings["min_group"], settings["min_impressions"], settings["audit"]) == (5, 20, True)
    assert report["risers"]["decoys_flagged"] == 0
    lines = [line.split() for line in output.splitlines()]
    assert ["legal", "too", "small"] in lines
    assert ["reception", "too", "small"] in lines
    assert "The topic childcare in engineering: too small." in output
    (riser,) = report["risers"]["each"]
    assert riser["entered"] is not None
    (reorganisation,) = [line for line in output.splitlines() if line.startswith("reorganisation")]
    assert "emp-" in reorganisation
