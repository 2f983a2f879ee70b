"""How many topics may be looked at: those that nobody has talked about cost nothing, and keep nobody else out."""

from contextlib import ExitStack
from typing import cast

import pytest

from stream_app.core.messages import Role
from stream_app.core.queries import CutRecord, ScopeName
from stream_app.serving.api import params
from stream_app.serving.api.answers import Answers, CutRecords
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.push import page_updates
from stream_app.serving.api.push.page_updates import PageUpdates, TooManySelectionsError, UnknownScopeError
from stream_app.serving.api.time_budget import TimeBudget
from tests.e2e.api.page_answers import PHONE, WAIT_S, Counting, names, running
from tests.unit.serving.api.flags.flags_topic import nobody

SMALL = ScopeName("all", "invented-small")


async def test_invented_topics_cost_nothing_and_keep_nobody_out() -> None:
    counting = Counting()
    async with running(counting) as shown:
        with ExitStack() as open_pages:
            for number in range(page_updates.MOST_UNKNOWN):
                open_pages.enter_context(shown.watching(params.ScopeParams(topic=f"invented-{number}")))
            with pytest.raises(UnknownScopeError), shown.watching(params.ScopeParams(topic="invented-more")):
                pass
            for number in range(page_updates.MOST_SELECTIONS):
                watcher = open_pages.enter_context(shown.watching(params.ScopeParams(topic=f"t{number}")))
            assert {*await names(watcher)} >= {"curve", "influencers"}


async def test_a_page_of_a_topic_that_nobody_has_talked_about_yet_waits_for_it() -> None:
    counting = Counting()
    async with running(counting) as shown:
        with shown.watching(params.ScopeParams(topic="invented")) as watcher:
            assert b"nobody" in await watcher.take(WAIT_S)
            counting.exists = lambda asked: True  # type: ignore[method-assign]  # noqa: ARG005
            assert b'{"text":"influencers"}' in await watcher.take(WAIT_S)


async def test_a_small_topic_that_is_shown_is_not_one_that_nobody_has_talked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_updates, "MOST_UNKNOWN", 1)
    counting = Counting()
    counting.found = CutRecords({SMALL: cast(CutRecord, None)}, {})
    async with running(counting) as shown:
        with shown.watching(params.ScopeParams(topic=SMALL.topic)) as watcher:
            assert {*await names(watcher)} >= {"curve", "influencers"}
            with shown.watching(params.ScopeParams(topic="invented-more")):
                pass


async def test_small_topics_are_no_way_past_the_number_of_selections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_updates, "MOST_SELECTIONS", 3)
    counting = Counting()
    async with running(counting) as shown:
        with ExitStack() as open_pages:
            for number in range(3):
                open_pages.enter_context(shown.watching(params.ScopeParams(topic=f"invented-{number}")))
            for held in shown._selections.values():
                held.is_counted = True
            with pytest.raises(TooManySelectionsError), shown.watching(params.ScopeParams(topic="invented-more")):
                pass


async def test_what_a_page_shows_stays_while_nobody_can_say_the_curve_of_its_topic() -> None:
    counting = Counting()
    counting.found = CutRecords({SMALL: cast(CutRecord, None)}, {})
    async with running(counting) as shown:
        with shown.watching(params.ScopeParams(topic=SMALL.topic)) as watcher:
            assert {*await names(watcher)} >= {"curve", "influencers"}
            (held,) = shown._selections.values()
            counting.found, counting.curve_says = CutRecords({}, {SMALL: 3}), "none"
            assert held.is_counted
            before, asked = held.parts, len(counting.curves)
            assert before["curve"] == b'{"text":"curve"}'
            counting.health_says = "not ready"
            assert await names(watcher) == ["health"]
            assert held.parts["curve"] == before["curve"]
            assert len(counting.curves) == asked, "a curve without users was made up"
            assert held.is_counted, "it has users, only nobody says so now"


async def test_too_many_selections_are_refused_and_known_ones_are_not() -> None:
    shown = PageUpdates(cast(Answers, Counting()), FlagLog(nobody), TimeBudget(), lambda: 0)
    looking = [shown.watching(params.ScopeParams(topic=f"t{number}")) for number in range(page_updates.MOST_SELECTIONS)]
    for one in looking:
        one.__enter__()
    with pytest.raises(TooManySelectionsError), shown.watching(PHONE):
        pass
    with shown.watching(params.ScopeParams(topic="t0", role=Role.CONNECTOR)):
        pass
    for role in Role:
        with shown.watching(params.ScopeParams(role=role)):
            pass
    for one in looking:
        one.__exit__(None, None, None)
    with shown.watching(PHONE):
        assert [*shown._selections] == [PHONE]
