"""Partitions of the funnel: both stages of each, and the credits that travel between them."""

from collections.abc import Iterable, Sequence
from zlib import crc32

import numpy as np

from stream_app.core.funnel.cohorts import Cohort, Cohorts
from stream_app.core.funnel.credited_people import Credited, CreditedPeople
from stream_app.core.funnel.funnel import Decided, Funnel, FunnelSettings
from stream_app.core.funnel.funnel_events import FunnelEvents
from stream_app.core.funnel.funnel_sums import FunnelSums
from stream_app.core.funnel.influence_credits import InfluenceCredits
from stream_app.core.state.scopes import ScopeName
from tests.unit.core.funnel.naive_funnel import Action

SECRET = 7


def scope_of(topic: str) -> ScopeName:
    """The scope of a topic."""
    return ScopeName("all", topic)


def columns(events: Sequence[Action]) -> FunnelEvents:
    """Events as the funnel takes them."""
    names = sorted({topic for event in events for topic in event.scopes})
    pairs = [(place, names.index(topic)) for place, event in enumerate(events) for topic in event.scopes]
    return FunnelEvents(
        users=[event.user for event in events],
        event_ids=[event.event_id for event in events],
        ts_ms=np.array([event.ts_ms for event in events], np.int64),
        are_shares=np.array([event.is_share for event in events], np.bool_),
        authors=[event.author for event in events],
        vias=[event.via for event in events],
        posts=[event.post for event in events],
        impressions=np.array([event.impressions for event in events], np.int64),
        events=np.array([place for place, _ in pairs], np.int64),
        scopes=np.array([scope for _, scope in pairs], np.int64),
        scope_names=list(map(scope_of, names)),
        hashes=np.array([hash(event.identity) % 2**64 for event in events], np.uint64),
    )


class FunnelPartition:
    """One partition."""

    def __init__(self, settings: FunnelSettings, horizon_ms: int) -> None:
        self.funnel = Funnel(settings, SECRET)
        self.credited = CreditedPeople(settings.pane_ms, self.funnel.keys)
        self.cohorts = Cohorts(horizon_ms, self.funnel)
        self.seen: set[int] = set()

    def receive(self, credits_: InfluenceCredits) -> None:
        """Add credits, but no repeats."""
        fresh = []
        for place, number in enumerate(credits_.ids.tolist()):
            if number not in self.seen:
                fresh.append(place)
                self.seen.add(number)
        credits_ = credits_.at(np.array(fresh, np.int64))
        self.credited.add(credits_)
        self.cohorts.add(credits_)


class FunnelPartitions:
    """Several partitions; people are spread by a hash of their name."""

    def __init__(self, count: int, settings: FunnelSettings, horizon_ms: int = 86_400_000) -> None:
        self.parts = [FunnelPartition(settings, horizon_ms) for _ in range(count)]
        self.sent: list[InfluenceCredits] = []

    def home(self, name: str) -> int:
        """The partition of a person."""
        return crc32(name.encode()) % len(self.parts)

    def add(self, events: Sequence[Action]) -> None:
        """Add a batch of fresh events."""
        for number, part in enumerate(self.parts):
            if theirs := [event for event in events if self.home(event.user) == number]:
                part.funnel.add(columns(theirs))

    def replace(self, gone: Sequence[Action], remaining: Sequence[Action]) -> None:
        """Take events back."""
        for number, part in enumerate(self.parts):
            if theirs := [event for event in gone if self.home(event.user) == number]:
                users = {event.user for event in theirs}
                others = [event for event in remaining if event.user in users]
                part.funnel.replace(*(part.funnel.columns_of(columns(some)) for some in (theirs, others)))

    def decide(self, until_ms: int) -> list[Decided]:
        """Decide, and send the credits."""
        decided = [one for part in self.parts for one in part.funnel.decide(until_ms)]
        for one in decided:
            self.send(one.credits)
        return decided

    def send(self, credits_: InfluenceCredits) -> None:
        """Send credits to the partitions of those who get them."""
        self.sent.append(credits_)
        homes = np.array([self.home(name) for name in credits_.credited], np.int64)
        for number, part in enumerate(self.parts):
            part.receive(credits_.at(homes == number))

    def sums(self, topic: str, panes: range | None = None) -> FunnelSums:
        """The stages of all partitions, in some panes or all."""
        total = FunnelSums()
        for part in self.parts:
            total = total.plus(part.funnel.sums(scope_of(topic), panes)).plus(part.credited.sums(scope_of(topic)))
        return total

    def credited(self, topic: str, name: str) -> tuple[int, ...]:
        """What somebody has been credited with."""
        held = self.parts[self.home(name)].credited.of(scope_of(topic), [name])
        return tuple(int(column[0]) for column in held)

    def recruits(self, topic: str) -> list[int]:
        """The recruits of all recruiters, the largest first."""
        held: Iterable[Credited] = (part.credited.in_scope(scope_of(topic)) for part in self.parts)
        return sorted((count for part in held for count in part.recruits.tolist() if count > 0), reverse=True)

    def cohort(self, topic: str, day: int) -> Cohort | None:
        """The cohort of a day; None while it is not known."""
        total = Cohort()
        for part in self.parts:
            if (cohort := part.cohorts.of(scope_of(topic), day)) is None:
                return None
            total = total.plus(cohort)
        return total
