"""The made-up company: who is in it, and that its truth is that of its records, counted here in the plainest way."""

import json
from collections import defaultdict
from functools import cache

import pytest

from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Post, Share
from stream_app.core.messages import ALL_TOPICS, OWN_ROLES, ROLES, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.demo.employees.defaults import EMPLOYEES
from stream_app.demo.generator.activity import smallest_set
from stream_app.demo.generator.company import ACROSS, DEPARTMENTS, STRETCH, Company, company
from stream_app.settings import Settings

SETTINGS = Settings(**EMPLOYEES)
END_MS = STRETCH.end_ms
TOO_SMALL = {
    ("legal", "*"),
    ("legal", "reorganisation"),
    ("reception", "*"),
    ("reception", "reorganisation"),
    ("engineering", "childcare"),
}


@cache
def made() -> Company:
    return company(SETTINGS.window)


def people_in(scope: ScopeName, role: Role) -> dict[str, int]:
    """What each person has at the end, from the records."""
    found: dict[str, int] = defaultdict(int)
    seen = set()
    for record in made().events:
        event = json.loads(record.value)
        is_in = event["population"] == scope.population and scope.topic in {ALL_TOPICS, *event["topics"]}
        if event["event_id"] not in seen and is_in and event["ts"] >= END_MS - SETTINGS.window_s * 1000:
            found[event["user_id"]] += event["audience"] if role is Role.CONNECTOR else not record.share
        seen.add(event["event_id"])
    return {person: value for person, value in found.items() if value}


def test_every_record_can_be_counted_and_some_come_twice() -> None:
    records = made().events
    for record in records:
        event = json.loads(record.value)
        assert not decode([record.value], Share if record.share else Post, 65_536).rejected
        assert (event["user_id"].encode(), event["ts"]) == (record.key, record.ts_ms)
    assert len(records) - len({record.value for record in records}) == 100


@pytest.mark.parametrize(
    "scope", [ScopeName(ACROSS, "*"), ScopeName(ACROSS, "reorganisation"), ScopeName("engineering", "childcare")]
)
@pytest.mark.parametrize("role", ROLES[:OWN_ROLES])
def test_its_truth_is_that_of_its_records(scope: ScopeName, role: Role) -> None:
    values = made().values(scope, role, END_MS - 1, SETTINGS.window)
    truth = {made().people[person]: value for person, value in enumerate(values.tolist()) if value}
    assert truth == people_in(scope, role)


def test_two_departments_and_a_topic_have_too_few_people_and_all_others_enough() -> None:
    small = {scope for scope in made().all_scopes() if len(people_in(scope, Role.CONNECTOR)) < SETTINGS.min_group}
    assert small == TOO_SMALL
    assert {scope.population for scope in made().all_scopes()} == {*DEPARTMENTS, ACROSS}


def test_the_riser_has_hardly_anything_before_and_crosses_in_the_live_end() -> None:
    (riser,) = made().risers
    scope, person = ScopeName(ACROSS, riser.topic), made().people.index(riser.user_id)
    before, after = (
        made().values(scope, riser.role, now_ms, SETTINGS.window) for now_ms in (riser.onset_ms, riser.crossing_ms)
    )
    assert not before[person:].any()
    assert after[person] >= smallest_set(after)[1]
    assert riser.onset_ms < riser.crossing_ms < END_MS


def test_the_loud_one_speaks_more_than_nearly_everybody_in_the_department_and_never_across() -> None:
    (loud,) = made().decoys
    posts = people_in(ScopeName("logistics", ALL_TOPICS), Role.MAVEN)
    assert sum(count > posts[loud] for count in posts.values()) <= 2
    assert all(loud not in people_in(ScopeName(ACROSS, ALL_TOPICS), role) for role in ROLES)


def test_ids_are_opaque_and_no_two_people_share_one() -> None:
    assert len({*made().people}) == sum(DEPARTMENTS.values()) + 2
    assert all(len(person) == len("emp-00000") for person in made().people)
