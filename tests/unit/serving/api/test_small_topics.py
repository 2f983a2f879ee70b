"""Topics that too few users talk about to be followed by all workers: they are shown from where they are at home."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from stream_app.core.exchange.delta_message import home_of
from stream_app.core.messages import Role
from stream_app.core.queries import CutRecord, ScopeName
from stream_app.engine.rounds import cut_publisher
from stream_app.serving.api import params
from stream_app.serving.api.unanswered import UnavailableError
from stream_app.serving.api.users import peer_answers
from stream_app.serving.api.users.peer_answers import WrongAnswerError, check_scopes
from stream_app.serving.api.users.peer_protocol import ScopeFound, ScopeQuery
from tests.unit.engine.fakes import PARTITION, post, user_of
from tests.unit.engine.parts import Parts
from tests.unit.serving.api.test_memory import Worker

SMALL = next(name for name in map("t{}".format, range(100)) if home_of(ScopeName("all", name), 8) == PARTITION)
ASKED = params.ScopeParams(topic=SMALL, population="all", role=Role.MAVEN)


async def counted() -> Worker:
    """A worker that has counted 6, 5, 4, 3, 2 and 1 posts of six users, and follows no topic of so few."""
    with patch.object(cut_publisher, "FEW_SCOPES", 0):
        parts = Parts()
        users = [user for user in range(6) for _ in range(6 - user)]
        await parts.count(
            [post(place, user=user_of(PARTITION, user), topics=[SMALL]) for place, user in enumerate(users)]
        )
        for _ in range(3):
            await parts.round()
    for partition in parts.others.statuses:
        del parts.exchange.statuses[partition]
    return Worker(parts)


async def test_a_small_topic_has_its_cut_and_curve_although_nobody_follows_it() -> None:
    worker = await counted()
    assert not worker.answers.scopes.exists(ASKED)
    assert worker.answers.scopes.cut(ASKED) is None
    curve = await worker.answers.curve(ASKED)
    assert curve.cut is not None
    assert (curve.cut.users, curve.cut.total, curve.cut.k, curve.cut.threshold) == (6, 21, 4, 3)
    assert [x for x, _ in curve.points] == [round(n / 6, 6) for n in range(7)]
    assert (await worker.answers.history(ASKED)).moments[-1].k == 4


async def test_ranks_in_a_small_topic_are_exact() -> None:
    worker = await counted()
    asked = params.InfluencerParams(topic=SMALL, population="all", role=Role.MAVEN, standing=("none",))
    found = await worker.answers.influencers(asked)
    assert found.threshold == 3
    assert [(one.value, one.rank) for one in found.influencers] == [(6, 1), (5, 2), (4, 3), (3, 4), (2, 5), (1, 6)]
    assert [one.share for one in found.influencers] == [value / 21 for value in (6, 5, 4, 3, 2, 1)]
    why = await worker.answers.why(user_of(PARTITION, 2), ASKED)
    assert (why.place.now.rank, why.place.threshold, why.cut is not None) == (3, 3, True)
    places = (await worker.answers.user(user_of(PARTITION, 4))).places
    (place,) = (place for place in places if place.topic == SMALL and place.role is Role.MAVEN)
    assert (place.now.rank, place.threshold, place.now.share, place.now.eta_s) == (5, 3, 2 / 21, None)


async def test_the_cuts_of_a_small_topic_are_there_by_its_name() -> None:
    worker = await counted()
    asked = params.CutParams(topic=SMALL, population="all")
    assert worker.answers.scopes.cuts(asked).cuts == []
    assert {cut.role: cut.k for cut in (await worker.answers.cuts(asked)).cuts}[Role.MAVEN] == 4
    assert (await worker.answers.cuts(params.CutParams(topic="nothing", population="all"))).cuts == []


async def test_where_the_home_of_a_small_topic_is_away_nobody_says_that_nobody_has_talked_about_it() -> None:
    worker = await counted()
    context = worker.parts.fake.context
    with patch.object(context.homes, "complete", dict), patch.object(context.homes, "is_complete", return_value=False):
        for ask in (worker.answers.curve, worker.answers.history):
            with pytest.raises(UnavailableError, match=f"partition {PARTITION}"):
                await ask(ASKED)
        with pytest.raises(UnavailableError):
            await worker.answers.cuts(params.CutParams(topic=SMALL, population="all"))
        asked = params.InfluencerParams(topic=SMALL, population="all", role=Role.MAVEN)
        found = await worker.answers.influencers(asked)
        assert (found.threshold, found.missing_partitions, len(found.influencers)) == (0, [PARTITION], 6)


async def test_the_cut_of_a_topic_that_all_follow_is_there_although_its_home_is_away() -> None:
    worker = await counted()
    context = worker.parts.fake.context
    ((scope, record),) = (await worker.answers.records([ASKED])).known.items()
    context.followed.take(scope, record)
    with patch.object(context.homes, "is_complete", return_value=False):
        curve = await worker.answers.curve(ASKED)
    assert curve.cut is not None
    assert curve.cut.k == 4


async def test_what_no_home_has_is_not_believed() -> None:
    worker = await counted()
    (scope,) = (await worker.answers.records([ASKED])).known.items()
    query = ScopeQuery(topic=SMALL, population="all", partitions=[PARTITION], values=[[3, 2], []], with_curve=True)

    def refusal(
        record: CutRecord | None,
        partitions: list[int],
        count: int = 1,
        ranks: Sequence[list[int]] = ([4, 5], []),
    ) -> str:
        answer = msgspec.json.encode([ScopeFound(record, list(ranks), partitions)] * count)
        try:
            check_scopes([query], peer_answers.DECODE_SCOPES(answer))
        except WrongAnswerError as error:
            return str(error)
        return ""

    good: Any = scope[1]
    assert refusal(good, [PARTITION]) == refusal(None, []) == ""
    assert "answers to 1 queries" in refusal(good, [PARTITION], count=2)
    assert "not asked about" in refusal(good, [PARTITION + 1])
    assert "other values" in refusal(good, [PARTITION], ranks=([4], [5]))
    assert "nobody has" in refusal(good, [PARTITION], ranks=([4, 0], []))
    wrong: dict[str, Any]
    for wrong in ({"users": (-1, 0)}, {"points": ([(1, 1, 1), (2, 2, 2)], [])}, {"version": 99}):
        assert "no scope has" in refusal(msgspec.structs.replace(good, **wrong), [PARTITION])
