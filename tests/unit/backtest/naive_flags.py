"""A naive evaluation: at the end of each step everything is worked out anew from all events, in plain Python."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from kafka.partitioner.default import murmur2

from stream_app.settings import Settings

FLOORS = ("min_posts", "min_impressions")


class NaiveEvent(NamedTuple):
    """An event, in the order of arrival."""

    is_share: bool
    number: int
    ts: int
    user: str
    topics: tuple[str, ...]
    people: int


class NaiveFlag(NamedTuple):
    """What a flag says."""

    at_ms: int
    user: str
    topic: str
    role: str
    type: str
    rule: int
    reason: str
    value: int
    threshold: int


class _Cut(NamedTuple):
    users: int
    k: int
    threshold: int
    ties: int


class NaiveTracker:
    """What was counted, and the standings."""

    def __init__(self, settings: Settings, step_ms: Fraction) -> None:
        self.settings = settings
        self.step_ms = step_ms
        self.pane_ms = settings.pane_ms
        self.per_pane = math.ceil(12 / settings.short_panes)
        self.counted: list[NaiveEvent] = []
        self.seen: set[tuple[bool, str, int]] = set()
        self.since: int | None = None
        self.horizon = -(2**60)
        self.watermarks = {False: -(2**60), True: -(2**60)}
        self.standings: dict[tuple[str, str, int], tuple[str, float]] = {}
        """By topic, user and role: the standing, and since when it is not met."""
        self.rankings: dict[tuple[str, int], tuple[int, int]] = defaultdict(lambda: (0, 0))
        """By topic and role: 2 ranked, 1 nearly, and since when."""

    def run(self, events: Sequence[NaiveEvent]) -> Iterator[NaiveFlag]:
        """Yield the flags of all steps."""
        by_end: dict[int, list[NaiveEvent]] = defaultdict(list)
        newest: dict[tuple[bool, int], int] = defaultdict(int)
        for event in sorted(events, key=lambda event: event.is_share):  # posts are read first, each in its order
            source = event.is_share, (murmur2(event.user.encode()) & 0x7FFFFFFF) % self.settings.partitions
            newest[source] = max(newest[source], event.ts)
            by_end[self._end_ms(newest[source])].append(event)
        if not by_end:
            return
        for end_ms in sorted({*by_end, *self._quiet(sorted(by_end))}):
            for is_share in (False, True):
                batch = [event for event in by_end[end_ms] if event.is_share == is_share]
                if batch and self.since is None:
                    self.since = batch[0].ts
                self._count(batch, is_share)
            self.horizon = end_ms - 1
            yield from self._evaluate()

    def _quiet(self, ends: list[int]) -> Iterator[int]:
        """Yield the ends of quiet steps that are looked at: 1, 2, 4, 8 … steps after something happened."""
        for last_ms, next_ms in pairwise(ends):
            doubled = (self._end_ms(last_ms - 1, 2**power) for power in range(60))
            yield from (end_ms for end_ms in doubled if end_ms < next_ms)

    def _end_ms(self, ms: int, steps: int = 0) -> int:
        """Return where the step ends that a time is in, or one that comes some steps later."""
        return math.ceil((ms // self.step_ms + 1 + steps) * self.step_ms)

    def _count(self, batch: list[NaiveEvent], is_share: bool) -> None:
        newest = max(self.horizon, self.watermarks[is_share])
        for event in batch:
            newest = max(newest, event.ts)
            if event.ts // self.pane_ms < newest // self.pane_ms - self.settings.panes + 1:
                continue
            if (event.is_share, event.user, event.number) not in self.seen:
                self.seen.add((event.is_share, event.user, event.number))
                self.counted.append(event)
        if batch:
            self.watermarks[is_share] = max(newest, self.watermarks[is_share])
            self.horizon = max(self.horizon, *(event.ts for event in batch))

    def _slot(self, ms: int) -> int:
        return ms * self.per_pane // self.pane_ms

    def _evaluate(self) -> Iterator[NaiveFlag]:
        first_pane = self.horizon // self.pane_ms - self.settings.panes + 1
        held = [event for event in self.counted if event.ts // self.pane_ms >= first_pane]
        made: dict[tuple[str, str], list[NaiveEvent]] = defaultdict(list)
        for event in held:
            for topic in {"*", *event.topics}:
                if not event.is_share or event.people:
                    made[topic, event.user].append(event)
        for role in (0, 1):
            values = {place: self._value(events, role) for place, events in made.items()}
            for topic in sorted({topic for topic, _ in [*made, *((t, u) for t, u, _ in self.standings)]}):
                cut = self._cut([value for (name, _), value in values.items() if name == topic])
                self._rank(topic, role, cut)
                users = {user for name, user in made if name == topic}
                users |= {user for name, user, of in self.standings if (name, of) == (topic, role)}
                for user in sorted(users):
                    yield from self._decide(topic, user, role, made[topic, user], cut)

    @staticmethod
    def _value(events: list[NaiveEvent], role: int) -> int:
        return sum(event.people if role else not event.is_share for event in events)

    def _cut(self, values: list[int]) -> _Cut:
        ranked = sorted((value for value in values if value), reverse=True)
        wanted = math.ceil(Fraction(round(self.settings.share * 10_000), 10_000) * sum(ranked))
        total = 0
        for k, value in enumerate(ranked, 1):
            total += value
            if total >= wanted:
                return _Cut(len(ranked), k, value, ranked.count(value))
        return _Cut(0, 0, 0, 0)

    def _rank(self, topic: str, role: int, cut: _Cut) -> None:
        before, since = self.rankings[topic, role]
        least, most = self.settings.min_users, self.settings.diffuse_fraction

        def within(users: float, fraction: float) -> bool:
            return cut.users > 0 and cut.users >= least * users and cut.k <= most * fraction * cut.users

        if within(1, 1) or (before == 2 and within(0.5, 1.5)):
            self.rankings[topic, role] = (2, since if before == 2 else self.horizon // 1000)
        elif within(0.9, 1.1) or (before >= 1 and within(0.8, 1.2)):
            self.rankings[topic, role] = (1, 0)
        else:
            self.rankings[topic, role] = (0, 0)

    def _decide(  # noqa: C901, PLR0912, PLR0915 - all rules, one after the other
        self, topic: str, user: str, role: int, events: list[NaiveEvent], cut: _Cut
    ) -> Iterator[NaiveFlag]:
        chosen = self.settings
        standing, below = self.standings.get((topic, user, role), ("none", 0))
        ranking, ranked_s = self.rankings[topic, role]
        value, theta, floor = self._value(events, role), cut.threshold, getattr(chosen, FLOORS[role])
        z, moments, eta_s, is_active = self._pace(events, role, value, theta)
        now_s = self.horizon // 1000
        has_floor = value >= floor
        is_over = has_floor and theta > 0 and (value > theta or (value == theta and cut.ties == 1))
        is_near = has_floor and value >= chosen.leave_ratio * theta
        is_half = ranking == 2 and has_floor and value >= 0.5 * theta
        stands_out = value != theta or cut.ties < chosen.min_users

        def reaches(fraction: float) -> bool:
            return ranking == 2 and has_floor and value >= fraction * theta

        accelerating = stands_out and (
            (
                reaches(chosen.emerging_floor)
                and z >= chosen.emerging_z
                and moments >= chosen.emerging_events
                and eta_s <= chosen.emerging_horizon_s
            )
            or (reaches(chosen.emerging_near_floor) and eta_s <= chosen.emerging_near_horizon_s)
        )
        meets = reaches(chosen.leave_ratio)
        if standing == "emerging":
            meets = (ranking >= 1 and is_near) or accelerating
        below = 0 if meets else below or now_s
        dwelt = below > 0 and now_s - below >= chosen.dwell_s
        after, rule = standing, 0
        if standing in {"none", "emerging"} and ranking == 2 and is_over:
            after, rule = "entered", 1
        elif standing == "fading" and ranking == 2 and is_over:
            after, rule = "entered", 2
        elif standing == "none" and reaches(chosen.emerging_door) and stands_out:
            after, rule = "emerging", 7
        elif standing == "none" and accelerating:
            after, rule = "emerging", 3
        elif standing == "none" and ranking == 1 and is_over:
            after, rule = "emerging", 8
        elif standing == "entered" and dwelt:
            after, rule = ("fading", 4) if is_half else ("none", 9)
        elif standing == "fading" and not is_half:
            after, rule = "none", 5
        elif standing == "emerging" and dwelt:
            after, rule = "none", 6
        if after == "none":
            self.standings.pop((topic, user, role), None)
        else:
            self.standings[topic, user, role] = (after, below)
        if not rule:
            return
        if rule == 1:
            reason = "rose" if is_active else "threshold_fell"
            if ranked_s > self._step_start_ms() // 1000:
                reason = "newly_ranked"
        elif rule in {2, 3, 7, 8}:
            names = {2: "back_over_threshold", 3: "accelerating", 7: "at_the_door", 8: "nearly_ranked"}
            reason = names[rule]
        elif ranking < (1 if rule == 6 else 2):
            reason = "no_longer_ranked"
        elif not has_floor:
            reason = "too_little_evidence"
        else:
            reason = "slowed_down" if rule == 6 else "under_threshold"
        kind = "left" if after == "none" else after
        yield NaiveFlag(self.horizon, user, topic, ("maven", "connector")[role], kind, rule, reason, value, theta)

    def _step_start_ms(self) -> int:
        return math.ceil((self._slot(self.horizon) - 1) * self.pane_ms / self.per_pane)

    def _pace(self, events: list[NaiveEvent], role: int, value: int, theta: int) -> tuple[float, float, float, bool]:
        """z, moments, time to θ, and whether anything was done in the newest slots."""
        last = self._slot(self.horizon)
        first = last - self.settings.short_panes * self.per_pane + 1
        slots: dict[int, int] = defaultdict(int)
        for event in events:
            if self._slot(event.ts) >= first:
                slots[self._slot(event.ts)] += event.people if role else not event.is_share
        short, squares = sum(slots.values()), sum(made**2 for made in slots.values())
        since = self.since or 0
        short_start = math.ceil(first * self.pane_ms / self.per_pane)
        start = max((self.horizon // self.pane_ms - self.settings.panes + 1) * self.pane_ms, since)
        short_s = max(self.horizon + 1 - max(short_start, since), 1000) / 1000
        past_s = max(short_start - start, 0) / 1000
        rate, past, z = short / short_s, 0.0, 0.0
        if past_s >= short_s:
            past = (value - short) / past_s
            of_events = sum(event.people**2 if role else not event.is_share for event in events)
            size, ratio = max(of_events, 1.0) / max(value, 1), short_s / past_s
            recent, before = short / size, max(value - short, 0) / size
            z = 2 * (math.sqrt(recent + 3 / 8) - math.sqrt(ratio * (before + 3 / 8))) / math.sqrt(1 + ratio)
        eta_s = max((theta - value) / (rate - past), 0.0) if rate > past else math.inf
        is_active = any(made for slot, made in slots.items() if slot > last - 2)
        return z, short**2 / squares if squares else 0.0, eta_s, is_active
