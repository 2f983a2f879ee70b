"""The verdict of a demo with employees: each way in which too much can be said is found, and so is a wrong cut."""

import msgspec
import pytest

from stream_app.core.messages import OWN_ROLES, ROLES, Cut, Role
from stream_app.core.state.scopes import ScopeName
from stream_app.demo.employees.readings import Named, Reading
from stream_app.demo.employees.verdict import Verdict, reach, too_small, verdict
from stream_app.demo.generator.company import ACROSS, STRETCH
from tests.unit.demo.generator.test_company import SETTINGS, TOO_SMALL, made, people_in

NOW_MS = STRETCH.end_ms - 1
LEGAL = min(people_in(ScopeName("legal", "*"), Role.CONNECTOR))
OF_CHILDCARE = min(people_in(ScopeName("engineering", "childcare"), Role.CONNECTOR))
CARRIER = made().risers[0].user_id
IN_PRODUCTION = min(people_in(ScopeName("production", "*"), Role.CONNECTOR))


def judged(*readings: Reading, cuts: list[Cut] | None = None) -> Verdict:
    return verdict(made(), SETTINGS, readings, right_cuts() if cuts is None else cuts)


def right_cuts() -> list[Cut]:
    """What may be said, counted from the records."""
    found = []
    for scope in [ScopeName(ACROSS, "*"), ScopeName("payroll", "*")]:
        for role in ROLES[:OWN_ROLES]:
            people = people_in(scope, role)
            found.append(cut_of(scope, role, sorted(people.values(), reverse=True)))
    return found


def cut_of(scope: ScopeName, role: Role, values: list[int]) -> Cut:
    total = sum(values)
    k = next(k for k in range(1, len(values) + 1) if 10 * sum(values[:k]) >= 8 * total)
    fields = {
        "users": len(values),
        "total": total,
        "k": k,
        "threshold": values[k - 1],
        "ties": values.count(values[k - 1]),
        "coverage": sum(values[:k]) / total,
        "percent_of_users": 100 * k / len(values),
    }
    blank = {"gini": 0.0, "diffuse": False, "exact": True, "flagged": 0, "emerging": 0, "share": 0.8}
    times = {"window_start": 0, "window_end": 0, "computed_at": 0, "settings_version": ""}
    name = {"topic": scope.topic, "population": scope.population, "role": role}
    said = SETTINGS.disclosure.of(msgspec.convert(fields | blank | times | name, Cut))
    assert said is not None
    return said


def named(person: str, population: str, topic: str, event_time: int | None = None) -> Reading:
    one = Named(person, ScopeName(population, topic), Role.CONNECTOR, event_time)
    return Reading("somewhere", "", named=(one,))


def test_what_is_too_small_is_known_and_asked_about_with_everybody_in_it() -> None:
    assert {*too_small(made(), SETTINGS)} == TOO_SMALL
    asked = reach(made(), SETTINGS)
    assert {LEGAL, OF_CHILDCARE} <= {*asked.people}
    assert len(asked.scopes) == len(made().all_scopes())


@pytest.mark.parametrize("word", [LEGAL, "legal", "reception", "childcare"])
def test_a_text_with_what_is_too_small_says_too_much_unless_it_was_asked_about(word: str) -> None:
    assert judged(Reading("route", f'{{"a":"{word}"}}')).leaks == [f"route has {word}"]
    assert judged(Reading("route", f'{{"a":"{word}"}}', frozenset({word}))).leaks == []


@pytest.mark.parametrize("text", ["illegal", "legally", f"{LEGAL}0", CARRIER, "engineering reorganisation"])
def test_other_words_say_nothing(text: str) -> None:
    assert judged(Reading("route", text)).leaks == []


def test_somebody_named_in_a_scope_of_too_few_is_found_though_they_may_be_named_elsewhere() -> None:
    assert judged(named(OF_CHILDCARE, "engineering", "childcare")).leaks
    assert judged(named(OF_CHILDCARE, "engineering", "*")).leaks == []
    assert judged(named(CARRIER, ACROSS, "reorganisation")).leaks == []


def test_nobody_is_named_where_fewer_than_the_minimum_are_left_beside_the_cut() -> None:
    assert judged(named(IN_PRODUCTION, "payroll", "*")).leaks
    assert judged(named(IN_PRODUCTION, "payroll", "*", NOW_MS)).leaks == []  # of a standing that has ended


def test_a_flag_from_before_there_were_enough_is_found_and_so_is_an_unknown_scope() -> None:
    assert judged(named(CARRIER, ACROSS, "reorganisation", STRETCH.end_ms - STRETCH.window_ms * 2)).leaks
    assert judged(named(CARRIER, "elsewhere", "*")).leaks


def test_a_cut_is_wrong_where_a_figure_is_other_or_it_is_missing_or_should_not_be_there() -> None:
    cuts = right_cuts()
    is_here = [line for line in judged(cuts=cuts).wrong_cuts if not line.endswith("is missing")]
    assert is_here == []
    cuts[0] = msgspec.structs.replace(cuts[0], k=cuts[0].k + 5)
    cuts.append(msgspec.structs.replace(cuts[0], population="legal"))
    wrong = [line for line in judged(cuts=cuts).wrong_cuts if not line.endswith("is missing")]
    assert len(wrong) == 2
    assert wrong[0].startswith(f"* ({ACROSS}) {cuts[0].role}: k is ")
    assert wrong[1] == f"* (legal) {cuts[0].role} should not be there"


@pytest.mark.parametrize(("field", "value"), [("users", 177), ("flagged", 3), ("total", 52_896), ("threshold", 387)])
def test_a_figure_that_is_not_round_is_found(field: str, value: int) -> None:
    cuts = right_cuts()
    cuts[0] = msgspec.structs.replace(cuts[0], **{field: value})
    assert f"* ({ACROSS}) {cuts[0].role}: {field} is not round" in judged(cuts=cuts).wrong_cuts


def test_a_verdict_about_nothing_is_not_right() -> None:
    assert not Verdict(0, 0, [], 60, []).is_right
    assert not Verdict(10, 0, [], 0, []).is_right
    assert Verdict(10, 0, [], 60, []).is_right
