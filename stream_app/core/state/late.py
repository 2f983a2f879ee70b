"""Late events: those older than the window at the moment they are read."""

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.state.window import Window


def late_events(ts_ms: Ints, watermark_ms: int, window: Window) -> Mask:
    """Which events of a batch, in the order read, are older than the window; `watermark_ms`: that before the batch.

    The window at each event ends with the newest event time up to it. So what is late depends neither on how far the
    other sources have been read, nor on how the events are cut into batches.
    """
    watermarks = np.maximum.accumulate(np.maximum(ts_ms, watermark_ms))
    late: Mask = ts_ms // window.pane_ms < watermarks // window.pane_ms - window.panes + 1
    return late
