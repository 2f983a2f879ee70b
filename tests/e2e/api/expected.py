"""What the API must answer, computed from the events the slow and obvious way."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.messages import OWN_ROLES, ROLES, Role
from stream_app.settings import Settings
from stream_app.sources.recorded_event import RecordedEvent
from tests.naive import NaiveCut, identity_of, ms_of, naive_cut, naive_people, naive_topics

Scope = tuple[str, str]
"""(population, topic)."""


class Counted(NamedTuple):
    """An event that counts."""

    event: Event
    user: str
    ts_ms: int
    people: int


class Expected:
    """Everything that is to be known of some events."""

    def __init__(self, records: Sequence[RecordedEvent], settings: Settings) -> None:
        self._settings = settings
        latest_ms = (time.time() + settings.max_ahead_s) * 1000
        counted = [one for one in _counted(records) if one.ts_ms <= latest_ms]
        self.newest_ms = max(one.ts_ms for one in counted)
        self.window_end = (self.newest_ms // settings.pane_ms + 1) * settings.pane_ms
        self.window_start = self.window_end - settings.panes * settings.pane_ms
        self.events = [one for one in counted if one.ts_ms >= self.window_start]
        self.sent = len(records)
        self.panes: dict[tuple[Scope, str, Role], Counter[int]] = defaultdict(Counter)
        """What each user of a scope made, by pane: its number in the window."""
        for one in self.events:
            pane = (one.ts_ms - self.window_start) // settings.pane_ms
            for topic in naive_topics(one.event):
                for role, made in ((Role.MAVEN, int(isinstance(one.event, Post))), (Role.CONNECTOR, one.people)):
                    self.panes[(one.event.population or "all", topic), one.user, role][pane] += made
        self._values: dict[tuple[Scope, Role], dict[str, int]] = defaultdict(dict)
        for (scope, user, role), panes in self.panes.items():
            if panes.total():
                self._values[scope, role][user] = panes.total()

    @property
    def scopes(self) -> set[Scope]:
        return {scope for scope, _ in self._values}

    def values(self, scope: Scope, role: Role) -> dict[str, int]:
        """What everybody made, by user; nobody without anything."""
        return self._values.get((scope, role), {})

    def cut(self, scope: Scope, role: Role) -> NaiveCut | None:
        return naive_cut(self.values(scope, role).values(), self._settings.share)

    def users(self, scope: Scope) -> int:
        """The larger number of users of both cuts."""
        return max(len(self.values(scope, role)) for role in ROLES[:OWN_ROLES])

    def by_pane(self, scope: Scope, user: str, role: Role) -> list[int]:
        panes = self.panes[scope, user, role]
        return [panes[pane] for pane in range(self._settings.panes)]

    def rank(self, scope: Scope, user: str, role: Role) -> int:
        values = self.values(scope, role)
        return 1 + sum(value > values[user] for value in values.values())

    def curve(self, scope: Scope, role: Role) -> list[tuple[float, float]]:
        """The whole Lorenz curve, one point per user."""
        values = sorted(self.values(scope, role).values(), reverse=True)
        reached, points = 0, [(0.0, 0.0)]
        for place, value in enumerate(values, start=1):
            reached += value
            points.append((place / len(values), reached / sum(values)))
        return points

    def roles_of(self, user: str) -> list[tuple[Scope, Role]]:
        """Where a user has a value."""
        return [key for key, values in self._values.items() if user in values]

    def of(self, user: str, scope: Scope) -> list[Counted]:
        """The events of a user in a scope."""
        population, topic = scope
        return [
            one
            for one in self.events
            if one.user == user and one.event.population == population and topic in naive_topics(one.event)
        ]


def _counted(records: Iterable[RecordedEvent]) -> Iterable[Counted]:
    """The events that can be counted, each once."""
    seen = set()
    for record in records:
        for event in decode([record.value], Share if record.share else Post, 65_536).events:
            if str(event.user_id).encode() == record.key and identity_of(event) not in seen:
                seen.add(identity_of(event))
                yield Counted(event, str(event.user_id), ms_of(event), naive_people(event) or 0)
