"""The regular round: what is told when, and what a round without news costs."""

from stream_app.core import status
from stream_app.core.status import Status
from tests.engine.fakes import PARTITION, post, posts, user_of
from tests.engine.parts import CHANGELOG, Parts

CURVES, CUTS, FLAGS = "influence.curves", "influence.cuts", "influence.flags"


def statuses(parts: Parts) -> list[Status]:
    records = parts.fake.outgoing.of(CURVES)
    return [status.decode(record.value or b"") for record in records if (record.key or b"").startswith(b"status/")]


async def test_a_round_tells_how_far_the_partition_has_come() -> None:
    parts = Parts()
    await parts.intake.count(posts(range(3)))
    await parts.round()
    told = statuses(parts)[-1]
    assert told.partition == PARTITION
    assert told.sources == parts.ledger.sources
    assert (told.horizon, told.users, told.lagging) == (parts.ledger.horizon, 1, False)


async def test_counters_are_durable_before_they_are_told() -> None:
    parts = Parts()
    await parts.intake.count(posts(range(3)))
    await parts.evaluator.round()
    steps = parts.fake.outgoing.steps
    delta = len(steps) - 1 - steps[::-1].index(CHANGELOG)
    told = len(steps) - 1 - steps[::-1].index(CURVES)
    assert "flush" in steps[delta:told], "a status goes out beside the delta it tells of: a crash may keep only the former"


async def test_a_round_without_news_writes_nothing() -> None:
    parts = Parts()
    await parts.intake.count(posts(range(3)))
    for _ in range(3):
        await parts.round()
    steps = len(parts.fake.outgoing.steps)
    await parts.evaluator.round()
    assert parts.fake.outgoing.steps[steps:] == []


async def test_users_over_the_threshold_are_flagged_once() -> None:
    parts = Parts(min_users=1, min_posts=1, min_impressions=1, diffuse_fraction=0.9)
    few = [post(offset, user=user_of(PARTITION, offset), audience=1) for offset in range(30)]
    many = [post(30 + offset, user=user_of(PARTITION), audience=1000) for offset in range(100)]
    await parts.intake.count([*few, *many])
    for _ in range(3):
        await parts.round()
    flags = parts.fake.outgoing.of(FLAGS)
    assert {record.key for record in flags} == {user_of(PARTITION).encode()}
    assert len(flags) == 4  # two roles, in the topic "*" … and entered once each
