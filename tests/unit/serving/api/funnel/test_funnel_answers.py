"""The funnel of a topic as the API says it: the partitions of all workers added up, and no more than may be said."""

import json
from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import msgspec
import pytest

from stream_app.core.changelog.status import VERSION, Status
from stream_app.core.funnel.funnel import FunnelSettings
from stream_app.core.privacy.min_group import Disclosure
from stream_app.core.queries import FunnelQueries
from stream_app.core.queries.funnels import BothStages
from stream_app.serving.api import params
from stream_app.serving.api.funnel.funnel_answers import FunnelAnswers
from stream_app.serving.api.funnel.funnel_response import TopicFunnel
from stream_app.serving.api.funnel.local_funnels import LocalFunnels
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peers import Peers
from stream_app.serving.http.peer_auth import PeerAuth
from stream_app.settings import Settings
from tests.unit.core.funnel.naive_funnel import DAY_MS, Action, naive_funnel
from tests.unit.core.funnel.partitions_of_funnel import FunnelPartitions

HOUR_MS = 3_600_000
PANE_MS = HOUR_MS // 4
DAY = 17_000
GAP_MS, HORIZON_MS = 6 * HOUR_MS, 12 * HOUR_MS
PARTITIONS = 4
COFFEE = params.FunnelParams(topic="coffee")


def events() -> list[Action]:
    """Sixty people over two days, of whom ten bring others; three of them talk about tea as well."""
    found = []
    for number in range(160):
        user, ts_ms = f"u{number * 7 % 40 + number // 90 * 20}", DAY * DAY_MS + number * 17 * 60_000
        topics = ("coffee", "tea") if number in {3, 40, 77} else ("coffee",)
        if number % 3:
            author = f"u{number % 10}"
            found.append(Action(str(number), ts_ms, user, True, author, None, f"p{number % 20}", number, topics))
        else:
            found.append(Action(str(number), ts_ms, user, topics=topics))
    return found


def counted(actions: list[Action]) -> FunnelPartitions:
    parts = FunnelPartitions(PARTITIONS, FunnelSettings(PANE_MS, GAP_MS), HORIZON_MS)
    parts.add(actions)
    parts.decide(max(action.ts_ms for action in actions) + PANE_MS)
    return parts


def answers(
    held: Mapping[int, BothStages], away: Mapping[int, str] | None = None, first_pane: int = 0
) -> FunnelAnswers:
    """Those of a worker with some partitions; the others are at an address, or nowhere."""
    status = {number: Status(VERSION, number, {}, 0, False, 0, 0, 0, 0, http=at) for number, at in (away or {}).items()}
    scopes = Mock(panes=range(first_pane, first_pane + 96), window_start_ms=first_pane * PANE_MS)
    scopes.cut.return_value = None
    queries = FunnelQueries(partitions=lambda: held, gap_s=GAP_MS / 1000, horizon_s=HORIZON_MS / 1000)
    state = Mock(partitions=sorted(held), scopes=scopes, statuses=status, funnels=queries)
    budget = TimeBudget()
    peers = Peers(Mock(), Mock(), state, PeerAuth(Settings()), budget)
    return FunnelAnswers(state, LocalFunnels(state, budget), peers, budget)


async def said(found: FunnelAnswers, asked: params.FunnelParams = COFFEE) -> TopicFunnel:
    (answer,) = await found.all([asked], {}, set())
    return answer


def plain(answer: Any) -> Any:
    return json.loads(msgspec.json.encode(answer))


async def test_partitions_add_up_to_what_the_naive_model_counts() -> None:
    actions = events()
    answer = await said(answers(dict(enumerate(counted(actions).parts))))
    stages, naive = answer.stages, naive_funnel(actions, GAP_MS)["coffee"]
    assert stages is not None
    entries = (stages.new, stages.re_entered, stages.recruited, stages.self_started, stages.unknown)
    assert (*entries, stages.participants, stages.advocates, stages.recruiters) == naive.stages()
    assert stages.entries == len(naive.entries)
    assert stages.k == round(stages.recruited / stages.participants, 4)
    first, second = stages.cohorts
    assert (first.people, first.recruits) == naive.cohort(DAY, HORIZON_MS)
    assert (second.people, second.r) == (naive.cohort(DAY + 1, HORIZON_MS)[0], None)
    assert (answer.gap_s, answer.horizon_s, answer.missing_partitions) == (GAP_MS / 1000, HORIZON_MS / 1000, [])


async def test_a_window_counts_only_what_entered_in_it() -> None:
    actions = events()
    first_pane = (DAY + 1) * DAY_MS // PANE_MS
    answer = await said(answers(dict(enumerate(counted(actions).parts)), first_pane=first_pane))
    entries = [
        one for one in naive_funnel(actions, GAP_MS)["coffee"].entries if one.event.ts_ms >= first_pane * PANE_MS
    ]
    assert answer.stages is not None
    assert (answer.stages.entries, answer.stages.new) == (len(entries), sum(one.is_new for one in entries))


async def test_a_topic_that_nobody_talked_about_has_no_stages() -> None:
    found = answers(dict(enumerate(counted(events()).parts)))
    answer = await said(found, params.FunnelParams(topic="milk"))
    assert (answer.topic, answer.stages, answer.reached) == ("milk", None, 0)
    assert found.nobody(params.FunnelParams(topic="milk")) == msgspec.structs.replace(
        answer, missing_partitions=found.nobody(COFFEE).missing_partitions
    )


async def test_partitions_whose_worker_does_not_answer_are_named() -> None:
    parts = counted(events()).parts
    found = answers(dict(enumerate(parts[:2])), {0: "", 1: "", 2: "", 3: ""})
    answer = await said(found)
    assert answer.missing_partitions == [2, 3]
    assert answer.stages is not None
    held = [part.funnel.sums(part.funnel.scopes.names[0]).participants for part in parts[:2]]
    assert answer.stages.participants == sum(held)


async def test_where_nobody_knows_how_many_were_reached_that_is_not_said() -> None:
    found = answers(dict(enumerate(counted(events()).parts)))
    (answer,) = await found.all([COFFEE], {}, {("all", "coffee")})  # type: ignore[arg-type]
    assert answer.reached is None


@pytest.mark.parametrize("topic", ["tea", "milk"])
async def test_of_too_few_people_nothing_is_said(topic: str) -> None:
    answer = await said(answers(dict(enumerate(counted(events()).parts))), params.FunnelParams(topic=topic))
    assert Disclosure(min_group=5).of(answer).stages is None  # type: ignore[union-attr]


async def test_people_are_counted_in_steps_and_ratios_are_those_of_the_steps() -> None:
    answer = await said(answers(dict(enumerate(counted(events()).parts))))
    limited = Disclosure(min_group=5).of(answer)
    assert answer.stages is not None
    assert limited is not None
    assert limited.stages is not None
    exact, coarse = plain(answer.stages), plain(limited.stages)
    cohorts, said_cohorts = exact.pop("cohorts"), coarse.pop("cohorts")
    assert coarse.pop("k") == round(coarse["recruited"] / coarse["participants"], 4)
    exact.pop("k")
    assert coarse == {name: number - number % 5 for name, number in exact.items()}
    assert [one["day"] for one in said_cohorts] == [one["day"] for one in cohorts if one["people"] >= 5]
    for one in said_cohorts:
        assert one["people"] % 5 == one["recruits"] % 5 == 0
        assert one["r"] in {None, round(one["recruits"] / one["people"], 4)}


async def test_nothing_is_kept_back_without_a_minimum() -> None:
    answer = await said(answers(dict(enumerate(counted(events()).parts))))
    for disclosure in (Disclosure(), Disclosure(individuals="off")):
        assert disclosure.of(answer) == answer
