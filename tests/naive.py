"""The definitions once more, the slow and obvious way: dicts, lists and sorting, to hold the core against."""

import datetime as dt
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from stream_app.core.events.schema import Event, Post, Share

Key = tuple[str, str, str]
"""(population, topic, user)."""
Totals = dict[Key, tuple[int, int, int]]
"""Posts, impressions and Σ impressions² of the single events, where any is above zero."""
Identity = tuple[str, str, str]
"""What makes an event the same one again: post or share, user, event id."""
NEVER = -(2**62)


class Given(Share, kw_only=True):
    """A credit for what somebody else did, or its correction; it counts in just the scopes that it names."""

    recruits: int = 0
    amplified: int = 0


def ms_of(event: Event) -> int:
    """When an event happened, epoch ms."""
    if isinstance(event.ts, int):
        return event.ts
    return (event.ts - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def identity_of(event: Event) -> Identity:
    """The identity of an event; numbers are as good as their text."""
    return type(event).__name__, str(event.user_id), str(event.event_id)


@dataclass(frozen=True)
class NaiveCut:
    """The cut of one scope and role."""

    users: int
    total: int
    k: int
    threshold: int
    ties: int
    coverage: float
    gini: float


def naive_cut(values: Iterable[int], share: float) -> NaiveCut | None:
    """The smallest set of users who make `share` of all, None where nobody has a value."""
    ordered = sorted((value for value in values if value > 0), reverse=True)
    if not ordered:
        return None
    total, reached, k = sum(ordered), 0, 0
    while reached < Fraction(str(share)) * total:
        reached += ordered[k]
        k += 1
    threshold = ordered[k - 1]
    ranked = sum(rank * value for rank, value in enumerate(reversed(ordered), start=1))
    users = len(ordered)
    return NaiveCut(
        users=users,
        total=total,
        k=k,
        threshold=threshold,
        ties=ordered.count(threshold),
        coverage=reached / total,
        gini=2 * ranked / (users * total) - (users + 1) / users,
    )


def naive_people(event: Event) -> int | None:
    """People reached, at a view rate of one; None where it is not known."""
    for people in (event.impressions, event.audience):
        if people is not None and people >= 0:
            return round(people)
    return None


def naive_topic(topic: str) -> str:
    """What a topic is counted as: only for the spellings that the tests use."""
    folded = unicodedata.normalize("NFC", topic.replace("\u200b", "").strip().casefold())
    return folded.lstrip("#\uff03").strip()


def naive_topics(event: Event) -> set[str]:
    """The topics an event counts in."""
    return {"*"} | {naive_topic(topic) for topic in event.topics or () if naive_topic(topic) not in {"", "(other)"}}


@dataclass
class NaiveSource:
    """One source topic of a partition."""

    watermark: int = NEVER
    counters: Counter[str] = field(default_factory=Counter)


@dataclass
class NaiveLedger:
    """Rolling counts, event by event."""

    pane_ms: int
    panes_kept: int
    panes: dict[int, dict[Key, list[int]]] = field(default_factory=dict)
    seen: dict[Identity, int] = field(default_factory=dict)
    """Pane of every event that has been counted."""
    sources: dict[str, NaiveSource] = field(default_factory=dict)
    lagging: set[str] = field(default_factory=set)
    horizon: int = NEVER
    made: list[tuple[int, Key, int, int]] = field(default_factory=list)
    """Of each event that was counted and each scope: time, key, posts and impressions."""
    by_event: dict[Identity, list[tuple[int, Key, int, int]]] = field(default_factory=dict)
    """The same by event, until it is taken back."""
    given: list[tuple[int, Key, int, int]] = field(default_factory=list)
    """Of each credit that was counted: pane, key, recruits and amplified."""
    retracted: dict[Identity, int] = field(default_factory=dict)
    """Pane of the time at which an event was taken back."""

    def apply(self, topic: str, events: Sequence[Event]) -> list[str]:
        """Count the events of one source in order; what became of each."""
        source = self.sources.setdefault(topic, NaiveSource())
        return [self._count(topic, source, event, ms_of(event), str(event.user_id)) for event in events]

    def advance(self, newest_ms: int) -> None:
        """Move the window on and forget what is no longer in it."""
        waited_for = [self.sources.setdefault(name, NaiveSource()).watermark for name in self.lagging]
        self.horizon = max(self.horizon, min(waited_for) if waited_for else newest_ms)
        self.panes = {pane: counts for pane, counts in self.panes.items() if pane >= self.first_pane}
        self.seen = {event: pane for event, pane in self.seen.items() if pane >= self.first_pane}
        self.given = [one for one in self.given if one[0] >= self.first_pane]
        self.by_event = {event: made for event, made in self.by_event.items() if event in self.seen}
        self.retracted = {event: pane for event, pane in self.retracted.items() if pane >= self.first_pane}

    def retract(self, topic: str, event: Identity, ts_ms: int) -> str:
        """Take an event back; what became of the retraction."""
        source = self.sources.setdefault(topic, NaiveSource())
        if ts_ms // self.pane_ms < self.first_pane:
            outcome = "late"
        elif event in self.retracted:
            outcome = "duplicate"
        else:
            outcome = "applied"
            self.retracted[event] = ts_ms // self.pane_ms
            source.counters["unknown"] += event not in self.seen
            for one in self.by_event.pop(event, ()):
                self._take_back(one)
        source.counters[outcome] += 1
        return outcome

    def _take_back(self, one: tuple[int, Key, int, int]) -> None:
        ts_ms, key, posts, people = one
        made = self.panes.get(ts_ms // self.pane_ms, {}).get(key, [0, 0, 0])
        made[:] = [made[0] - posts, made[1] - people, made[2] - people**2]
        self.made.remove(one)

    def erase(self, users: Container[str]) -> None:
        """Take out all that some users made; what was read was read."""
        for pane, counts in self.panes.items():
            self.panes[pane] = {key: made for key, made in counts.items() if key[2] not in users}
        self.made = [one for one in self.made if one[1][2] not in users]
        self.given = [one for one in self.given if one[1][2] not in users]

    @property
    def first_pane(self) -> int:
        """The oldest pane in the window."""
        return self._first_pane(self.horizon)

    def totals(self, since_pane: int = NEVER) -> Totals:
        """What every user of every scope made in the window, or in its panes from `since_pane` on."""
        sums: dict[Key, list[int]] = defaultdict(lambda: [0, 0, 0])
        for pane, counts in self.panes.items():
            for key, made in counts.items() if pane >= since_pane else ():
                sums[key] = [sum(pair) for pair in zip(sums[key], made, strict=True)]
        return {key: (made[0], made[1], made[2]) for key, made in sums.items() if any(made)}

    def credited(self) -> dict[Key, tuple[int, int]]:
        """Recruits and amplified impressions of every user of every scope in the window, where any is not zero."""
        sums: dict[Key, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for _, key, recruits, amplified in self.given:
            sums[key] = (sums[key][0] + recruits, sums[key][1] + amplified)
        return {key: both for key, both in sums.items() if any(both)}

    def recent(self, slots: int, per_pane: int) -> dict[Key, tuple[int, ...]]:
        """What every user of every scope made in the last `slots` slots, of which a pane has so many.

        Posts and impressions, and of both the sum of the squares of what they made in each slot.
        """
        last, sums = self.horizon * per_pane // self.pane_ms, defaultdict[Key, Counter[int]](Counter)
        by_slot = defaultdict[tuple[Key, int], list[int]](lambda: [0, 0])
        for ts_ms, key, posts, people in self.made:
            slot = ts_ms * per_pane // self.pane_ms
            if slot > last - slots:
                by_slot[key, slot][0] += posts
                by_slot[key, slot][1] += people
        for (key, _), (posts, people) in by_slot.items():
            sums[key].update({0: posts, 1: people, 2: posts**2, 3: people**2})
        return {key: tuple(made[number] for number in range(4)) for key, made in sums.items() if made[0] or made[1]}

    def _count(self, topic: str, source: NaiveSource, event: Event, ts_ms: int, user: str) -> str:
        source.watermark = max(source.watermark, ts_ms)
        outcome = self._outcome(event, ts_ms, max(self.horizon, source.watermark))
        others = [self.sources.setdefault(name, NaiveSource()).watermark for name in self.lagging if name != topic]
        self.horizon = max(self.horizon, min([source.watermark, *others]))
        source.counters[outcome] += 1
        if outcome in {"applied", "retracted"}:
            self.seen[identity_of(event)] = ts_ms // self.pane_ms
        if outcome == "applied" and isinstance(event, Given):
            keys = [(event.population or "all", name, user) for name in event.topics or ()]
            self.given += [(ts_ms // self.pane_ms, key, event.recruits, event.amplified) for key in keys]
        elif outcome == "applied":
            people = naive_people(event)
            source.counters["unknown"] += people is None
            counts = self.panes.setdefault(ts_ms // self.pane_ms, {})
            for name in naive_topics(event):
                made = counts.setdefault((event.population or "all", name, user), [0, 0, 0])
                made[0] += isinstance(event, Post)
                made[1] += people or 0
                made[2] += (people or 0) ** 2
                key = (event.population or "all", name, user)
                one = (ts_ms, key, int(isinstance(event, Post)), people or 0)
                self.made.append(one)
                self.by_event.setdefault(identity_of(event), []).append(one)
        return outcome

    def _first_pane(self, end_ms: int) -> int:
        return end_ms // self.pane_ms - self.panes_kept + 1

    def _outcome(self, event: Event, ts_ms: int, end_ms: int) -> str:
        """`end_ms`: where the window of its source ends."""
        if ts_ms // self.pane_ms < self._first_pane(end_ms):
            return "late"
        if identity_of(event) in self.seen:
            return "duplicate"
        return "retracted" if identity_of(event) in self.retracted else "applied"
