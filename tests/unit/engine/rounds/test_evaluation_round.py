"""The evaluation round: what it publishes when, and what a round without changes costs."""

import asyncio
import json
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pytest

from stream_app.core.arrays import Ints
from stream_app.core.changelog import status
from stream_app.core.changelog.status import Status
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.flags.evaluation import Changes, evaluate
from stream_app.core.flags.watched_rows import WatchedRows
from stream_app.core.messages import OWN_ROLES, ROLES, Flag, FlagType, flag_in
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.context import NEVER
from stream_app.engine.rounds import cut_publisher, evaluation_round
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, posts, user_of
from tests.unit.engine.parts import CHANGELOG, Parts

CURVES, CUTS, FLAGS = "influence.curves", "influence.cuts", "influence.flags"


def statuses(parts: Parts) -> list[Status]:
    records = parts.fake.producer.of(CURVES)
    return [status.decode(record.value or b"") for record in records if (record.key or b"").startswith(b"status/")]


async def test_a_round_publishes_how_far_the_partition_has_come() -> None:
    parts = Parts()
    await parts.count(posts(range(3)))
    await parts.round()
    newest = statuses(parts)[-1]
    assert newest.partition == PARTITION
    assert newest.sources == parts.ledger.sources
    assert (newest.horizon, newest.users, newest.lagging) == (parts.ledger.horizon, 1, False)


async def test_counters_are_durable_before_they_are_published() -> None:
    parts = Parts()
    await parts.count(posts(range(3)))
    await parts.evaluation.round()
    steps = parts.fake.producer.steps
    delta = len(steps) - 1 - steps[::-1].index(CHANGELOG)
    published = len(steps) - 1 - steps[::-1].index(CURVES)
    assert "flush" in steps[delta:published], "the status goes out beside the delta: a crash may keep the status only"


async def test_a_round_without_news_writes_nothing() -> None:
    parts = Parts()
    await parts.count(posts(range(3)))
    for _ in range(3):
        await parts.round()
    steps = len(parts.fake.producer.steps)
    await parts.evaluation.round()
    assert parts.fake.producer.steps[steps:] == []


async def test_users_over_the_threshold_are_flagged_once_in_each_role() -> None:
    parts = Parts(min_users=1, min_posts=1, min_impressions=1, diffuse_fraction=0.9)
    few = [post(offset, user=user_of(PARTITION, offset), audience=1) for offset in range(30)]
    many = [post(30 + offset, user=user_of(PARTITION), audience=1000) for offset in range(100)]
    await parts.count([*few, *many])
    for _ in range(3):
        await parts.round()
    flags = [msgspec.json.decode(record.value or b"", type=Flag) for record in parts.fake.producer.of(FLAGS)]
    assert [(flag.user_id, flag.role, flag.type) for flag in flags] == [
        (user_of(PARTITION), role, FlagType.ENTERED) for role in ROLES[:OWN_ROLES]
    ]
    assert [flag.value for flag in flags] == [101, 100_001]
    assert len(parts.fake.standings.of_partition(PARTITION)) == 2


async def test_more_cuts_than_a_round_may_write_wait_for_the_next_rounds_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cut_publisher, "MOST_SCOPES", 1)
    parts = Parts()
    topics = [f"topic-{number}" for number in range(20)]
    await parts.count([post(offset, topics=[topic]) for offset, topic in enumerate(topics)])
    written = []
    for offset in range(len(topics), 80):
        await parts.count([post(offset, topics=topics[:1])])  # it is always news, and must not go first always
        await parts.round()
        written.append(len(parts.fake.producer.of(CUTS)))
    owned = {topic for topic in [*topics, "*"] if home_of(ScopeName("all", topic), 8) == PARTITION}
    assert {json.loads(record.key or b"")[0] for record in parts.fake.producer.of(CUTS)} == owned
    assert max(np.diff([0, *written])) <= 2


async def test_nobody_is_flagged_before_a_window_is_known() -> None:
    """A source that lags and was never read may have events of any time: the window has no end yet."""
    parts = Parts(min_users=1, min_posts=1, min_impressions=1, diffuse_fraction=0.9)
    parts.ledger.lagging.add("influence.shares")
    few = [post(offset, user=user_of(PARTITION, offset), audience=1) for offset in range(30)]
    many = [post(30 + offset, user=user_of(PARTITION), audience=1000) for offset in range(100)]
    await parts.count([*few, *many])
    for _ in range(3):
        await parts.round()
    assert parts.ledger.horizon == NO_TIME
    assert statuses(parts)[-1].horizon == NO_TIME
    assert not parts.fake.producer.of(FLAGS)
    parts.ledger.lagging.clear()
    for _ in range(3):
        await parts.round()
    flags = [flag_in(record.value) for record in parts.fake.producer.of(FLAGS)]
    assert [flag and flag.event_time for flag in flags] == [parts.ledger.horizon] * 2


async def test_a_partition_that_moves_away_during_a_round_is_not_evaluated() -> None:
    parts = Parts()
    await parts.count(posts(range(3)))
    owned = parts.fake.context.owned[PARTITION]
    async with owned.lock:
        under_way = asyncio.create_task(parts.evaluation.round())
        await asyncio.sleep(0)
        parts.fake.context.owned.clear()
    await under_way
    assert CURVES not in parts.fake.producer.steps


async def test_a_home_may_get_many_scopes_at_once() -> None:
    parts = Parts()
    mine = [name for name in map("topic{}".format, range(2000)) if home_of(ScopeName("all", name), 8) == PARTITION]
    await parts.count([post(0, topics=mine[:1])])
    await parts.round()
    await parts.count([post(place, topics=[name]) for place, name in enumerate(mine[1:], start=1)])
    await parts.round()
    assert {msgspec.json.decode(record.key or b"")[0] for record in parts.fake.producer.of(CUTS)} >= set(mine)


async def test_cuts_are_published_by_the_worker_that_holds_their_partition() -> None:
    parts = Parts()
    await parts.count(posts(range(3), topics=[f"topic{number}" for number in range(32)]))
    for _ in range(2):
        await parts.round()
    topics = {msgspec.json.decode(record.key or b"")[0] for record in parts.fake.producer.of(CUTS)}
    mine = {f"topic{number}" for number in range(32) if home_of(ScopeName("all", f"topic{number}"), 8) == PARTITION}
    assert mine
    assert topics - {"*"} == mine


async def test_cuts_that_are_no_longer_published_here_leave_the_metrics() -> None:
    """Their new owner shows them: what stays here would be shown for ever as it was."""
    parts = Parts()
    await parts.count(posts(range(3), topics=[f"topic{number}" for number in range(32)]))
    for _ in range(2):
        await parts.round()
    meter = parts.fake.meter
    shown = {(call.args[0].topic, call.args[0].role) for call in meter.cut.call_args_list}
    assert shown
    meter.cut_gone.assert_not_called()
    await parts.ownership.take_over(set(), 2)
    await parts.round()
    assert {(call.args[0].topic, call.args[1]) for call in meter.cut_gone.call_args_list} == shown


async def test_the_cut_of_a_scope_that_has_no_users_any_more_leaves_the_metrics() -> None:
    parts = Parts()
    gone = next(name for name in map("topic{}".format, range(50)) if home_of(ScopeName("all", name), 8) == PARTITION)
    await parts.count([post(0, topics=[gone]), post(1, ts_ms=NOW_MS + 1)])
    for _ in range(2):
        await parts.round()
    assert gone in {call.args[0].topic for call in parts.fake.meter.cut.call_args_list}
    parts.fake.now_s += 2 * 86_400
    await parts.count([post(2, ts_ms=NOW_MS + 2 * 86_400_000)])
    for _ in range(2):
        await parts.round()
    assert {call.args[0].topic for call in parts.fake.meter.cut_gone.call_args_list} == {gone}


async def test_a_round_publishes_the_workers_address_and_the_unread_records() -> None:
    parts = Parts()
    parts.updates.http = "10.0.0.7:6066"
    await parts.count(posts(range(3)))
    parts.fake.context.owned[PARTITION].unread = {"influence.posts": 4, "influence.shares": 3}
    await parts.round()
    assert (statuses(parts)[-1].http, statuses(parts)[-1].unread) == ("10.0.0.7:6066", 7)


async def test_what_is_counted_while_a_round_waits_for_kafka_is_looked_at_in_the_next() -> None:
    parts, looked_at = Parts(), list[Ints | None]()
    await parts.count(posts(range(3)))
    owned, flush, offsets = parts.fake.context.owned[PARTITION], parts.fake.context.output.flush, iter((3, 4, 5))

    steps = owned.store.signals.steps
    steps.note_sent(steps.due(2**60))  # so that no round has to wait before it says how far credits have come

    async def counting_meanwhile() -> None:
        await flush()
        if not owned.lock.locked():
            offset = next(offsets)
            await parts.count([post(offset, user=user_of(PARTITION, offset))])
            owned.published = NEVER  # as for the marker of a transaction behind it
            await flush()

    def due(_watched: WatchedRows, ledger: Ledger, *_: object) -> tuple[Ints, Ints]:
        looked_at.append(ledger.rows.take_counted())
        return np.empty(0, np.int64), np.empty(0, np.int64)

    parts.fake.context.output.flush = counting_meanwhile
    with patch.object(WatchedRows, "due", due):
        await parts.evaluation.round()
        version = parts.fake.context.followed.version
        for _ in range(2):
            await parts.evaluation.round()
    assert parts.fake.context.followed.version == version, "so it is not for the cuts that it looks again"
    assert [None if rows is None else rows.tolist() for rows in looked_at] == [None, [1], [2]]


async def test_an_evaluation_sees_nothing_that_has_left_the_window() -> None:
    parts, most = Parts(), list[int]()
    await parts.count(posts(range(9)))
    flush, later_ms = parts.fake.context.output.flush, NOW_MS + 2 * 86_400_000

    async def leaping_meanwhile() -> None:
        await flush()
        if not parts.fake.context.owned[PARTITION].lock.locked() and parts.ledger.horizon < later_ms:
            parts.fake.now_s += 2 * 86_400
            await parts.count([post(9, ts_ms=later_ms)])

    def looking(ledger: Ledger, *more: Any) -> Changes:
        most.append(int(ledger.rows.totals[0].max()))
        return evaluate(ledger, *more)

    parts.fake.context.output.flush = leaping_meanwhile
    with patch.object(evaluation_round, "evaluate", looking):
        await parts.evaluation.round()
    assert most == [1]
