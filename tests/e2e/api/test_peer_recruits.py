"""Recruits that other workers know: asked of each, checked, and put together."""

import json
from typing import Any
from unittest.mock import Mock

import pytest

from stream_app.core.privacy.min_group import UNLIMITED
from stream_app.serving.api.funnel.local_recruits import LocalRecruits
from stream_app.serving.api.funnel.recruit_answers import RecruitAnswers
from stream_app.serving.api.funnel.recruits_response import Recruits
from stream_app.serving.api.params import RecruitsOfParams
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peers import Peers
from stream_app.serving.http.peer_auth import PeerAuth
from stream_app.settings import Settings
from tests.e2e.api.test_peer_answers import changed, saying
from tests.e2e.api.test_peers import Answer, other, status

FOUND = [{"by_user": [[3, [["bob", 1_000, True, 12]]]], "partitions": [1]}]
NOBODY = [{"by_user": [[0, []]], "partitions": [1]}]


async def asked_of(answer: Answer) -> Recruits:
    """What a worker without partitions says when another one answers so."""
    async with other(answer) as address:
        state = Mock(partitions=[], statuses={1: status(1, address)})
        state.scopes.disclosure = UNLIMITED
        state.erasures.among.return_value = set()
        budget = TimeBudget()
        peers = Peers(Mock(), Mock(), state, PeerAuth(Settings()), budget)
        answers = RecruitAnswers(state, LocalRecruits(state, budget), peers)
        found = await answers.of("ann", RecruitsOfParams(topic="tea", limit=2))
        await peers.close()
    return found


async def test_who_is_at_another_worker_is_there() -> None:
    found = await asked_of(saying("200 OK", body=json.dumps(NOBODY).encode()))
    assert (found.recruits, found.total, found.missing_partitions) == ([], 0, [])


async def test_where_it_answers_the_first_question_only_that_is_said() -> None:
    found = await asked_of(saying("200 OK", body=json.dumps(FOUND).encode()))
    assert found.recruits is not None
    assert [(one.user_id, one.entered, one.is_new, one.impressions) for one in found.recruits] == [
        ("bob", 1_000, True, 12)
    ]
    assert (found.total, found.missing_partitions) == (3, [1])  # more than none were sent to the second one


@pytest.mark.parametrize(
    "answer",
    [
        [],
        FOUND * 2,
        changed(FOUND, 0, "partitions", to=[2]),
        changed(FOUND, 0, "by_user", to=[]),
        changed(FOUND, 0, "by_user", 0, 0, to=0),
        changed(FOUND, 0, "by_user", 0, 0, to=2**63),
        changed(FOUND, 0, "by_user", 0, 1, to=[["bob", 1, True, 1]] * 3),
        changed(FOUND, 0, "by_user", 0, 1, 0, 0, to=""),
        changed(FOUND, 0, "by_user", 0, 1, 0, 0, to="x" * 1025),
        changed(FOUND, 0, "by_user", 0, 1, 0, 1, to=2**60),
        changed(FOUND, 0, "by_user", 0, 1, 0, 3, to=-1),
    ],
)
async def test_what_no_worker_knows_is_left_out(answer: Any) -> None:
    found = await asked_of(saying("200 OK", body=json.dumps(answer).encode()))
    assert (found.recruits, found.total, found.missing_partitions) == ([], 0, [1])
