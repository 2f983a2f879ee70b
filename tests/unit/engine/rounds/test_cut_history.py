"""Cuts at the end of each pane: published by the owner of their home, and deleted once the window has passed."""

import msgspec
import numpy as np

from stream_app.core.cuts.history import CutHistory, PastKey
from stream_app.core.exchange.delta_message import DeltaSource, home_of
from stream_app.core.exchange.delta_sender import DeltaSender
from stream_app.core.messages import Role
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, posts
from tests.unit.engine.parts import Parts, nothing_of

CURVES = "influence.curves"
SCOPE = next(scope for scope in (ScopeName("all", f"t{n}") for n in range(100)) if home_of(scope, 8) == PARTITION)
"""One whose cuts the worker of PARTITION publishes."""
TOPIC = [SCOPE.topic]
PANE_S = 900


def past_records(parts: Parts) -> list[tuple[PastKey, bytes | None]]:
    records = parts.fake.producer.of(CURVES)
    keyed = [(record.key or b"", record.value) for record in records]
    return [(PastKey.decode(key), value) for key, value in keyed if key.startswith(b"past/")]


def counted(parts: Parts) -> list[tuple[int, int]]:
    """Pane and total of the posts in the topic."""
    return [(pane, was.total) for pane, was in parts.exchange.past.of(SCOPE, Role.MAVEN, 0)]


async def test_a_cut_is_published_as_it_was_when_its_pane_ended() -> None:
    parts = Parts()
    pane = NOW_MS // (PANE_S * 1000)
    await parts.count(posts(range(3), topics=TOPIC))
    for _ in range(2):
        await parts.round()
    assert counted(parts) == []
    parts.fake.now_s += PANE_S
    await parts.count([post(3, ts_ms=NOW_MS + PANE_S * 1000, topics=TOPIC)])
    for _ in range(3):
        await parts.round()
    assert counted(parts) == [(pane, 3)]


async def test_events_of_the_next_pane_are_not_in_the_cut_although_the_window_waits_for_the_other_source() -> None:
    """By up to two panes: people who post once in a pane, each later than everybody before."""
    for ahead_ms in (PANE_S * 1000 - 1, PANE_S * 1000, PANE_S * 1000 + 1, 2 * PANE_S * 1000 - 1):
        parts = Parts()
        newest_ms, pane = NOW_MS // (PANE_S * 1000) * PANE_S * 1000, NOW_MS // (PANE_S * 1000)
        await parts.count([post(number, ts_ms=newest_ms, topics=TOPIC) for number in range(3)])
        for _ in range(2):
            await parts.round()
        parts.fake.now_s += 2 * PANE_S
        parts.ledger.lagging.add("influence.shares")
        parts.ledger.read_up_ms["influence.shares"] = newest_ms
        await parts.count([post(3, ts_ms=newest_ms + ahead_ms, topics=TOPIC)])
        for _ in range(2):
            await parts.round()
        parts.ledger.lagging.clear()
        for _ in range(2):
            await parts.round()
        assert counted(parts) == ([(pane, 3)] if ahead_ms >= PANE_S * 1000 else []), ahead_ms


async def test_a_pane_that_ends_while_a_home_has_not_heard_everything_keeps_the_cuts_published_last() -> None:
    """As after a restart of all workers, or a rebalance, at the end of a pane."""
    parts = Parts()
    pane = NOW_MS // (PANE_S * 1000)
    await parts.count(posts(range(3), topics=TOPIC))
    for _ in range(3):
        await parts.round()
    gap = msgspec.structs.replace(nothing_of(PARTITION + 1), number=7, is_everything=False)
    parts.fake.context.homes.hear(gap)
    await parts.evaluation.round()
    assert not parts.fake.context.homes.is_complete(PARTITION)
    parts.fake.now_s += PANE_S
    await parts.count([post(3, ts_ms=NOW_MS + PANE_S * 1000, topics=TOPIC)])
    await parts.evaluation.round()
    await parts.evaluation.round()
    await parts.round()
    assert counted(parts) == [(pane, 3)]


async def test_cuts_that_left_the_window_are_deleted() -> None:
    parts = Parts(window_s=2.0 * PANE_S, short_s=PANE_S)
    parts.fake.now_s += 10 * PANE_S
    for step in range(6):
        await parts.count([post(step, ts_ms=NOW_MS + step * PANE_S * 1000, topics=TOPIC)])
        for _ in range(2):
            await parts.round()
    published = past_records(parts)
    first = NOW_MS // (PANE_S * 1000)
    assert {ended.pane for ended, value in published if value} == {first + step for step in range(5)}
    assert {ended.pane for ended, value in published if value is None} == {first, first + 1, first + 2}
    assert [pane for pane, _ in counted(parts)] == [first + 3, first + 4]


async def test_a_restarted_worker_knows_the_cuts_that_were_published_before() -> None:
    parts = Parts()
    await parts.count(posts(range(3), topics=TOPIC))
    for _ in range(2):
        await parts.round()
    parts.fake.now_s += PANE_S
    await parts.count([post(3, ts_ms=NOW_MS + PANE_S * 1000, topics=TOPIC)])
    for _ in range(2):
        await parts.round()
    restored = CutHistory(8)
    for ended, value in past_records(parts):
        restored.update(ended.encode(), value or b"")
    assert [was.total for _, was in restored.of(SCOPE, Role.MAVEN, 0)] == [3]


async def test_a_worker_without_partitions_publishes_nothing() -> None:
    parts = Parts(hold=False)
    parts.publisher.publish(NOW_MS)
    parts.publisher.publish(NOW_MS + PANE_S * 1000)
    assert past_records(parts) == []


async def test_a_cut_waits_until_it_is_known_where_the_window_ends() -> None:
    parts = Parts()
    await parts.count(posts(range(3), topics=TOPIC))
    for _ in range(2):
        await parts.round()
    fresh = Parts()
    fresh.fake.context.homes.follow()
    fresh.others.send_nothing(fresh.fake.context.homes)
    sender = DeltaSender(DeltaSource(PARTITION, 1), 8)
    for message in sender.messages(parts.ledger, np.zeros_like, fresh.fake.context.homes.states(), 100_000):
        fresh.fake.context.homes.hear(message)
    fresh.publisher.publish(NO_TIME)
    assert fresh.publisher.shown() == []
    fresh.publisher.publish(NOW_MS)
    assert {cut.topic for cut in fresh.publisher.shown()} == set(TOPIC)
    assert all(cut.window_start > 0 for cut in fresh.publisher.shown())
