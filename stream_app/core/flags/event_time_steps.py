"""Event-time steps: after which steps of event time the rules look.

While anything happens anywhere, they look at the end of each. In quiet steps only time goes on, and the longer it is
quiet, the slower values fall. So after a step with events the rules look at the end of the first quiet one, of the
second, the fourth, the eighth, and so on until something happens again:

    events   │▪▪│  │  │  │  │  │  │  │  │  │▪ │  │▪▪│
    looks       ▲  ▲  ▲     ▲           ▲     ▲  ▲  ▲

So years in which nothing happens cost some twenty looks, and a look is never later than twice the silence before it.
"""

from typing import NamedTuple

from stream_app.core.arrays import Ints
from stream_app.core.state.window import Window


class EventTimeSteps(NamedTuple):
    """The steps, numbered from the epoch: each is some slots of the short window, which need not be whole ms."""

    window: Window
    slots: int

    def step(self, ts_ms: int) -> int:
        """Return the step that an event time is in, epoch ms."""
        return self.window.slot(ts_ms) // self.slots

    def steps(self, ts_ms: Ints) -> Ints:
        """Return the step of each event time, epoch ms."""
        return self.window.slots(ts_ms) // self.slots

    def end_ms(self, step: int) -> int:
        """Return where a step ends, epoch ms, exclusive."""
        return self.window.slot_start_ms((step + 1) * self.slots)


def next_look(busy: int, now: int, first: int) -> int:
    """Return the step at whose end the rules look next, after that of `now`.

    `busy`: the last step until now with events; `first`: that of the first event to come, as far as is known.
    """
    quiet = max(now - busy, 0)
    return max(now + 1, min(first, now + max(quiet, 1)))
