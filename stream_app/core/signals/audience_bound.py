"""The bound of audiences: how much of a stated audience is trusted, given the same person's audience before.

Audiences grow slowly: of 63,553 pairs of neighbouring events on Twitter, 99.9 % grew by less than 4 %. So the trusted
audience is at most `audience_growth` × the largest that was trusted in the period before, + `audience_room`. A period
is as long as the window, and begins with the first event after the end of the one before. Within a period nobody grows
twice, so an audience that is bought is trusted by and by, half as much again each day, and so is one that really grew.

The first audience of somebody who is new in the window is trusted as it is: there is nothing to hold it against.

Some audiences are none of the person but of the event: the recipients of a mail, the readers of a channel. They rise
and fall. They are bounded like all others, but a rise is a jump only if none fell before, and until one does.
"""

from typing import Any, NamedTuple

import numpy as np

from stream_app.core.arrays import Floats, Ints, Mask
from stream_app.core.signals.signal_limits import SignalLimits


class AudienceState(NamedTuple):
    """What is known of people's audiences: columns of equal length."""

    base: Ints
    """What a period is bounded by: the largest audience trusted in the one before."""
    since_ms: Ints
    """When the period began."""
    top: Ints
    """The largest audience trusted in this period."""
    last: Ints
    """As the last event stated it."""
    steady: Ints
    """Events in a row in which it did not fall; 0 for who is new."""


FELL = -1.0


class Bounded(NamedTuple):
    """What became of events, in order: columns of equal length, and the state of their people after them."""

    trusted: Ints
    jumps: Floats
    """Audience / base, where it is above the bound and did not fall before; FELL where it fell; else 0."""
    state: AudienceState


def bounded(
    firsts: Ints, is_new: Mask, ts_ms: Ints, audiences: Ints, state: AudienceState, limits: SignalLimits
) -> Bounded:
    """Bound the known audiences of events, which are in order of person and of time within.

    `firsts`: the first event of each person, whose `state` is given. `is_new`: the person is new with that event.
    """
    size = np.diff(firsts, append=len(ts_ms))
    begins = is_new[firsts] | (state.steady == 0)
    base = np.where(begins, audiences[firsts], state.base)
    since_ms = np.where(begins, ts_ms[firsts], state.since_ms)
    highest = np.maximum.reduceat(audiences, firsts)
    after = AudienceState(
        base,
        since_ms,
        np.where(begins, highest, np.maximum(highest, state.top)),
        audiences[firsts + size - 1],
        np.where(begins, 0, state.steady) + size,
    )
    before = np.roll(audiences, 1)
    before[firsts] = np.where(begins, 0, state.last)
    falls = np.logical_or.reduceat(before > _bound(audiences, limits), firsts)
    begins_later = np.add.reduceat(is_new.astype(np.int64), firsts) > is_new[firsts]
    is_plain = (
        ~begins_later
        & (highest <= _bound(base, limits))
        & ~falls
        & (ts_ms[firsts + size - 1] - since_ms < limits.window_ms)
    )
    trusted, jumps = audiences.copy(), np.zeros(len(ts_ms))
    for person in np.flatnonzero(~is_plain).tolist():  # few: who began a period, jumped, or fell
        run = slice(int(firsts[person]), int(firsts[person] + size[person]))
        one = _BoundedPerson(*(int(column[person]) for column in state))
        rows = zip(is_new[run].tolist(), ts_ms[run].tolist(), audiences[run].tolist(), strict=True)
        trusted[run], jumps[run] = zip(*[one.event(*row, limits) for row in rows], strict=True)
        for column, value in zip(after, (one.base, one.since_ms, one.top, one.last, one.steady), strict=True):
            column[person] = value
    return Bounded(trusted, jumps, after)


class _BoundedPerson:
    """The same for one person, event by event."""

    def __init__(self, base: int, since_ms: int, top: int, last: int, steady: int) -> None:
        self.base, self.since_ms, self.top, self.last, self.steady = base, since_ms, top, last, steady

    def event(self, is_new: bool, ts_ms: int, audience: int, limits: SignalLimits) -> tuple[int, float]:  # noqa: FBT001
        if is_new or not self.steady:
            self.base, self.since_ms, self.top, self.last, self.steady = audience, ts_ms, 0, 0, 0
        elif ts_ms - self.since_ms >= limits.window_ms:
            self.base, self.since_ms, self.top = self.top, ts_ms, 0
        trusted = min(audience, int(_bound(self.base, limits)))
        self.top = max(self.top, trusted)
        fell = self.last > _bound(audience, limits)
        is_jump = audience > trusted and self.steady >= limits.steady_events
        self.last, self.steady = audience, 1 if fell else self.steady + 1
        return trusted, FELL if fell else audience / max(self.base, 1) if is_jump else 0.0


def _bound(audience: Any, limits: SignalLimits) -> Any:
    """Return the largest audience that may follow on one."""
    return limits.audience_growth * audience // 1 + limits.audience_room
