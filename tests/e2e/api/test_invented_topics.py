"""Streams of topics that nobody has talked about: they cost nothing, and keep nobody else out."""

from contextlib import ExitStack

import pytest

from stream_app.serving.api import params
from stream_app.serving.api.push import page_updates
from stream_app.serving.api.push.page_updates import UnknownScopeError
from tests.e2e.api.test_page_updates import WAIT_S, Counting, names, running


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
