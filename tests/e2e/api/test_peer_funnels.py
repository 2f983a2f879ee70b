"""Funnels that other workers count: asked of each, checked, and added up."""

import json
from typing import Any
from unittest.mock import Mock

import pytest

from stream_app.core.queries import FunnelQueries
from stream_app.serving.api import params
from stream_app.serving.api.funnel.funnel_answers import FunnelAnswers
from stream_app.serving.api.funnel.funnel_response import TopicFunnel
from stream_app.serving.api.funnel.local_funnels import LocalFunnels
from stream_app.serving.api.time_budget import TimeBudget
from stream_app.serving.api.users.peers import Peers
from stream_app.serving.http.peer_auth import PeerAuth
from stream_app.settings import Settings
from tests.e2e.api.test_peer_answers import changed, saying
from tests.e2e.api.test_peers import Answer, other, status

FUNNEL = [{"funnel": [[3, 1, 2, 1, 1, 3, 2, 1], {"17000": [3, 2]}, 17_001], "partitions": [1]}]


async def asked_of(answer: Answer) -> TopicFunnel:
    """What a worker without partitions says when another one answers so."""
    async with other(answer) as address:
        scopes = Mock(panes=range(96), window_start_ms=0)
        scopes.cut.return_value = None
        funnels = FunnelQueries(partitions=dict, gap_s=604_800.0, horizon_s=86_400.0)
        state = Mock(partitions=[], scopes=scopes, statuses={1: status(1, address)}, funnels=funnels)
        budget = TimeBudget()
        peers = Peers(Mock(), Mock(), state, PeerAuth(Settings()), budget)
        answers = FunnelAnswers(state, LocalFunnels(state, budget), peers, budget)
        (found,) = await answers.all([params.FunnelParams(topic="tea")], {}, set())
        await peers.close()
    return found


async def test_what_another_worker_counted_is_said() -> None:
    found = await asked_of(saying("200 OK", body=json.dumps(FUNNEL).encode()))
    assert found.missing_partitions == []
    assert found.stages is not None
    assert (found.stages.entries, found.stages.recruited, found.stages.recruiters, found.stages.k) == (4, 2, 1, 0.6667)
    assert [(one.day, one.people, one.recruits, one.r) for one in found.stages.cohorts] == [
        ("2016-07-18", 3, 2, 0.6667)
    ]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        FUNNEL * 2,
        changed(FUNNEL, 0, "partitions", to=[2]),
        changed(FUNNEL, 0, "funnel", 0, 0, to=4),
        changed(FUNNEL, 0, "funnel", 0, 7, to=-1),
        changed(FUNNEL, 0, "funnel", 0, 7, to=2**63),
        changed(FUNNEL, 0, "funnel", 0, to=[1, 2]),
        changed(FUNNEL, 0, "funnel", 1, to={"17000": [-1, 0]}),
        changed(FUNNEL, 0, "funnel", 1, to={str(day): [1, 1] for day in range(4001)}),
        changed(FUNNEL, 0, "funnel", 1, to={"9" * 30: [1, 1]}),
        changed(FUNNEL, 0, "funnel", 1, to={"2932897": [1, 1]}),
        changed(FUNNEL, 0, "funnel", 2, to=2**80),
    ],
)
async def test_what_no_worker_counts_is_left_out(answer: Any) -> None:
    found = await asked_of(saying("200 OK", body=json.dumps(answer).encode()))
    assert (found.stages, found.missing_partitions) == (None, [1])
