"""A worker that has counted a topic of many people, one of six and one of three; and everything that it says."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import AsyncMock, Mock

import msgspec
from prometheus_client import CollectorRegistry

from stream_app.core.exchange.delta_message import home_of
from stream_app.core.messages import ROLES, Role, flag_in
from stream_app.core.state.scopes import ScopeName
from stream_app.serving.api import params
from stream_app.serving.api.csv import as_csv
from stream_app.serving.api.push.page_updates import PageUpdates
from stream_app.serving.api.responses import Answer
from stream_app.serving.api.routes import ROUTES, Route
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.unanswered import UnknownUserError
from stream_app.serving.api.users.why_response import Contribution, Evidence
from stream_app.serving.funnel_feed import FunnelFeed
from stream_app.serving.metrics import Metrics, render
from stream_app.serving.redis.board_feed import BoardFeed
from stream_app.serving.redis.layout import BoardSnapshot, Layout
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, user_of
from tests.unit.engine.parts import Parts
from tests.unit.serving.api.test_memory import Worker

_HERE = [name for name in map("topic-{}-".format, range(200)) if home_of(ScopeName("all", name), 8) == PARTITION]
MANY, SIX, THREE = _HERE[:3]
PEOPLE = [user_of(PARTITION, number) for number in range(33)]
OF_SIX, OF_THREE, LEADER = PEOPLE[:6], PEOPLE[30:], PEOPLE[0]
"""Those of the topic of three have talked about nothing else."""
_SHARED = Contribution(
    ts=NOW_MS + 4711,
    kind="share",
    impressions=17,
    topics=[MANY, THREE],
    post_id="p-1",
    author_id=OF_THREE[0],
    channel="x",
)
EVIDENCE = Evidence(posts=[], shares=[_SHARED], found=7, read_records=345, is_complete=True, note="")
PUBLISHED = ("flags_topic", "cuts_topic", "standings_topic")
"""Settings of the topics that are for readers."""


class Disclosed:
    """The worker, with these settings."""

    def __init__(self, **settings: Any) -> None:
        self.parts = Parts(min_posts=1, min_impressions=1, **settings)
        self.registry = CollectorRegistry()
        chosen = self.parts.fake.settings
        self.metrics = Metrics(self.registry, chosen.source_topics, ("*", MANY, SIX, THREE))
        for name in ("cut", "cut_gone", "active_users", "marked_users", "rows", "flags"):
            setattr(self.parts.fake.meter, name, getattr(self.metrics, name))
        self.worker = Worker(self.parts)
        self.worker.answers._evidences = Mock(of=AsyncMock(return_value=EVIDENCE))
        self._offset = 0

    async def count(self, topic: str, people: list[str], each: list[int], ts_ms: int = NOW_MS) -> None:
        """Count posts: so many of each."""
        users = [user for user, posts in zip(people, each, strict=True) for _ in range(posts)]
        events = [post(self._offset + n, user=user, topics=[topic], ts_ms=ts_ms) for n, user in enumerate(users)]
        self._offset += len(events)
        await self.parts.count(events)

    async def rounds(self) -> None:
        """What has to be published is."""
        for _ in range(3):
            self.parts.fake.now_s += 3
            await self.parts.round()
        for partition in self.parts.others.statuses:
            self.parts.exchange.statuses.pop(partition, None)
        shows, version = self.parts.fake.settings.disclosure.shows, self.parts.fake.settings.version
        for offset, record in enumerate(self.parts.fake.producer.of("influence.flags")):
            if (flag := flag_in(record.value)) is not None and shows(flag, version):
                self.worker.flags.add(PARTITION, offset, flag, record.value or b"")

    async def filled(self) -> "Disclosed":
        """All three topics, and two people over θ in the one of many."""
        await self.count(MANY, PEOPLE[:30], [90, 70] + [1] * 28)
        await self.count(SIX, OF_SIX, [9, 3, 1, 1, 1, 1])
        await self.count(THREE, OF_THREE, [7, 2, 1])
        await self.rounds()
        assert self.parts.store.funnel is not None
        list(self.parts.store.funnel.funnel.decide(NOW_MS, early=True))  # its pane has not ended
        await FunnelFeed(self.worker.state, self.metrics, ("*", MANY, SIX, THREE)).refresh()
        return self

    def route(self, route: Route, asked: params.Params, user: str) -> Any:
        """The answer of a route, or an awaitable one."""
        return route.answer(self.worker.answers, asked, user)

    async def answers(self) -> list[tuple[str, Answer]]:
        """What every route says to every question, with its path."""
        said = []
        for route in ROUTES:
            for asked in _asked(route.asked):
                for user in PEOPLE if "user" in route.path else ("",):
                    has_id = "id" in asked.__struct_fields__
                    try:
                        found = self.route(route, msgspec.structs.replace(asked, id=user) if has_id else asked, user)
                        answer = found if isinstance(found, Answer) else await found
                    except UnknownUserError:
                        continue
                    said.append((route.path, self.worker.answers.disclosed(answer)))
        return said

    async def texts(self) -> dict[str, str]:
        """All that is said, by where, as text."""
        answers = await self.answers()
        said = {f"route {path} {place}": _json(answer) for place, (path, answer) in enumerate(answers)}
        csv = {route.path: route.csv for route in ROUTES if route.csv}
        for place, (path, answer) in enumerate(answers):
            if path in csv:
                said[f"csv {path} {place}"] = as_csv(getattr(answer, csv[path].field), csv[path].kind)
        said |= await self._pushed()
        for name in PUBLISHED:
            records = self.parts.fake.producer.of(getattr(self.parts.fake.settings, name))
            said[f"topic {name}"] = "\n".join(f"{record.key!r} {record.value!r}" for record in records)
        said["redis"] = "\n".join(map(repr, self.redis_commands()))
        said["metrics"] = render(self.registry)[0].decode()
        return said

    def flags(self) -> list[Any]:
        """The records of the flags topic."""
        return self.parts.fake.producer.of("influence.flags")

    async def _pushed(self) -> dict[str, str]:
        answers = self.worker.answers
        updates, said = PageUpdates(answers, Mock(last=lambda *_: [], added=0), TimeBudget(), lambda: 0), {}
        for asked in _asked(params.ScopeParams):
            assert isinstance(asked, params.ScopeParams)
            with updates.watching(asked) as watcher:
                await updates._refresh(list(updates._selections.items()))
                said[f"page {asked}"] = (await watcher.take(0.01)).decode()
        return said

    def redis_commands(self) -> list[Any]:
        """What a full snapshot writes."""
        chosen, state = self.parts.fake.settings, self.worker.state
        feed = BoardFeed(chosen, state, self.metrics, self.parts.publisher.shown)
        snapshot: BoardSnapshot = feed.take(full=True)
        layout = Layout(prefix="influence", top=100, expiry_ms=1000, partitions=8)
        return [command for group in layout.snapshot_groups(snapshot, {}) for command in group]


def _asked(kind: type[params.Params]) -> Iterator[params.Params]:
    """Every question of a kind: about all topics and each of the three, in both roles."""
    if issubclass(kind, params.FunnelParams) and not issubclass(kind, params.ScopeParams):
        yield from (kind(topic=topic) for topic in ("*", MANY, SIX, THREE))
        return
    if "role" not in kind.__struct_fields__ or kind is params.CutParams:
        yield params.UserParams(id="x") if kind is params.UserParams else kind()
        return
    if issubclass(kind, params.FlagFilter):
        yield kind()
        return
    for topic in ("*", MANY, SIX, THREE):
        for role in ROLES:
            yield kind(topic=topic, population="all", role=Role(role))


def _json(answer: Answer) -> str:
    return msgspec.json.encode(answer).decode()
