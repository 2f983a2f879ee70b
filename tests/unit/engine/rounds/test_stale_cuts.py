"""Cuts of scopes that vanished while another worker or none published them: the present owner deletes them."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from kafka import KafkaProducer

from stream_app.core.cuts.histogram import Cells
from stream_app.core.exchange import cut_record
from stream_app.core.exchange.curve_deltas import CurveDelta
from stream_app.core.exchange.delta_message import DeltaSource, home_of, messages_of
from stream_app.core.exchange.delta_sender import DeltaSender
from stream_app.core.messages import ROLE_BITS
from stream_app.core.state.scopes import ScopeName
from stream_app.engine.context import NEVER
from stream_app.engine.rounds.busy_time import BusyTime
from stream_app.kafka import topics
from stream_app.sources.replay import replay
from tests.board_samples import a_cut
from tests.e2e.erasure import load
from tests.servers.tracker import following, tracker, variables
from tests.unit.engine.fakes import NOW_MS, PARTITION, posts, user_of
from tests.unit.engine.parts import Parts, nothing_of

CUTS = "influence.cuts"
DAY_MS = 86_400_000
WAIT_S = 30.0


def key(topic: str) -> bytes:
    return json.dumps([topic, "all", "maven"], separators=(",", ":")).encode()


def named(partition: int) -> str:
    """A topic whose cuts fall to the owner of the partition."""
    names = map("gone{}".format, range(640))
    return next(name for name in names if home_of(ScopeName("all", name), 8) == partition)


async def rounds(parts: Parts) -> None:
    await parts.count(posts(range(3), topics=[named(PARTITION)]))
    for _ in range(2):
        await parts.round()


async def test_cuts_that_are_still_some_or_another_workers_are_not_deleted() -> None:
    parts = Parts()
    await rounds(parts)
    kept = key(named(PARTITION))
    assert kept in [cut.key for cut in parts.fake.producer.of(CUTS)]
    parts.publisher.forget_others([kept, key(named(PARTITION + 1)), b"no key of a cut"])
    await parts.fake.producer.flush()
    assert not [cut.key for cut in parts.fake.producer.of(CUTS) if cut.value is None]


async def test_the_leftover_of_an_owner_before_is_deleted() -> None:
    parts = Parts()
    await rounds(parts)
    names = [f"left{number}" for number in range(100)]
    mine = {name for name in names if home_of(ScopeName("all", name), 8) == PARTITION}
    parts.publisher.forget_others(map(key, names))
    await parts.fake.producer.flush()
    assert {cut.key for cut in parts.fake.producer.of(CUTS) if cut.value is None} == set(map(key, mine))
    assert mine


async def test_homes_that_come_later_are_published_although_they_did_not_change() -> None:
    parts = Parts()
    await rounds(parts)
    owned = parts.fake.context.owned.pop(PARTITION)
    await parts.round()
    assert parts.publisher.shown() == []
    parts.publisher.took_over.clear()
    owned.sender = DeltaSender(DeltaSource(PARTITION, owned.store.ownership.epoch), 8)
    owned.published = NEVER  # as of a new owner
    parts.fake.context.owned[PARTITION] = owned
    for _ in range(2):
        await parts.round()
    assert {cut.topic for cut in parts.publisher.shown()} >= {named(PARTITION)}
    assert parts.publisher.took_over.is_set()


@pytest.mark.timeout(90)
def test_a_worker_deletes_what_it_finds_when_it_takes_over(brokers: str, tmp_path: Path) -> None:
    environment = variables(brokers, "leftovers", partitions="2")
    with tracker(environment, tmp_path, workers=0) as run:
        s = run.settings
        assert not [found.problem for found in topics.create(s) if found.problem]
        producer = KafkaProducer(bootstrap_servers=brokers)
        producer.send(s.cuts_topic, key=key("gone"), value=msgspec.json.encode(a_cut("gone")), partition=0).get(WAIT_S)
        producer.close()
        replay(load.made("e").records[:100], brokers, s)
        run.start()
        with following(run, s.cuts_topic) as follower:
            follower.until(
                lambda seen: any(r.key == key("gone") and r.value is None for r in seen.records.get(s.cuts_topic, ())),
                "the cut of a vanished scope deleted",
                WAIT_S,
            )
            follower.until(lambda seen: ("phone", "maven") in seen.cuts, "the cuts", WAIT_S)
            assert [r.key for r in follower.drain().records[s.cuts_topic] if r.value is None] == [key("gone")]


@pytest.mark.parametrize("has_others", [False, True])
async def test_a_scope_that_goes_at_the_end_of_a_step_is_deleted_from_kafka(*, has_others: bool) -> None:
    parts = Parts()
    await rounds(parts)
    parts.fake.context.limit.end_ms = end_ms = NOW_MS + 10 * DAY_MS
    await parts.updates.end_step_here(BusyTime())
    parts.publisher.follow(end_ms - 1, has_others=has_others)
    await parts.fake.producer.flush()
    scope = cut_record.key_of(ScopeName("all", named(PARTITION)))
    written = [one.value for one in parts.fake.producer.of("influence.curves") if one.key == scope]
    assert (len(written), written[-1]) == (2, None)


def unheard(parts: Parts, count: int) -> None:
    """Have the home hear of many scopes since its cuts were computed."""
    names = [name for name in map("new{}".format, range(20 * count)) if home_of(ScopeName("all", name), 8) == PARTITION]
    scopes = [ScopeName("all", name) for name in names[:count]]
    curves = np.arange(count) << ROLE_BITS
    ones = np.ones(count, np.int64)
    delta = CurveDelta(is_everything=True, replaced=np.empty(0, np.int64), cells=Cells(curves, ones, ones, ones))
    for message in messages_of(delta, scopes, DeltaSource(PARTITION + 1, 9), PARTITION, 0, 100_000):
        parts.fake.context.homes.hear(message)


async def test_a_home_that_leaves_before_its_cuts_are_computed_ends_nothing() -> None:
    parts = Parts()
    await rounds(parts)
    unheard(parts, 100)
    parts.fake.context.owned.clear()
    await parts.evaluation.round()
    assert parts.publisher.shown() == []


async def test_the_record_of_a_scope_that_vanished_while_its_home_was_not_complete_is_deleted() -> None:
    parts = Parts()
    await rounds(parts)
    scope = ScopeName("all", named(PARTITION))
    followed, (home,) = parts.fake.context.followed, parts.fake.context.homes.complete().values()
    assert followed.has(scope)
    gap = msgspec.structs.replace(nothing_of(PARTITION + 1), number=7, is_everything=False)
    parts.fake.context.homes.hear(gap)
    await parts.evaluation.round()
    assert parts.publisher.shown() == []
    parts.ledger.take_out([user_of(PARTITION)])
    await parts.evaluation.round()
    for _ in range(2):
        await parts.round()
    assert not home.has_any_users(scope)
    assert not followed.has(scope)
