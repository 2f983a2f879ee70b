"""The funnel once more, the slow and obvious way: all events, sorted; and the events of its tests."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

DAY_MS = 86_400_000


class Action(NamedTuple):
    """An event of the tests."""

    event_id: str
    ts_ms: int
    user: str
    is_share: bool = False
    author: str | None = None
    via: str | None = None
    post: str | None = None
    impressions: int = 0
    topics: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[str, bool, str]:
        """What makes it the same one again."""
        return self.user, self.is_share, self.event_id

    @property
    def order(self) -> tuple[int, str, bool]:
        """By what events of one person are sorted."""
        return self.ts_ms, self.event_id, self.is_share

    @property
    def scopes(self) -> tuple[str, ...]:
        """The topics it counts in."""
        return ("*", *self.topics)


class NaiveEntry(NamedTuple):
    """An entry."""

    event: Action
    is_new: bool
    how: str
    recruiter: str | None


@dataclass
class NaiveScope:
    """What is counted in one scope."""

    entries: list[NaiveEntry] = field(default_factory=list)
    participants: set[str] = field(default_factory=set)
    shares: list[Action] = field(default_factory=list)
    """Those without another of the same (sharer, post, author) in the gap before."""

    def stages(self) -> tuple[int, ...]:
        """As `FunnelSums`."""
        hows = Counter(entry.how for entry in self.entries)
        new = sum(entry.is_new for entry in self.entries)
        return (
            new,
            len(self.entries) - new,
            hows["recruited"],
            hows["self"],
            hows["unknown"],
            len(self.participants),
            len({share.author for share in self.shares}),
            len(self.recruits()),
        )

    def recruits(self) -> Counter[str]:
        """Recruits by recruiter."""
        return Counter(entry.recruiter for entry in self.entries if entry.recruiter is not None)

    def credited(self, author: str) -> tuple[int, int, int, int, int]:
        """As `Credited`."""
        shares = [share for share in self.shares if share.author == author]
        by_sharer = Counter(share.user for share in shares)
        squares = sum(count**2 for count in by_sharer.values())
        amplified = sum(share.impressions for share in shares)
        return self.recruits()[author], amplified, len(shares), len(by_sharer), squares

    def cohort(self, day: int, horizon_ms: int) -> tuple[int, int]:
        """People who first came on a day, and their recruits within the horizon."""
        first_ms = {entry.event.user: entry.event.ts_ms for entry in self.entries if entry.is_new}
        people = {user for user, ts_ms in first_ms.items() if ts_ms // DAY_MS == day}
        recruits = [
            entry
            for entry in self.entries
            if entry.recruiter in people and 0 < entry.event.ts_ms - first_ms[entry.recruiter] <= horizon_ms
        ]
        return len(people), len(recruits)


def distinct(events: Iterable[Action]) -> list[Action]:
    """The first delivery of each event."""
    found: dict[tuple[str, bool, str], Action] = {}
    for event in events:
        found.setdefault(event.identity, event)
    return list(found.values())


def naive_funnel(events: Sequence[Action], gap_ms: int, share_gap_ms: int = 2**62) -> dict[str, NaiveScope]:
    """What is counted, by topic."""
    found: dict[str, NaiveScope] = defaultdict(NaiveScope)
    people: dict[tuple[str, str], list[Action]] = defaultdict(list)
    for event in sorted(distinct(events), key=lambda event: event.order):
        for scope in event.scopes:
            people[scope, event.user].append(event)
    for (scope, user), theirs in people.items():
        found[scope].participants.add(user)
        before: Action | None = None
        for event in theirs:
            if before is None or event.ts_ms - before.ts_ms >= gap_ms:
                found[scope].entries.append(NaiveEntry(event, before is None, *how_of(event)))
            before = event
        shared_ms: dict[tuple[str | None, str | None], int] = {}
        for event in theirs:
            if event.is_share and event.author not in {None, user}:
                last_ms = shared_ms.get((event.post, event.author))
                if last_ms is None or event.ts_ms - last_ms >= share_gap_ms:
                    found[scope].shares.append(event)
                shared_ms[event.post, event.author] = event.ts_ms
    return found


def how_of(event: Action) -> tuple[str, str | None]:
    """How somebody came by an event, and who brought them."""
    named = event.via or event.author
    if not event.is_share or named == event.user:
        return "self", None
    return ("unknown", None) if named is None else ("recruited", named)
