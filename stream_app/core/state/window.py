"""The window: the last N panes of event time, up to and including the current pane."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask


class Window(NamedTuple):
    """Length and step of the window. Times are event time in epoch ms; panes are numbered from the epoch."""

    pane_ms: int
    panes: int
    short_panes: int
    """Length of the short window in panes; it ends with the same pane."""

    def first_pane(self, now_ms: int) -> int:
        """Return the oldest pane of the window at `now_ms`."""
        return now_ms // self.pane_ms - self.panes + 1

    def start_ms(self, now_ms: int) -> int:
        """Return the start of the window at `now_ms`, inclusive."""
        return self.first_pane(now_ms) * self.pane_ms

    def end_ms(self, now_ms: int) -> int:
        """Return the end of the window at `now_ms`, exclusive."""
        return (now_ms // self.pane_ms + 1) * self.pane_ms

    def short_start_ms(self, now_ms: int) -> int:
        """Return the start of the short window at `now_ms`, inclusive."""
        return (now_ms // self.pane_ms - self.short_panes + 1) * self.pane_ms

    def late(self, ts_ms: Ints, watermark_ms: int) -> Mask:
        """Return which events of a batch, in the order read, are late; `watermark_ms`: the watermark before the batch.

        At each event the window ends with the newest event time read so far, that event included. So lateness depends
        neither on how far other sources have been read nor on batch boundaries.
        """
        watermarks = np.maximum.accumulate(np.maximum(ts_ms, watermark_ms))
        late: Mask = ts_ms // self.pane_ms < watermarks // self.pane_ms - self.panes + 1
        return late
