"""Flags say what is noticed about their user at that moment, if anything may be said of people."""

from typing import Any

import pytest

from stream_app.core.messages import Flag, flag_in
from stream_app.core.signals.facts import Signal
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, user_of
from tests.unit.engine.parts import Parts

MINUTE_MS = 60_000
SHARES = "influence.shares"
BOT, OTHERS = user_of(PARTITION), [user_of(PARTITION, number) for number in range(1, 12)]


async def flags_of_the_bot(**settings: Any) -> list[Flag]:
    """The bot shares for 80 minutes, and then one more thing, on another topic."""
    parts = Parts(min_posts=1, min_impressions=1, min_users=10, **settings)
    of_bot: dict[str, Any] = {"topic": SHARES, "user": BOT, "post_id": "p", "author_id": "a"}
    shares = [post(n, ts_ms=NOW_MS - (100 - n) * MINUTE_MS, **of_bot) for n in range(80)]
    await parts.count(shares)
    await parts.count([post(n, user=user, topics=["tea"]) for n, user in enumerate(OTHERS)])
    await parts.count([post(80, ts_ms=NOW_MS, topics=["tea"], **{**of_bot, "audience": 5000})])
    for _ in range(3):
        parts.fake.now_s += 3
        await parts.round()
    found = (flag_in(record.value) for record in parts.fake.producer.of("influence.flags"))
    return [flag for flag in found if flag and flag.user_id == BOT]


async def test_a_flag_has_the_facts_about_its_user() -> None:
    flags = await flags_of_the_bot()
    assert flags
    assert all([fact.name for fact in flag.signals] == [Signal.REGULAR, Signal.ONE_SIDED] for flag in flags)


@pytest.mark.parametrize("min_group", [5])
async def test_with_a_minimum_group_no_flag_says_what_is_noticed(min_group: int) -> None:
    flags = await flags_of_the_bot(min_group=min_group)
    assert flags
    assert not any(flag.signals for flag in flags)
