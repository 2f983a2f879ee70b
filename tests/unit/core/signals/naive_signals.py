"""The signals once more, the slow and obvious way: event by event, with lists and sorting."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, pstdev
from typing import NamedTuple

from stream_app.core.signals.signal_limits import SignalLimits


class Did(NamedTuple):
    """An event; hashes are small numbers, and 0 is nobody."""

    ts_ms: int
    user: int
    event: int
    author: int
    post: int
    audience: int
    impressions: int


@dataclass
class NaivePerson:
    """What one person did in the window."""

    events: int = 0
    gaps: list[int] = field(default_factory=list)
    hours: set[int] = field(default_factory=set)
    authors: Counter[int] = field(default_factory=Counter)
    posts: set[tuple[int, int]] = field(default_factory=set)
    jumps: int = 0
    jump: float = 0.0
    impressions: int = 0
    excess: int = 0

    @property
    def variation(self) -> float:
        """Of the gaps."""
        return pstdev(self.gaps) / mean(self.gaps) if any(self.gaps) else math.nan


def naive_person(own: Sequence[Did], ready_ms: int, limits: SignalLimits) -> NaivePerson:
    """One person's events up to `ready_ms`."""
    found, audience = NaivePerson(), _Audience(limits)
    first_slice = (ready_ms - 1) // limits.slice_ms - limits.slices + 1
    before: int | None = None
    for did in sorted(did for did in own if did.ts_ms < ready_ms):
        number = did.ts_ms // limits.slice_ms
        if before is not None and number - before // limits.slice_ms >= limits.slices:
            before, audience = None, _Audience(limits)
        trusted, jump = audience.event(did.ts_ms, did.audience) if did.audience >= 0 else (-1, None)
        if number >= first_slice:
            found.events += 1
            found.hours.add(number)
            if before is not None:
                found.gaps.append(did.ts_ms - before)
            if did.author:
                found.authors[did.author] += 1
            if did.author and did.post:
                found.posts.add((did.author, did.post))
            found.jumps += bool(jump)
            found.impressions += did.impressions
            if did.audience > 0:
                found.excess += round((did.audience - trusted) / did.audience * did.impressions)
        found.jump = found.jump if jump is None else jump
        before = did.ts_ms
    return found


class _Audience:
    def __init__(self, limits: SignalLimits) -> None:
        self.limits = limits
        self.stated: list[int] = []
        self.steady = 0
        self.base = self.since_ms = self.top = 0

    def event(self, ts_ms: int, audience: int) -> tuple[int, float | None]:
        """What is trusted; how far it jumped, 0 where it fell, None where neither."""
        if not self.stated:
            self.base, self.since_ms = audience, ts_ms
        elif ts_ms - self.since_ms >= self.limits.window_ms:
            self.base, self.since_ms, self.top = self.top, ts_ms, 0
        trusted = min(audience, self._most_after(self.base))
        self.top = max(self.top, trusted)
        fell = bool(self.stated) and self.stated[-1] > self._most_after(audience)
        jumped = audience > trusted and self.steady >= self.limits.steady_events
        self.steady = 1 if fell else self.steady + 1
        self.stated.append(audience)
        return trusted, 0.0 if fell else audience / max(self.base, 1) if jumped else None

    def _most_after(self, audience: int) -> int:
        return math.floor(self.limits.audience_growth * audience) + self.limits.audience_room


def naive_trials(shares: Sequence[Did], ready_ms: int, limits: SignalLimits) -> dict[int, tuple[int, int, float]]:
    """Trials, how many were in step, and how many would be, by sharer, of the shares before `ready_ms`."""
    found: dict[int, tuple[int, int, float]] = {}
    for one in shares:
        if one.ts_ms >= ready_ms:
            continue
        same = [other for other in shares if (other.author, other.post) == (one.author, one.post)]
        p = naive_chance(one.ts_ms, [other.ts_ms for other in same], limits)
        if p is None:
            continue
        in_step = any(abs(other.ts_ms - one.ts_ms) <= limits.step_ms for other in same if other.user != one.user)
        trials, steps, expected = found.get(one.user, (0, 0, 0.0))
        found[one.user] = (trials + 1, steps + in_step, expected + p)
    return found


def naive_chance(ts_ms: int, same_ms: Sequence[int], limits: SignalLimits) -> float | None:
    """The chance to be in step at a time by the pace of a post, shared at `same_ms`; None where it is no trial."""
    before = sum(limits.guard_ms <= ts_ms - other_ms <= limits.pace_ms for other_ms in same_ms)
    after = sum(limits.guard_ms <= other_ms - ts_ms <= limits.pace_ms for other_ms in same_ms)
    width_ms, beside = 2 * limits.step_ms + 1000, 1
    for exact_ms in (60_000, 3_600_000):
        if ts_ms % exact_ms == 0:
            width_ms, beside = max(exact_ms, width_ms), 2
    p = 1 - math.exp(-width_ms * (max(before, after) + beside) / (limits.pace_ms - limits.guard_ms))
    return None if p > limits.most_by_chance else p
