"""Event-time steps: at which ends of slots of the short window the rules look.

While anything happens anywhere, they look at the end of each slot. In quiet slots only time goes on, and the longer it
is quiet, the slower values fall. So after a slot with events the rules look at the end of the first quiet slot, of the
second, the fourth, the eighth, and so on until something happens again:

    events   │▪▪│  │  │  │  │  │  │  │  │  │▪ │  │▪▪│
    looks       ▲  ▲  ▲     ▲           ▲     ▲  ▲  ▲

So years in which nothing happens cost some twenty looks, and a look is never later than twice the silence before it.
"""


def next_look(busy: int, now: int, first: int) -> int:
    """Return the slot at whose end the rules look next, after that of slot `now`.

    `busy`: the last slot until now with events; `first`: that of the first event to come, as far as is known.
    """
    quiet = max(now - busy, 0)
    return max(now + 1, min(first, now + max(quiet, 1)))
