"""Requests from seeds against the server of a worker: it answers, whatever came before. A failure names its seed."""

import asyncio
import re
import time
from types import SimpleNamespace
from typing import cast

import pytest

from stream_app.engine.engine import Engine
from stream_app.settings import Settings
from stream_app.worker import queryable_state
from tests.fuzz.http_requests import fuzz_http
from tests.unit.engine.fakes import PARTITION, post, user_of
from tests.unit.engine.parts import Parts
from tests.unit.serving.http.served import GUARDED, TOKEN, serving, status

SECONDS_S = 3.0
BLOCKED_S = 1.0
BEARER = f"Authorization: Bearer {TOKEN}"


@pytest.mark.timeout(90)
@pytest.mark.parametrize("settings", [GUARDED, Settings()], ids=["with a token", "on this machine"])
async def test_no_request_ends_a_server_or_holds_it(settings: Settings) -> None:
    parts = Parts()
    await parts.count([post(offset, user=user_of(PARTITION, offset), topics=["tea"]) for offset in range(30)])
    await parts.round()
    engine = SimpleNamespace(
        context=parts.fake.context,
        exchange=parts.exchange,
        owned=parts.fake.context.owned,
        publisher=parts.publisher,
        standings_of=lambda _partition, keys: parts.fake.standings.some(keys),
        settings=parts.fake.settings,
    )
    async with serving(settings, state=queryable_state(cast(Engine, engine))) as served:
        assert status(await served.get("/api/v1/influencers?topic=tea", BEARER)) == 200
        started, seed = time.monotonic(), 0
        while time.monotonic() - started < SECONDS_S:
            found = await fuzz_http(seed, served)
            statuses = re.findall(rb"HTTP/1\.[01] (\d\d\d) ", found.answer)
            assert b"500" not in statuses, (seed, found)
            assert found.blocked_s < BLOCKED_S, (seed, found.sent)
            if seed % 20 == 0:
                assert status(await served.get("/livez")) == 200, seed
            seed += 1
            await asyncio.sleep(0)
        assert seed > 15
