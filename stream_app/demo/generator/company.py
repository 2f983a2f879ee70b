"""A made-up company: who says what to whom within departments, and across them. Its true answers are known.

A department is a population, and people are ranked in their own. What is said to other departments counts in a
population of its own, ACROSS: its connectors are those who carry the news. Some departments and one topic have too few
people for anything to be said of them, all the time. One person rises across departments; one is loud all the time,
and reaches hardly anybody.
"""

from typing import NamedTuple

import msgspec
import numpy as np

from stream_app.core.arrays import Ints
from stream_app.core.messages import ALL_TOPICS, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.window import Window
from stream_app.demo.generator.activity import HOUR_MS, Activity, joined, smallest_set, values_at
from stream_app.demo.generator.population import END_MS
from stream_app.demo.generator.risers import Plan, Riser, crossing_ms, events_of, rise
from stream_app.demo.generator.talk import Product, Stretch, talk_of
from stream_app.sources.recorded_event import RecordedEvent

ACROSS = "across"
DEPARTMENTS = {
    "production": 140,
    "logistics": 70,
    "sales": 60,
    "engineering": 50,
    "administration": 30,
    "payroll": 7,
    "legal": 4,
    "reception": 3,
}
"""By name, with their people; the last two are below a minimum of five."""
_FEW_TALK = 10
"""In a department of fewer people each says something of the first subject, and nothing of others."""
SUBJECTS = (
    Product("reorganisation", 0.9, 2.3, 1.9, 90, 9),
    Product("safety", 0.7, 2.0, 1.8, 60, 6),
    Product("canteen", 0.6, 1.9, 1.7, 40, 7),
    Product("benefits", 0.5, 1.0, 0.7, 40, 4),
)
_ACROSS_SUBJECTS = (
    Product("reorganisation", 0.35, 2.4, 1.9, 260, 7),
    Product("safety", 0.25, 2.2, 1.8, 200, 5),
    Product("canteen", 0.15, 2.0, 1.7, 120, 4),
)
_OF_FEW = ScopeName("engineering", "childcare")
_FEW = 3

STRETCH = Stretch(END_MS, 28 * 24 * HOUR_MS, 7 * 24 * HOUR_MS)
_RISE = Plan("reorganisation", Role.CONNECTOR, 8.0 * 24, 6.0 * 24)
_LOUD_EVERY_MS = 3 * HOUR_MS
_LOUD_REACHES = 2
_MEAN_DELAY_MS = 15_000
_TWICE = 100


class Company(NamedTuple):
    """The stream of the company, with its truth."""

    events: list[RecordedEvent]
    """In order of arrival, some of them twice."""
    activity: Activity
    """Each event once; its topics are numbers of `scopes`."""
    scopes: list[ScopeName]
    people: list[str]
    """Their ids, by number."""
    risers: list[Riser]
    """They rise in ACROSS, where nothing else of theirs is."""
    decoys: tuple[str, ...]

    def all_scopes(self) -> list[ScopeName]:
        """Every topic of every population, and all topics together."""
        return [*(ScopeName(name, ALL_TOPICS) for name in (*DEPARTMENTS, ACROSS)), *self.scopes]

    def within(self, scope: ScopeName) -> list[int]:
        """The numbers of the topics of the population, if it is about all of them, or of the one."""
        return [
            number
            for number, name in enumerate(self.scopes)
            if name.population == scope.population and scope.topic in {name.topic, ALL_TOPICS}
        ]

    def values(self, scope: ScopeName, role: Role, now_ms: int, window: Window) -> Ints:
        """What each person, by number, has in a scope and in the window at `now_ms`."""
        return values_at(self.activity, self.within(scope), role, now_ms, window)


def company(window: Window, seed: int = 7) -> Company:
    """The same company for the same arguments; `window`: the one in which the rise is measured."""
    rng = np.random.default_rng(seed)
    staff = sum(DEPARTMENTS.values())
    scopes, parts = _talk(rng)
    riser, loud = staff, staff + 1
    across, canteen = (scopes.index(ScopeName(*name)) for name in ((ACROSS, _RISE.topic), ("logistics", "canteen")))
    base = joined(parts)
    threshold = smallest_set(values_at(base, across, _RISE.role, END_MS - 1, window))[1]
    rising = rise(_RISE, riser, across, threshold, END_MS, rng)
    loud_ms = np.arange(END_MS - STRETCH.window_ms - STRETCH.before_ms, END_MS, _LOUD_EVERY_MS)
    whole = joined([base, rising, events_of(loud, canteen, loud_ms, share=False, audiences=_LOUD_REACHES)])
    people = [f"emp-{number:05x}" for number in rng.choice(16**5, staff + 2, replace=False).tolist()]
    onset_ms = END_MS - round(_RISE.onset_before_end_h * HOUR_MS)
    crossed_ms = crossing_ms(whole, across, _RISE.role, riser, onset_ms, window)
    return Company(
        *(_delivered(whole, people, scopes, rng), whole, scopes, people),
        risers=[Riser(people[riser], _RISE.topic, _RISE.role, onset_ms, crossed_ms)],
        decoys=(people[loud],),
    )


def _talk(rng: np.random.Generator) -> tuple[list[ScopeName], list[Activity]]:
    """What is said in each scope, by people who are numbered department by department."""
    scopes: list[ScopeName] = []
    parts: list[Activity] = []

    def say(scope: ScopeName, subject: Product, people: Ints, most: int) -> None:
        said = talk_of(len(scopes), subject, people, STRETCH, rng)
        parts.append(said._replace(audiences=np.minimum(said.audiences, most)))
        scopes.append(scope)

    first, mixing = 0, []
    for department, size in DEPARTMENTS.items():
        staff = np.arange(first, first + size)
        first += size
        if size < _FEW_TALK:
            say(ScopeName(department, SUBJECTS[0].name), SUBJECTS[0], staff, size - 1)
            continue
        mixing.append(staff)
        for subject in SUBJECTS:
            some = rng.choice(staff, round(subject.people * size), replace=False)
            say(ScopeName(department, subject.name), subject, some, size - 1)
        if department == _OF_FEW.population:
            say(_OF_FEW, SUBJECTS[1]._replace(name=_OF_FEW.topic), staff[:_FEW], size - 1)
    everybody = np.concatenate(mixing)
    for subject in _ACROSS_SUBJECTS:
        some = rng.choice(everybody, round(subject.people * len(everybody)), replace=False)
        say(ScopeName(ACROSS, subject.name), subject, some, len(everybody) - 1)
    return scopes, parts


def _delivered(
    whole: Activity, people: list[str], scopes: list[ScopeName], rng: np.random.Generator
) -> list[RecordedEvent]:
    """Records in the order they arrive in: a little out of order, some of them twice."""
    records = []
    for number, (person, scope, ts_ms, share, audience) in enumerate(
        zip(*(column.tolist() for column in whole), strict=True)
    ):
        event = {
            "event_id": f"m{number}",
            "ts": ts_ms,
            "user_id": people[person],
            "kind": "share" if share else "message",
            "topics": [scopes[scope].topic],
            "population": scopes[scope].population,
            "audience": audience,
        }
        records.append(RecordedEvent(share, people[person].encode(), msgspec.json.encode(event), ts_ms))
    arrivals = whole.ts_ms + rng.exponential(_MEAN_DELAY_MS, len(records)).astype(np.int64)
    twice = rng.choice(len(records), min(_TWICE, len(records)), replace=False)
    records += [records[place] for place in twice.tolist()]
    order = np.argsort(np.concatenate([arrivals, arrivals[twice] + 60_000]), kind="stable")
    return [records[place] for place in order.tolist()]
