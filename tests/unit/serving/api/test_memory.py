"""Queries add nothing to the state of a worker, and a worker that has counted nothing answers."""

from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import msgspec
import pytest

from stream_app.core.messages import ROLES
from stream_app.engine.engine import Engine
from stream_app.serving.api import params
from stream_app.serving.api.answers import Answers
from stream_app.serving.api.flags.flag_log import FlagLog
from stream_app.serving.api.funnel.funnel_answers import FunnelAnswers
from stream_app.serving.api.funnel.local_funnels import LocalFunnels
from stream_app.serving.api.scopes.local_scopes import LocalScopes
from stream_app.serving.api.scopes.overview import Overview
from stream_app.serving.api.scopes.throughput import Throughput
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.unanswered import UnknownUserError
from stream_app.serving.api.users.local_users import LocalUsers
from stream_app.serving.api.users.peers import Peers
from stream_app.serving.http.peer_auth import PeerAuth
from stream_app.settings import Settings
from stream_app.worker import queryable_state
from tests.unit.engine.fakes import PARTITION, post, user_of
from tests.unit.engine.parts import Parts


class Worker:
    """The answers of a worker on fakes."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        settings = parts.fake.settings
        engine = SimpleNamespace(
            context=parts.fake.context,
            exchange=parts.exchange,
            owned=parts.fake.context.owned,
            publisher=parts.publisher,
            standings_of=lambda _partition, keys: (
                parts.fake.standings.of_partition(PARTITION) if keys is None else parts.fake.standings.some(keys)
            ),
            settings=settings,
        )
        self.state = state = queryable_state(cast(Engine, engine))
        budget = TimeBudget()
        self.local = LocalUsers(state, budget)
        peers = Peers(self.local, LocalScopes(state, budget), state, PeerAuth(Settings()), budget)
        funnels = FunnelAnswers(state, LocalFunnels(state, budget), peers, budget)
        self.flags = flags = FlagLog(state.erasures.among)
        flags.is_complete.set()
        health = Mock(live=lambda: (True, {}), ready=lambda: (True, {}))
        overview = Overview(settings, state, flags, Throughput(state), health, lambda: None)
        self.answers = Answers(settings, state, overview, peers, flags, Mock(of=AsyncMock()), funnels, budget)

    async def ask_about(self, topic: str, population: str, user: str) -> dict[str, Any]:
        """Every question there is; the answers by name, as JSON."""
        found: dict[str, Any] = {
            "about": self.answers.overview.about(),
            "health": self.answers.overview.health(),
            "flag-quality": self.answers.overview.flag_quality(),
            "topics": self.answers.scopes.topics(params.TopicParams(population=population, search=topic)),
            "cuts": self.answers.scopes.cuts(params.CutParams(topic=topic, population=population)),
            "flags": self.answers.flags(params.FlagParams(topic=topic, user=user)),
        }
        for role in ROLES:
            scope: dict[str, Any] = {"topic": topic, "population": population, "role": role}
            found["curve"] = self.answers.scopes.curve(params.ScopeParams(**scope))
            found["history"] = self.answers.scopes.history(params.HistoryParams(**scope))
            found["influencers"] = await self.answers.influencers(params.InfluencerParams(**scope, search=user))
            with pytest.raises(UnknownUserError):
                await self.answers.why(user, params.ScopeParams(**scope))
        with pytest.raises(UnknownUserError):
            await self.answers.user(user)
        return {name: msgspec.json.decode(msgspec.json.encode(answer)) for name, answer in found.items()}

    def sizes(self) -> list[int]:
        """Of everything that grows with what was counted."""
        followed, ledger = self.parts.fake.context.followed, self.parts.ledger
        return [
            *(len(followed.names), len(followed._numbers), followed.generation, followed.version),
            *(len(ledger.users), len(ledger.scopes), len(ledger.rows), ledger.renumbered, len(ledger.panes)),
            *(len(self.parts.exchange.past._records), len(self.local._packed)),
        ]


async def test_asking_for_what_is_not_there_makes_nothing() -> None:
    parts = Parts()
    await parts.count([post(offset, user=user_of(PARTITION, offset), topics=["tea"]) for offset in range(30)])
    for _ in range(2):
        await parts.round()
    for partition in parts.others.statuses:
        del parts.exchange.statuses[partition]  # nobody would answer there
    worker = Worker(parts)
    before = worker.sizes()
    for number in range(20):
        for topic in ("tea", f"t{number}"):
            for population in ("all", f"p{number}"):
                await worker.ask_about(topic, population, f"nobody-{number}")
    assert worker.sizes() == before
    found = await worker.answers.user(user_of(PARTITION, 1))
    assert {place.topic for place in found.places} == {"*", "tea"}
    assert worker.sizes() == before


async def test_a_tracker_that_has_counted_nothing_has_empty_answers() -> None:
    found = await Worker(Parts()).ask_about("*", "all", "ann")
    assert (found["topics"]["topics"], found["topics"]["populations"]) == ([], [])
    assert (found["curve"]["points"], found["curve"]["cut"], found["history"]["moments"]) == ([], None, [])
    assert (found["influencers"]["total"], found["influencers"]["first_pane"]) == (0, 0)
    assert (found["health"]["event_time"], found["health"]["delay_s"]) == (None, None)
