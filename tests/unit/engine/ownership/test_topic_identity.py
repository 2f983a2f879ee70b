"""The topics a ledger was read from: one that was recreated, or has another number of partitions, is refused."""

import pytest

from stream_app.engine.liveness.broker_monitor import TopicIdentity
from tests.unit.engine.fakes import posts
from tests.unit.engine.ownership.test_rebalance import POSTS, SHARES, counted, restarted
from tests.unit.engine.parts import Parts

TOPIC = {POSTS: TopicIdentity("id-1", 8), SHARES: TopicIdentity("id-2", 8)}


async def test_a_ledger_remembers_which_topics_it_was_read_from() -> None:
    first = await counted()
    assert not first.ownership.adopt(TOPIC)
    await first.count(posts(range(12, 15)))
    new = await restarted(first)
    assert new.ledger.source(POSTS).topic_id == "id-1"
    assert not new.ownership.adopt(TOPIC)


async def test_a_topic_that_was_made_again_is_refused_with_the_command_that_repairs_it() -> None:
    parts = await counted()
    parts.ownership.adopt(TOPIC)
    refusal = parts.ownership.adopt(TOPIC | {POSTS: TopicIdentity("id-3", 8)})
    assert refusal.startswith("topic influence.posts was deleted and created again")
    assert "stream-app reset" in refusal


@pytest.mark.parametrize("known", [True, False])
async def test_another_number_of_partitions_is_refused_even_by_a_ledger_that_has_read_nothing(known: bool) -> None:
    parts = await counted()
    if known:
        parts.ownership.adopt(TOPIC)
    refusal = parts.ownership.adopt(TOPIC | {SHARES: TopicIdentity("id-2", 16)})
    assert refusal.startswith("topic influence.shares has 16 partitions now and had 8")
    assert "stream-app reset" in refusal


def test_another_number_of_partitions_is_refused_before_any_is_taken_over() -> None:
    parts = Parts(hold=False)
    assert parts.ownership.adopt({POSTS: TopicIdentity("id-1", 16)}).startswith(
        "topic influence.posts has 16 partitions"
    )


async def test_a_kafka_that_gives_no_ids_is_believed() -> None:
    parts = await counted()
    none = {POSTS: TopicIdentity("00000000-0000-0000-0000-000000000000", 8)}
    assert [parts.ownership.adopt(topics) for topics in (none, TOPIC, none)] == ["", "", ""]


async def test_a_topic_that_is_not_there_at_the_moment_is_waited_for() -> None:
    parts = await counted()
    parts.ownership.adopt(TOPIC)
    assert not parts.ownership.adopt({})
