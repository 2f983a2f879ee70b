"""Recruits by name against the naive model, in several partitions; who has no name is not there."""

from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings

from stream_app.core.queries import RecruitEntry, RecruitSearch
from stream_app.core.queries import recruits as module
from stream_app.core.state.interning import Interner
from tests.unit.core.funnel.naive_funnel import Action, distinct, naive_funnel
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions, scope_of
from tests.unit.core.funnel.test_funnel import END_MS, GAP_MS, NAMES, actions, fed

SCOPE = scope_of("x")


def ledger_of(impressions: Mapping[str, int]) -> Any:
    """A ledger with these people in the scope, in its second row after somebody of another scope."""
    users = Interner(["zoe", *impressions])
    rows = Mock(scopes=np.array([1, *[0] * len(impressions)]))
    rows.users_of.side_effect = lambda rows: rows
    rows.find.side_effect = lambda _scopes, users: users
    rows.values.return_value = np.array([0, *impressions.values()])
    return Mock(users=users, rows=rows, scopes=Mock(find=lambda name: 0 if name == SCOPE else None))


def recruits(parts: FunnelPartitions, names: list[str], of: list[str]) -> list[list[RecruitEntry]]:
    """What all partitions find, each with the names of its own people."""
    entries: list[list[RecruitEntry]] = [[] for _ in of]
    for number, part in enumerate(parts.parts):
        theirs = {name: len(name) for name in names if parts.home(name) == number}
        search = RecruitSearch(part.funnel, ledger_of(theirs), SCOPE, of)
        list(search.steps())
        for place, (total, newest) in enumerate(search.found(100)):
            assert total == len(newest)
            entries[place] += newest
    return entries


@pytest.mark.parametrize("at_once", [1, 10_000])
@given(events=actions())
@settings(max_examples=60)
def test_the_recruits_of_everybody_are_those_of_the_naive_model(events: list[Action], at_once: int) -> None:
    parts = fed(events, 3, [3, 11], [20, 60])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_ONCE", at_once)
        found = recruits(parts, NAMES, [*NAMES, "nobody"])
    naive = naive_funnel(distinct(events), GAP_MS)["x"].entries
    for name, entries in zip([*NAMES, "nobody"], found, strict=True):
        expected = [RecruitEntry(e.event.user, e.event.ts_ms, e.is_new, 3) for e in naive if e.recruiter == name]
        assert sorted(entries) == sorted(expected)


def share(number: int, user: str, author: str, ts_ms: int = 0) -> Action:
    return Action(str(number), ts_ms, user, True, author, None, "p", 1, ("x",))


def decided(*events: Action) -> FunnelPartitions:
    return fed(events, 1, [], [END_MS])


def test_the_newest_comes_first_and_who_comes_back_is_there_again() -> None:
    parts = decided(share(1, "bob", "ann"), share(2, "cem", "ann", 5), share(3, "bob", "ann", 100))
    (found,) = recruits(parts, ["bob", "cem"], ["ann"])
    assert [(one.user, one.entered_ms, one.is_new) for one in found] == [
        *[("bob", 100, False), ("cem", 5, True), ("bob", 0, True)]
    ]


def test_who_has_left_the_window_has_no_name_and_is_not_there() -> None:
    parts = decided(share(1, "bob", "ann"), share(2, "cem", "ann"))
    (found,) = recruits(parts, ["cem"], ["ann"])
    assert [one.user for one in found] == ["cem"]


def test_who_comes_back_after_their_entry_was_forgotten_is_not_new() -> None:
    parts = decided(share(1, "bob", "ann"))
    parts.parts[0].funnel.forget(200)
    assert recruits(parts, ["bob"], ["ann"]) == [[]]
    parts.add([share(2, "bob", "ann", 300)])
    parts.decide(END_MS)
    (found,) = recruits(parts, ["bob"], ["ann"])
    assert [(one.entered_ms, one.is_new) for one in found] == [(300, False)]


def test_the_erased_are_neither_recruits_nor_recruiters() -> None:
    parts = decided(share(1, "bob", "ann"), share(2, "cem", "ann"), share(3, "dee", "bob"))
    parts.parts[0].funnel.take_out(["bob"])
    assert [[one.user for one in some] for some in recruits(parts, NAMES, ["ann", "bob"])] == [["cem"], []]


def test_two_who_brought_each_other_in_are_one_level_each() -> None:
    parts = decided(share(1, "ann", "bob"), share(2, "bob", "ann", 1))
    assert [[one.user for one in some] for some in recruits(parts, NAMES, ["ann", "bob"])] == [["bob"], ["ann"]]


def test_what_is_not_decided_is_not_there() -> None:
    parts = FunnelPartitions(1, decided().parts[0].funnel.settings)
    parts.add([share(1, "bob", "ann")])
    assert recruits(parts, NAMES, ["ann"]) == [[]]


def test_between_steps_people_may_be_numbered_anew() -> None:
    parts = decided(share(1, "bob", "ann"), share(2, "cem", "dee"))
    funnel = parts.parts[0].funnel
    search = RecruitSearch(funnel, ledger_of({"bob": 1, "cem": 1}), SCOPE, ["dee"])
    for _ in search.steps():
        funnel.take_out(["ann"])
    ((total, found),) = search.found(10)
    assert (total, [one.user for one in found]) == (1, ["cem"])


def test_no_more_are_listed_than_asked_for() -> None:
    parts = decided(*(share(number, f"u{number}", "ann", number) for number in range(9)))
    search = RecruitSearch(
        parts.parts[0].funnel, ledger_of({f"u{n}": n for n in range(9)}), SCOPE, ["ann", "bob", "ann"]
    )
    list(search.steps())
    assert [(total, [one.user for one in newest]) for total, newest in search.found(2)] == [
        *[(9, ["u8", "u7"]), (0, []), (9, ["u8", "u7"])]
    ]
