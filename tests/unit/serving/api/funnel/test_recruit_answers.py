"""Whom a user brought in as the API says it: people of all workers, how many each brought in turn, and its bounds."""

from unittest.mock import Mock

import pytest

from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.privacy.looks import persons_of
from stream_app.core.privacy.min_group import UNLIMITED, Disclosure
from stream_app.core.queries import RecruitSearch, ScopeName
from stream_app.serving.api.funnel.local_recruits import LocalRecruits
from stream_app.serving.api.funnel.recruit_answers import RecruitAnswers
from stream_app.serving.api.funnel.recruits_response import Recruits
from stream_app.serving.api.params import RecruitsOfParams
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peer_protocol import RecruitQuery
from stream_app.serving.api.users.peers import Peers
from stream_app.serving.http.peer_auth import PeerAuth
from stream_app.settings import Settings
from tests.unit.core.funnel.naive_funnel import Action
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions
from tests.unit.core.queries.test_recruits import ledger_of

PANE_MS, PARTITIONS = 10, 4
NAMES = ["ann", *(f"u{number}" for number in range(12))]


def counted() -> FunnelPartitions:
    """Ann brings twelve; each of these brings Ann, and the next one, some time later."""
    parts = FunnelPartitions(PARTITIONS, FunnelSettings(PANE_MS, gap_ms=20))
    times = {name: 100 * number for number, name in enumerate(NAMES)}
    parts.add(
        [
            *(share(f"a{name}", name, "ann", ts_ms) for name, ts_ms in times.items() if name != "ann"),
            *(share(f"b{name}", "ann", name, ts_ms + 50) for name, ts_ms in times.items() if name != "ann"),
            share("back", "u3", "u2", 5000),
        ]
    )
    parts.decide(10_000)
    return parts


def share(event_id: str, user: str, author: str, ts_ms: int) -> Action:
    return Action(event_id, ts_ms, user, True, author, None, "p", 1, ("x",))


def answers(
    parts: FunnelPartitions,
    away: tuple[int, ...] = (),
    erased: tuple[str, ...] = (),
    disclosure: Disclosure = UNLIMITED,
) -> RecruitAnswers:
    """Those of a worker that has all partitions but those that are away."""

    def search(partition: int, scope: ScopeName, recruiters: list[str]) -> RecruitSearch:
        people = {name: 7 for name in NAMES if parts.home(name) == partition}
        return RecruitSearch(parts.parts[partition].funnel, ledger_of(people), scope, recruiters)

    held = [number for number in range(PARTITIONS) if number not in away]
    state = Mock(partitions=held, statuses={number: Mock(http="") for number in range(PARTITIONS)}, recruits=search)
    state.scopes.disclosure = disclosure
    state.erasures.among = lambda names: {*names} & {*erased}
    budget = TimeBudget()
    peers = Peers(Mock(), Mock(), state, PeerAuth(Settings()), budget)
    return RecruitAnswers(state, LocalRecruits(state, budget), peers)


async def said(found: RecruitAnswers, user: str = "ann", limit: int = 50) -> Recruits:
    return await found.of(user, RecruitsOfParams(topic="x", limit=limit))


def named(answer: Recruits) -> list[str]:
    return [one.user_id for one in answer.recruits or ()]


async def test_recruits_of_all_partitions_are_there_the_newest_first_with_how_many_each_brought() -> None:
    answer = await said(answers(counted()))
    assert named(answer) == [f"u{number}" for number in reversed(range(12))]
    assert (answer.total, answer.missing_partitions) == (12, [])
    assert answer.recruits is not None
    assert [one.brought_in for one in answer.recruits] == [2 if one.user_id == "u2" else 1 for one in answer.recruits]
    assert {(one.is_new, one.impressions) for one in answer.recruits} == {(True, 7)}


async def test_who_was_brought_back_is_not_new_and_a_circle_is_one_level_at_a_time() -> None:
    answer = await said(answers(counted()), "u2")
    assert answer.recruits is not None
    assert [(one.user_id, one.is_new, one.brought_in) for one in answer.recruits] == [
        ("u3", False, 1),
        ("ann", False, 12),
    ]


async def test_no_more_are_listed_than_asked_for_and_all_are_counted() -> None:
    answer = await said(answers(counted()), limit=3)
    assert (named(answer), answer.total) == (["u11", "u10", "u9"], 12)


async def test_partitions_whose_worker_does_not_answer_are_named() -> None:
    parts = counted()
    answer = await said(answers(parts, away=(1, 2)))
    assert answer.missing_partitions == [1, 2]
    assert named(answer) == [f"u{n}" for n in reversed(range(12)) if parts.home(f"u{n}") not in {1, 2}]


async def test_the_erased_are_not_named_before_their_partition_has_let_go_of_them() -> None:
    answer = await said(answers(counted(), erased=("u5", "u6")))
    assert (answer.total, {"u5", "u6"} & {*named(answer)}) == (10, set())


async def test_who_brought_nobody_has_no_recruits() -> None:
    assert named(await said(answers(counted()), "zoe")) == []


@pytest.mark.parametrize("disclosure", [Disclosure(min_group=5), Disclosure(individuals="flagged")])
async def test_where_less_may_be_said_nobody_is_named_nor_counted(disclosure: Disclosure) -> None:
    answer = await said(answers(counted(), disclosure=disclosure))
    assert (answer.recruits, answer.total) == (None, None)
    whole = await said(answers(counted()))
    assert disclosure.of(whole) == answer  # a second time, where somebody forgets the first


async def test_everybody_in_it_is_in_the_record_of_the_look() -> None:
    assert persons_of(await said(answers(counted()), limit=2)) == ["ann", "u11", "u10"]


async def test_several_users_are_asked_about_at_once() -> None:
    found = answers(counted())
    query = RecruitQuery(users=["ann", "u2", "zoe"], topic="x", population="all", most=1)
    (one,) = await found._local.recruits([query])
    assert [(theirs.total, [entry.user for entry in theirs.newest]) for theirs in one.by_user] == [
        *[(12, ["u11"]), (2, ["u3"]), (0, [])]
    ]
