"""The events of a run, and what must become of each: written down when it is produced, not computed by the tracker.

Whether an event is late depends on how far the window has moved on when it is read. To know it beforehand the feed
keeps apart what is surely in time and what is surely late: event time goes on only as far as everything still unread
stays in the window, and late events come only where both sources are durably past them.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

import msgspec

from stream_app.core.events.murmur2 import partitions_of
from stream_app.core.events.schema import Event, Post, Share
from stream_app.core.state.watermark import Source
from tests.naive import Identity, identity_of, ms_of
from tests.simulation.broker import Broker, Place
from tests.simulation.plan import PANE_S, PANES, Plan

START_MS = 1_704_067_200_000
"""2024-01-01T00:00Z: event time at the beginning. The clocks of the workers are ten days further."""
PANE_MS = PANE_S * 1000
_AHEAD_MS = 4_102_444_800_000
_LONG_AGO_MS = 30 * 86_400_000
_TOPICS = ((), ("tea",), (" Tea", "cars"), ("cars",), ("films", ""))

Sources = Callable[[int], dict[str, Source]]
"""By partition: how far its sources are durably counted."""


class Fate(Enum):
    """What must become of a record."""

    COUNTS = "counts"
    """Applied; a duplicate where its event was applied before."""
    LATE = "late"
    REJECTED = "rejected"


class Produced(NamedTuple):
    """A record, and what must become of it."""

    fate: Fate
    key: bytes | None
    value: bytes | None
    event: Event | None


class Feed:
    """Produces events, a few at a time."""

    def __init__(self, plan: Plan, broker: Broker, sources: Sources) -> None:
        self.produced: dict[Place, list[Produced]] = {}
        """By offset."""
        self.newest_ms = START_MS
        self.retracted: set[Identity] = set()
        self.retractions: Counter[int] = Counter()
        """Records by partition."""
        self._retracting = random.Random(f"retractions {plan.seed}")
        self._rng = random.Random(f"feed {plan.seed}")
        self._settings = plan.settings
        self._broker = broker
        self._sources = sources
        users = [f"u{number}" for number in range(plan.users)]
        places = partitions_of([user.encode() for user in users], plan.settings.partitions).tolist()
        self._users = list(zip(users, places, strict=True))
        self._loud = [self._rng.lognormvariate(3, 1.5) for _ in users]
        self._counted: list[tuple[Place, Produced]] = []
        self._numbers: Counter[tuple[type[Event], str]] = Counter()
        """Everybody numbers posts and shares from 1: ids of others, and of the other kind, mean nothing."""
        for topic in plan.settings.input_topics:
            for partition in range(plan.settings.partitions):
                self.produced[topic, partition] = []

    def produce(self) -> None:
        """Produce some events."""
        self._advance(self._rng.choice((0, 0, 3, 10, 25, 60, 240)) * 1000)
        batch: dict[Place, list[Produced]] = {}
        for _ in range(self._rng.choice((1, 2, 5, 12))):
            place, record = self._record()
            batch.setdefault(place, []).append(record)
        for place, records in batch.items():
            self.produced[place] += records
            self._counted += [(place, record) for record in records if record.fate is Fate.COUNTS]
            self._broker.append(place, [(record.key, record.value, ()) for record in records])
        if self._retracting.random() < 0.2:
            self._retract()

    def _retract(self) -> None:
        """Take back an event that was produced lately, read or not, or once more one that was taken back."""
        if not self._counted:
            return
        (_, partition), record = self._retracting.choice(self._counted[-60:])
        event = record.event
        assert event is not None
        self.retracted.add(identity_of(event))
        self.retractions[partition] += 1
        of = "post" if isinstance(event, Post) else "share"
        ts_ms = self._retracting.randint(ms_of(event), max(self.newest_ms, ms_of(event)))
        what = {"kind": "retract", "of": of, "event_id": event.event_id, "user_id": event.user_id, "ts": ts_ms}
        place = (self._settings.retractions_topic, partition)
        self._broker.append(place, [(record.key, msgspec.json.encode(what), ())])

    def _advance(self, step_ms: int) -> None:
        """Move event time on, if that makes nothing late that is still to be read."""
        oldest_ms = min((ms_of(record.event) for record in self._unread() if record.event), default=self.newest_ms)
        first_pane = (self.newest_ms + step_ms) // PANE_MS - PANES + 1
        if oldest_ms // PANE_MS >= first_pane:
            self.newest_ms += step_ms

    def _unread(self) -> list[Produced]:
        found = []
        for (topic, partition), records in self.produced.items():
            source = self._sources(partition).get(topic)
            unread = records[source.position if source else 0 :]
            found += [record for record in unread if record.fate is Fate.COUNTS]
        return found

    def _record(self) -> tuple[Place, Produced]:
        chance = self._rng.random()
        if chance < 0.12 and (again := self._delivered_again()):
            return again
        if chance < 0.2:
            return self._bad()
        if chance < 0.28 and (late := self._late()):
            return late
        behind_ms = self._rng.choice((0, 0, 1000, PANE_MS, (PANES - 2) * PANE_MS))
        return self._event(max(self.newest_ms - self._rng.randint(0, behind_ms), START_MS), Fate.COUNTS)

    def _event(self, ts_ms: int, fate: Fate) -> tuple[Place, Produced]:
        rng = self._rng
        number = int(len(self._users) * rng.random() ** 2)
        user, partition = self._users[number]
        kind = rng.choice((Post, Share))
        self._numbers[kind, user] += 1
        event = kind(
            event_id=self._numbers[kind, user],
            ts=ts_ms,
            user_id=user,
            topics=rng.choice(_TOPICS),
            audience=rng.choice((None, -1, 0, *[int(self._loud[number] * rng.randint(1, 9))] * 7)),
            population="staff" if number % 5 == 0 else "all",
        )
        if isinstance(event, Share):
            event.author_id = self._author(number)
        place = (self._settings.input_topics[kind is Share], partition)
        return place, Produced(fate, user.encode(), msgspec.json.encode(event), event)

    def _author(self, number: int) -> str:
        """Whose post a user shares: somebody else's, mostly in another partition."""
        return self._users[(7 * number + 1) % len(self._users)][0]

    def _delivered_again(self) -> tuple[Place, Produced] | None:
        """An event of the window once more."""
        recent = self._counted[-40:]
        if not recent:
            return None
        place, record = self._rng.choice(recent)
        assert record.event is not None
        in_window = ms_of(record.event) // PANE_MS > self.newest_ms // PANE_MS - PANES + 1
        return (place, record) if in_window else None

    def _late(self) -> tuple[Place, Produced] | None:
        """An event that its partition is surely past, new or counted long ago."""
        if self._counted and self._rng.random() < 0.5:
            place, record = self._counted[self._rng.randrange(len(self._counted))]
            record = record._replace(fate=Fate.LATE)
        else:
            place, record = self._event(START_MS - _LONG_AGO_MS, Fate.LATE)
        assert record.event is not None
        every = self._sources(place[1])
        sources = {topic: every[topic] for topic in self._settings.input_topics if topic in every}
        passed_ms = min((source.watermark for source in sources.values()), default=0)
        is_late = ms_of(record.event) // PANE_MS < passed_ms // PANE_MS - PANES + 1
        return (place, record) if is_late and len(sources) == len(self._settings.input_topics) else None

    def _bad(self) -> tuple[Place, Produced]:
        place, good = self._event(self.newest_ms, Fate.REJECTED)
        assert good.event is not None
        assert good.value is not None
        fields = msgspec.to_builtins(good.event)
        key, value = self._rng.choice(
            (
                (good.key, good.value[:-1]),
                (good.key, None),
                (good.key, b""),
                (None, good.value),
                (b"somebody else", good.value),
                (good.key, msgspec.json.encode({**fields, "ts": "yesterday"})),
                (good.key, msgspec.json.encode({**fields, "ts": _AHEAD_MS})),
                (good.key, b"\xff" + good.value),
            )
        )
        return place, Produced(Fate.REJECTED, key, value, None)


def expected(records: Sequence[Produced], lost: Sequence[range]) -> list[str]:
    """What must become of the records of a partition, in order; nothing of those `lost` to retention."""
    seen: set[Identity] = set()
    outcomes = []
    for offset, record in enumerate(records):
        if any(offset in gap for gap in lost):
            outcomes.append("lost")
        elif record.fate is not Fate.COUNTS or record.event is None:
            outcomes.append(record.fate.value)
        else:
            identity = identity_of(record.event)
            outcomes.append("duplicate" if identity in seen else "applied")
            seen.add(identity)
    return outcomes
