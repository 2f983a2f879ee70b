"""The window: the last N panes of event time, up to and including the current one; the short window, in slots."""

from typing import NamedTuple

import numpy as np

from stream_app.core.arrays import Ints, Mask

_SLOTS = 12
"""Of the short window, at least."""


class Window(NamedTuple):
    """Length and step of the window. Times are event time in epoch ms; panes and slots are numbered from the epoch."""

    pane_ms: int
    panes: int
    short_panes: int
    """Length of the short window in panes. It ends with the newest slot, however far the pane has come."""

    @property
    def slots_per_pane(self) -> int:
        """Into so many slots a pane is divided: as few as make _SLOTS of a short window."""
        return -(-_SLOTS // self.short_panes)

    def slots(self, ts_ms: Ints) -> Ints:
        """Return the slot of each time."""
        found: Ints = ts_ms * self.slots_per_pane // self.pane_ms
        return found

    def slot(self, now_ms: int) -> int:
        """Return the slot at `now_ms`."""
        return now_ms * self.slots_per_pane // self.pane_ms

    def slot_start_ms(self, slot: int) -> int:
        """Return where a slot begins."""
        return -(-slot * self.pane_ms // self.slots_per_pane)

    def slots_of(self, pane: int) -> range:
        """Return the slots of a pane."""
        return range(pane * self.slots_per_pane, (pane + 1) * self.slots_per_pane)

    def slot_ms(self, pane: int, slot: int) -> int:
        """Return where a slot of a pane begins, ms after the start of the pane."""
        return self.slot_start_ms(slot) - pane * self.pane_ms

    def step_start_ms(self, now_ms: int) -> int:
        """Return where the newest step of event time begins: the slot before the one at `now_ms`."""
        return self.slot_start_ms(self.slot(now_ms) - 1)

    def first_short_slot(self, now_ms: int) -> int:
        """Return the oldest slot of the short window at `now_ms`."""
        return self.slot(now_ms) - self.short_panes * self.slots_per_pane + 1

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
        return self.slot_start_ms(self.first_short_slot(now_ms))

    def late(self, ts_ms: Ints, watermark_ms: int) -> Mask:
        """Return which events of a batch, in the order read, are late; `watermark_ms`: the watermark before the batch.

        At each event the window ends with the newest event time read so far, that event included. So lateness depends
        neither on how far other sources have been read nor on batch boundaries.
        """
        watermarks = np.maximum.accumulate(np.maximum(ts_ms, watermark_ms))
        late: Mask = ts_ms // self.pane_ms < watermarks // self.pane_ms - self.panes + 1
        return late
