"""The result of counting a batch."""

from typing import NamedTuple

from stream_app.core.arrays import Mask
from stream_app.core.changelog.content.pane_content import PaneContent
from stream_app.core.state.watermark import BatchCounts


class Applied(NamedTuple):
    """The result of applying a batch to a ledger."""

    counts: BatchCounts
    duplicate: Mask
    """Which events were counted before."""
    counted: Mask
    """Which events are counted: neither late, nor duplicates, nor taken back before."""
    content: list[PaneContent]
    """What the batch added, by pane."""
