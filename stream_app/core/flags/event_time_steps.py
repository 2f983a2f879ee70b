"""Event-time steps: after which steps of event time the rules look.

While anything happens anywhere, they look at the end of each. In quiet steps only time goes on, and the longer it is
quiet, the slower values fall. So after a step with events the rules look at the end of the first quiet one, of the
second, the fourth, the eighth, and so on until something happens again:

    events   │▪▪│  │  │  │  │  │  │  │  │  │▪ │  │▪▪│
    looks       ▲  ▲  ▲     ▲           ▲     ▲  ▲  ▲

So years in which nothing happens cost some twenty looks, and a look is never later than twice the silence before it.
"""


def next_look(busy: int, now: int, first: int) -> int:
    """Return the step at whose end the rules look next, after that of `now`.

    `busy`: the last step until now with events; `first`: that of the first event to come, as far as is known.
    """
    quiet = max(now - busy, 0)
    return max(now + 1, min(first, now + max(quiet, 1)))
