"""State that was counted in panes of another length is refused, and never read as something else."""

import pytest

from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.header import Header
from stream_app.core.state.ledger import Ledger

PANE_MS = 900_000


def test_state_says_the_length_of_its_panes() -> None:
    assert Ledger(PANE_MS, 96, 4).header().pane_ms == PANE_MS


def test_another_window_of_the_same_panes_reads_it_and_other_panes_do_not() -> None:
    header = Header({}, 5, 0, 0, pane_ms=PANE_MS)
    Ledger(PANE_MS, 48, 4).restore(header)
    with pytest.raises(FormatError, match="STREAM_APP_PANE_S"):
        Ledger(4 * PANE_MS, 24, 1).restore(header)


def test_state_of_earlier_releases_that_do_not_say_it_is_read() -> None:
    Ledger(4 * PANE_MS, 24, 1).restore(Header({}, 5, 0, 0))
