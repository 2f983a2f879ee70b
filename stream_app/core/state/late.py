"""Late events: events that are older than the window when they are read."""

import numpy as np

from stream_app.core.arrays import Ints, Mask
from stream_app.core.state.window import Window


def late_events(ts_ms: Ints, watermark_ms: int, window: Window) -> Mask:
    """Return which events of a batch, in the order read, are late; `watermark_ms` is the watermark before the batch.

    At each event the window ends with the newest event time read so far, that event included. So lateness depends
    neither on how far other sources have been read nor on batch boundaries.
    """
    watermarks = np.maximum.accumulate(np.maximum(ts_ms, watermark_ms))
    late: Mask = ts_ms // window.pane_ms < watermarks // window.pane_ms - window.panes + 1
    return late
