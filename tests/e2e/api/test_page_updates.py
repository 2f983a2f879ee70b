"""Updates of the page: every answer at once, then the changes; computed once for any number of pages."""

import asyncio
from typing import Any, cast

import pytest

from stream_app.serving.api import params
from stream_app.serving.api.answers import Answers
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.push import page_updates
from stream_app.serving.api.push.page_updates import PageUpdates
from stream_app.serving.api.time_budget import TimeBudget
from tests.e2e.api.asking import Event, asked, streaming
from tests.e2e.api.page_answers import PARTS, PHONE, WAIT_S, Counting, names, running
from tests.e2e.api.stage import Stage
from tests.unit.serving.api.flags.flags_topic import nobody

ROUNDS_S = WAIT_S + 2 * page_updates.LONGEST_PAUSE_S
COFFEE = params.ScopeParams(topic="coffee")


def of_name(events: list[Event], name: str) -> list[Event]:
    return [event for event in events if event.name == name]


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    "query", [{}, {"topic": "phone", "role": "maven"}, {"topic": "nothing", "population": "nobody"}]
)
def test_the_page_is_sent_every_answer_and_the_last_flags(where: str, query: dict[str, Any]) -> None:
    with streaming(where, "/live", **query) as stream:
        events = stream.until(lambda events: {event.name for event in events} >= {*PARTS}, WAIT_S)
    first = [event.name for event in events]
    assert first[:30] == ["flag"] * 30
    assert tuple(first[30 : 30 + len(PARTS)]) == PARTS
    more: dict[str, dict[str, Any]] = {
        "topics": {"limit": 24, "population": query.get("population", "all")},
        "curve": query,
        "history": query,
        "influencers": {**query, "limit": 50},
        "emerging": {**query, "standing": "emerging", "order": "emerging", "limit": 30},
        "funnel": {name: value for name, value in query.items() if name != "role"},
    }
    for name in PARTS:
        paths = {"history": "/cuts/history", "emerging": "/influencers", "quality": "/flag-quality"}
        path = paths.get(name, f"/{name}")
        (event,) = of_name(events, name)
        assert without_clock(event.json()) == without_clock(asked(where, path, **more.get(name, {})))
    there = asked(where, "/flags", limit=500)
    assert events[29].id == there["position"]
    assert all(event.json() in there["flags"] for event in of_name(events, "flag"))
    with streaming(where, "/flags/stream", {"Last-Event-ID": events[10].id}) as rest:
        assert [event.data for event in rest.flags(19)] == [event.data for event in events[11:30]]


@pytest.mark.timeout(150)
def test_only_what_has_changed_is_sent_again(stage: Stage) -> None:
    with streaming(stage.addresses[0], "/live") as stream:
        first = len(stream.until(lambda events: {event.name for event in events} >= {*PARTS}, WAIT_S))
        events = stream.until(lambda events: len(of_name(events, "health")) >= 3, ROUNDS_S)
    assert {event.name for event in events[first:]} - {"ping"} == {"health"}


def without_clock(answer: Any) -> Any:
    """What does not change with the time at which it is asked."""
    if not isinstance(answer, dict):
        return [without_clock(one) for one in answer] if isinstance(answer, list) else answer
    clocks = {"computed_at", "delay_s", "events_per_s"}
    return {name: without_clock(value) for name, value in answer.items() if name not in clocks}


async def test_a_selection_that_two_pages_watch_is_computed_once(counting: Counting) -> None:
    async with running(counting) as shown:
        with shown.watching(PHONE) as first, shown.watching(params.ScopeParams(topic="phone")) as second:
            assert await names(first) == list(PARTS)
            assert await names(second) == list(PARTS)
            computed = len(counting.curves)
            counting.curve_says = "changed"
            assert await names(first) == ["curve"]
            assert await names(second) == ["curve"]
            assert len(counting.curves) - computed <= 2
            assert {*counting.curves} == {PHONE}


async def test_a_page_that_opens_later_is_sent_the_known_answers_at_once(counting: Counting) -> None:
    async with running(counting) as shown:
        with shown.watching(PHONE) as first:
            await names(first)
            with shown.watching(PHONE) as second:
                assert (await second.take(0)).count(b"event: ") == len(PARTS)


async def test_the_time_spent_on_a_new_page_delays_the_next_round(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening pages takes from the time that all of them together get."""
    monkeypatch.setattr(page_updates, "BUSY_FRACTION", 0.01)
    async with running(counting) as shown:
        with shown.watching(PHONE) as watcher:
            await names(watcher)
            counting.takes_s = 1.0
            with shown.watching(COFFEE) as newcomer:
                assert await names(newcomer) == list(PARTS)
            counting.curve_says = "changed"
            assert await watcher.take(10 * page_updates.REFRESH_S) == b""


async def test_an_erased_user_is_not_shown_until_the_next_round(
    counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_updates, "BUSY_FRACTION", 0.01)
    async with running(counting) as shown:
        counting.takes_s = 1.0
        with shown.watching(PHONE) as watcher:
            await names(watcher)  # and now there is a pause of half a minute
            counting.curve_says = "without them"
            counting.erasures = 1
            with shown.watching(PHONE) as newcomer:
                assert b"without them" in await newcomer.take(WAIT_S)
                assert b"without them" in await watcher.take(WAIT_S)


async def test_a_selection_that_no_page_watches_is_not_computed(counting: Counting) -> None:
    async with running(counting) as shown:
        with shown.watching(PHONE) as first, shown.watching(COFFEE) as stays:
            await names(first)
            await names(stays)
        assert shown._selections == {}
        with shown.watching(COFFEE) as stays:
            await names(stays)
            counting.curves.clear()
            counting.curve_says = "changed"
            await names(stays)
            assert {*counting.curves} == {COFFEE}


async def test_topics_are_listed_once_for_everybody_in_a_population(counting: Counting) -> None:
    async with running(counting) as shown:
        with shown.watching(PHONE) as first, shown.watching(COFFEE) as second:
            await names(first)
            await names(second)
            counting.topic_lists.clear()
            counting.curves.clear()
            counting.curve_says = "changed"
            await names(first)
            await names(second)
            assert len(counting.topic_lists) <= len(counting.curves) / 2 + 1


async def test_a_slow_reader_is_sent_only_the_newest_of_each(counting: Counting) -> None:
    async with running(counting) as shown:
        with shown.watching(PHONE) as slow, shown.watching(PHONE) as quick:
            for number in range(5):
                counting.curve_says = f"curve {number}"
                await names(quick)
            assert (await slow.take(0)).count(b"event: curve\n") == 1


async def test_an_answer_that_fails_leaves_no_task_running(counting: Counting) -> None:
    counting.fails = True
    shown = PageUpdates(cast(Answers, counting), FlagLog(nobody), TimeBudget(), lambda: 0)
    with shown.watching(PHONE), pytest.raises(ExceptionGroup):
        await asyncio.wait_for(shown.run(), WAIT_S)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("steps", range(5))
async def test_a_refresh_ends_when_it_is_cancelled_even_while_a_page_opens(counting: Counting, steps: int) -> None:
    """asyncio.wait_for of Python 3.11 forgets that it was cancelled when what it waits for comes at the same time."""
    shown = PageUpdates(cast(Answers, counting), FlagLog(nobody), TimeBudget(), lambda: 0)
    task = asyncio.create_task(shown._refresh_all())
    with shown.watching(PHONE) as first:
        await names(first)
        with shown.watching(COFFEE):
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, WAIT_S)
