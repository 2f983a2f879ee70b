"""The header of a segment: the progress of counting, and of the funnel."""

from typing import NamedTuple

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.state.watermark import Source


class FunnelProgress(NamedTuple):
    """Which decisions of the funnel there are, by number."""

    newest: int = 0
    oldest: int = 1
    """The oldest that is still needed: all that the funnel held is in it."""
    sent: int = 0
    """The newest whose credits are known to be sent."""


class Header(msgspec.Struct, array_like=True):
    """State of the ledger after the segment: the progress of counting."""

    sources: dict[str, Source]
    horizon: int
    since: int
    """Event time of the first event ever read."""
    oldest: int
    """Sequence number of the oldest delta still needed. From there on no delta may be missing."""
    erased: int = 0
    """Offset in the erasures topic up to which erasures are carried out in this ledger."""
    pane_ms: int = 0
    """Length of the panes that the segments are cut into; 0 before release 0.3, which did not say it."""
    event_key: int = 0
    """The secret of the hashes of events; 0 as written by releases up to 0.2, which have none."""
    carried: int = 0
    """Sequence number of the newest delta that carries on what others before it say of its panes; 0 for none."""
    funnel: FunnelProgress = FunnelProgress()

    def require_panes(self, pane_ms: int) -> None:
        """Raise FormatError if it was counted in panes of another length."""
        if self.pane_ms not in {0, pane_ms}:
            raise FormatError(
                f"it was counted in panes of {self.pane_ms / 1000:g} s and this worker has panes of "
                f"{pane_ms / 1000:g} s: set STREAM_APP_PANE_S back, or stop all workers and run `stream-app reset`, "
                "which counts again with the records that Kafka still has"
            )
