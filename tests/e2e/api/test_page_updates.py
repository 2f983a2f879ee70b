"""Updates of the page: every answer at once, then the changes; computed once for any number of pages."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest

from stream_app.core.queries import CutRecord
from stream_app.serving.api import params
from stream_app.serving.api.answers import Answers, CutRecords
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.push import page_updates
from stream_app.serving.api.push.page_updates import PageUpdates, Watcher
from stream_app.serving.api.time_budget import TimeBudget
from tests.board_samples import a_flag
from tests.e2e.api.asking import Event, asked, streaming
from tests.e2e.api.stage import Stage
from tests.unit.serving.api.flags.flags_topic import nobody

WAIT_S, ROUNDS_S = 20.0, 20.0 + 2 * page_updates.LONGEST_PAUSE_S
PARTS = ("about", "health", "quality", "topics", "curve", "history", "influencers")
PHONE = params.ScopeParams(topic="phone")
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
    assert tuple(first[30:37]) == PARTS
    more: dict[str, dict[str, Any]] = {
        "topics": {"limit": 24, "population": query.get("population", "all")},
        "curve": query,
        "history": query,
        "influencers": {**query, "order": "emerging", "limit": 50},
    }
    for name in PARTS:
        path = {"history": "/cuts/history", "quality": "/flag-quality"}.get(name, f"/{name}")
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


class _Said(msgspec.Struct):
    """An answer."""

    text: str


class Counting:
    """Answers that count how often they are asked for, and change where the test says so."""

    def __init__(self) -> None:
        self.curves: list[params.ScopeParams] = []
        self.topic_lists: list[str] = []
        self.curve_says = "curve"
        self.health_says = "health"
        self.found = CutRecords({}, {})
        self.fails = False
        self.takes_s = 0.0
        self.erasures = 0
        self.budget = TimeBudget()
        self.overview = self.scopes = self

    def about(self) -> _Said:
        return _Said("about")

    def health(self) -> _Said:
        return _Said(self.health_says)

    def flag_quality(self) -> _Said:
        return _Said("quality")

    def topics(self, asked: params.TopicParams) -> _Said:
        self.topic_lists.append(asked.population)
        return _Said("topics")

    async def records(self, _asked: Iterable[params.ScopeParams]) -> CutRecords:
        return self.found

    def curve(self, asked: params.ScopeParams, _record: CutRecord | None) -> _Said:
        self.curves.append(asked)
        self.budget.seconds += self.takes_s
        if self.fails:
            raise RuntimeError("as the test wants")
        return _Said(self.curve_says)

    def history(self, _asked: params.ScopeParams, _record: CutRecord | None) -> _Said:
        return _Said("history")

    def exists(self, asked: params.ScopeParams) -> bool:
        return not asked.topic.startswith("invented")

    def nobody(self, _asked: params.InfluencerParams) -> _Said:
        return _Said("nobody")

    async def all_influencers(self, asked: list[params.InfluencerParams]) -> list[_Said]:
        return [_Said("influencers") for _ in asked]


@asynccontextmanager
async def running(counting: Counting, log: FlagLog | None = None) -> AsyncIterator[PageUpdates]:
    shown = PageUpdates(cast(Answers, counting), log or FlagLog(nobody), counting.budget, lambda: counting.erasures)
    task = asyncio.create_task(shown.run())
    try:
        yield shown
    finally:
        task.cancel()


async def names(watcher: Watcher) -> list[str]:
    """The names of what has changed, once something has."""
    lines = (await watcher.take(WAIT_S)).decode().split("\n")
    return [line.removeprefix("event: ") for line in lines if line.startswith("event")]


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(page_updates, "REFRESH_S", 0.05)
    monkeypatch.setattr(page_updates, "FEED_S", 0.05)
    monkeypatch.setattr(page_updates, "BUSY_FRACTION", 1.0)
    return Counting()


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


async def test_flags_are_handed_on_once_however_soon_after_them_somebody_comes(counting: Counting) -> None:
    log = FlagLog(nobody)
    log.begin({0: 0}, is_everything=True)
    sent: dict[str, bytes] = {"before": b"", "between": b""}
    async with running(counting, log) as shown:
        with shown.watching(PHONE) as before:
            await before.take(WAIT_S)
            for number in range(3):
                log.add(0, number, a_flag(flag_id=f"f{number}"), b"{}")
            with shown.watching(PHONE) as between:
                log.add(0, 3, a_flag(flag_id="f3"), b"{}")
                for name, watcher in (("before", before), ("between", between)):
                    while b"id: 4" not in sent[name]:
                        sent[name] += await watcher.take(WAIT_S)
    for found in sent.values():
        assert re.findall(rb"^id: (\d)", found, re.MULTILINE) == [b"1", b"2", b"3", b"4"]


async def test_in_a_storm_of_flags_only_the_last_are_handed_on(counting: Counting) -> None:
    log = FlagLog(nobody)
    log.begin({0: 0}, is_everything=True)
    async with running(counting, log) as shown:
        with shown.watching(PHONE) as watcher:
            await watcher.take(WAIT_S)
            for number in range(500):
                log.add(0, number, a_flag(flag_id=f"f{number}"), b"{}")
            found = b""
            while b"id: 500" not in found:
                found += await watcher.take(WAIT_S)
    assert found.count(b"event: flag") == page_updates.FLAGS


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
