"""Answers that count how often they are asked for, and change where a test says so: for what the page is sent."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import cast

import msgspec

from stream_app.core.queries import CutRecord
from stream_app.serving.api import params
from stream_app.serving.api.answers import Answers, CutRecords
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.push.page_updates import PageUpdates
from stream_app.serving.api.push.watcher import Watcher
from stream_app.serving.api.time_budget import TimeBudget
from tests.unit.serving.api.flags.flags_topic import nobody

WAIT_S = 20.0
PARTS = ("about", "health", "quality", "topics", "curve", "history", "influencers", "emerging", "funnel")
PHONE = params.ScopeParams(topic="phone")


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
        self.overview = self.scopes = self.funnels = self

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

    def disclosed(self, answer: _Said) -> _Said:
        return answer

    def nobody(self, _asked: params.InfluencerParams) -> _Said:
        return _Said("nobody")

    async def all_influencers(self, asked: list[params.InfluencerParams]) -> list[_Said]:
        return [_Said("influencers") for _ in asked]

    async def all(self, asked: list[params.FunnelParams], *_known: object) -> list[_Said]:
        return [_Said("funnel") for _ in asked]


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
