"""What `stream-app migrate` prints for people."""

from typing import Any

import pytest

from stream_app.cli.views.migrate import show_report
from stream_app.ops.migrate.equality import COUNTERS, Comparison
from stream_app.ops.migrate.input_copy import CopyReport
from stream_app.ops.migrate.migration import MigrationReport


def test_differences_are_shown_without_markup_and_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    counts = dict.fromkeys((*COUNTERS, "users"), 0)
    compared = Comparison(counts, counts, 0, 0, "", ["the cut of [red]x[/]/all/maven is (1,) instead of (2,)"])
    plan: Any = None
    show_report(plan, MigrationReport([], CopyReport(1, 2, 3), compared, None))
    assert "Not equal: the cut of [red]x[/]/all/maven is (1,) instead of (2,)." in capsys.readouterr().out
