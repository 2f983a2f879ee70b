"""Changelogs, which Faust assigns like topics, are not fetched by the consumer of the agents."""

from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from stream_app.engine.faust.consumer import _ConsumerThread

LOG, SOURCE = TP("segments-changelog", 3), TP("posts", 3)


@pytest.fixture
def thread() -> Any:
    made: Any = object.__new__(_ConsumerThread)
    made.app = SimpleNamespace(tables=SimpleNamespace(changelog_topics={LOG.topic}))
    made.paused = set()
    made._consumer = SimpleNamespace(pause=lambda *tps: made.paused.update(tps))
    return made


async def test_changelogs_are_paused_before_anything_can_be_fetched(
    thread: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[set[TP], int, set[TP]]] = []

    async def note(self: Any, assigned: set[TP], generation_id: int) -> None:
        calls.append((assigned, generation_id, set(self.paused)))

    monkeypatch.setattr(AIOKafkaConsumerThread, "on_partitions_assigned", note)
    await thread.on_partitions_assigned({LOG, SOURCE}, 7)
    assert calls == [({LOG, SOURCE}, 7, {LOG})]


def test_faust_does_not_complain_that_changelogs_are_not_fetched(thread: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[TP] = []
    monkeypatch.setattr(AIOKafkaConsumerThread, "verify_event_path", lambda _self, _now, tp: looked_at.append(tp))
    for tp in (LOG, SOURCE):
        thread.verify_event_path(1.0, tp)
    assert looked_at == [SOURCE]
