"""The window: the last N panes of event time, up to and with the pane that event time has reached."""

from typing import NamedTuple


class Window(NamedTuple):
    """Its length and its steps. Times are event time, epoch ms; panes are numbered from the epoch."""

    pane_ms: int
    panes: int
    short_panes: int
    """Length of the short window, which ends with the same pane."""

    def first_pane(self, now_ms: int) -> int:
        """The oldest pane of the window at `now_ms`."""
        return now_ms // self.pane_ms - self.panes + 1

    def start_ms(self, now_ms: int) -> int:
        """Where the window at `now_ms` begins, inclusive."""
        return self.first_pane(now_ms) * self.pane_ms

    def end_ms(self, now_ms: int) -> int:
        """Where the window at `now_ms` ends, exclusive."""
        return (now_ms // self.pane_ms + 1) * self.pane_ms

    def short_start_ms(self, now_ms: int) -> int:
        """Where the short window at `now_ms` begins, inclusive."""
        return (now_ms // self.pane_ms - self.short_panes + 1) * self.pane_ms
