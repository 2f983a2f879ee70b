"""Flags do not depend on how fast a stream is read: rules look at the end of each step, when all sources are there."""

import random
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import pytest

from stream_app.backtest.run import backtest
from stream_app.core.changelog.status import Status
from stream_app.core.exchange.delta_message import home_of
from stream_app.core.flags.standing import NONE
from stream_app.core.messages import Flag, flag_in
from stream_app.core.state.scopes import ScopeName
from stream_app.core.state.watermark import NO_TIME
from stream_app.engine.rounds import watermark_alignment
from stream_app.engine.rounds.curve_exchange import WATERMARK_KEY
from stream_app.engine.rounds.source_reach import SKEW_S, NewestKnown
from stream_app.kafka.records import Partition
from stream_app.settings.environment import load
from stream_app.sources.recorded_event import RecordedEvent
from tests.unit.backtest.test_naive import RULES, STEP_MS, recorded, stream
from tests.unit.engine.fakes import NOW_MS, NOW_S, PARTITION, post, record, user_of
from tests.unit.engine.packing import fetched
from tests.unit.engine.parts import Parts, listening

POSTS, SHARES = Partition("influence.posts", PARTITION), Partition("influence.shares", PARTITION)
SOURCES = (POSTS, SHARES)
TOPICS = ("*", "tea", "cars")
Seen = tuple[int, str, str, str, str, int | None, int, int]


@pytest.fixture(autouse=True)
def _never_live() -> Iterator[None]:
    with patch.object(watermark_alignment, "LIVE_S", 1e9), patch.object(watermark_alignment, "LEADER", PARTITION):
        yield


def seen(flags: Sequence[Flag]) -> list[Seen]:
    return sorted(
        (flag.event_time, flag.user_id, flag.topic, flag.role, flag.type, flag.rule, flag.value, flag.threshold)
        for flag in flags
    )


def events_of(seed: int, count: int) -> list[RecordedEvent]:
    """Events of users of the partition, in topics that are at home there."""
    names = [user_of(PARTITION, number) for number in range(41)]
    places = (f"p{number}" for number in range(10_000))
    population = next(
        name for name in places if {home_of(ScopeName(name, topic), 8) for topic in TOPICS} == {PARTITION}
    )
    events = (recorded(event._replace(user=names[int(event.user[1:])])) for event in stream(seed, count))
    return [event._replace(value=b'{"population":"%s",' % population.encode() + event.value[1:]) for event in events]


def parts_of(**settings: Any) -> Parts:
    """A worker with the rules of the backtest."""
    wanted: Any = load({}, RULES)
    return Parts(**{name: getattr(wanted, name) for name in RULES} | settings)


async def played(events: Sequence[RecordedEvent], chosen: random.Random, parts: Parts) -> list[Flag]:
    """The flags of a worker to which a stream comes in pieces of any size, with rounds at any time."""
    parts.alignment.begin()
    left = {source: [event for event in events if event.share is bool(place)] for place, source in enumerate(SOURCES)}
    parts.fake.kafka.ended |= {source: len(of) for source, of in left.items()}
    done = dict.fromkeys(SOURCES, 0)
    while any(done[source] < len(left[source]) for source in SOURCES):
        source = chosen.choice([one for one in SOURCES if done[one] < len(left[one])])
        first, last = done[source], done[source] + chosen.choice([1, 2, 5, 40, 700])
        some = left[source][first:last]
        records = [record(first + n, event.value, event.key, source.topic) for n, event in enumerate(some)]
        await parts.waiting.take(fetched(records))
        done[source] = first + len(some)
        for _ in range(chosen.choice([0, 0, 1, 3])):
            await parts.round()
    steps = parts.fake.settings.steps
    end_ms = steps.end_ms(steps.step(max(event.ts_ms for event in events)))
    parts.exchange.update(WATERMARK_KEY, str(end_ms).encode())
    await looked(parts)
    while parts.alignment.is_overdue:
        await parts.round()
    return [flag for one in parts.fake.producer.of("influence.flags") if (flag := flag_in(one.value or b"", NO_TIME))]


@pytest.mark.parametrize(
    ("seed", "rules"),
    [
        *((seed, {}) for seed in range(4)),
        (4, {"step_s": 900.0}),
        (5, {"step_s": 3600.0}),
        (6, {"pane_s": 10.0, "short_s": 50.0, "step_s": 50.0}),  # slots are not of whole milliseconds
    ],
)
async def test_however_a_stream_comes_in_its_flags_are_those_of_the_backtest(
    seed: int, rules: dict[str, float]
) -> None:
    events = events_of(seed, 500)
    wanted = seen(backtest(events, load({}, RULES | {name: str(value) for name, value in rules.items()})).flags)
    assert len(wanted) > 20
    assert seen(await played(events, random.Random(seed), parts_of(**rules))) == wanted


def standings(parts: Parts) -> tuple[int, int]:
    """How many there are in the ledger, and in the table."""
    held = sum(int(np.count_nonzero(of != NONE)) for of in parts.ledger.rows.standings)
    return held, len(list(parts.fake.standings.of_partition(PARTITION)))


async def test_where_nobody_may_be_named_the_end_of_a_step_decides_no_standings() -> None:
    parts = parts_of(individuals="off")
    assert await played(events_of(1, 500), random.Random(1), parts) == []
    assert parts.ledger.source("influence.posts").applied > 100
    assert standings(parts) == (0, 0)


async def test_while_workers_differ_the_end_of_a_step_decides_no_standings() -> None:
    parts = parts_of()
    with patch.object(type(parts.fake.context.members), "differing", return_value=["another"]):
        assert await played(events_of(1, 500), random.Random(1), parts) == []
    assert standings(parts) == (0, 0)


async def test_flags_at_the_end_of_a_step_say_no_more_than_the_minimum_group_allows() -> None:
    events, parts = events_of(1, 500), parts_of(min_group=5)
    exact = backtest(events, load({}, RULES)).flags
    said = seen(parts.fake.settings.disclosure.all_of(exact))
    assert seen(await played(events, random.Random(1), parts)) == said != seen(exact)


async def test_a_source_that_is_read_up_is_waited_for_until_kafka_has_said_so_after_the_others_went_on() -> None:
    parts = Parts()
    parts.alignment.begin()
    await parts.round()
    parts.fake.kafka.ended[POSTS] = 2
    await parts.waiting.take(fetched([post(0), post(1, ts_ms=NOW_MS + STEP_MS)]))
    parts.alignment.look()
    parts.fake.kafka.fetched_at_s[SHARES] = NOW_S + SKEW_S - 0.1
    await looked(parts)
    assert not parts.alignment.can_end()
    parts.fake.kafka.fetched_at_s[SHARES] = NOW_S + SKEW_S
    await looked(parts)
    await looked(parts)
    assert parts.alignment.can_end()


async def looked(parts: Parts) -> None:
    """Count what can be counted, and see how far that goes."""
    await parts.waiting.count_all()
    parts.alignment.look()


async def test_a_partition_that_does_not_come_is_left_behind_after_a_while() -> None:
    parts, other = Parts(), 1 - (PARTITION == 1)
    parts.alignment.begin()
    parts.others.statuses[other] = _status(other, reached_ms=NOW_MS)
    await parts.round()
    parts.fake.kafka.ended[POSTS] = 2
    await parts.waiting.take(fetched([post(0), post(1, ts_ms=NOW_MS + STEP_MS)]))
    await looked(parts)
    await looked(parts)
    with patch.object(watermark_alignment, "monotonic", lambda: 1000.0):
        assert not parts.alignment.can_end()
    with patch.object(watermark_alignment, "monotonic", lambda: 2000.0):
        assert parts.alignment.can_end()
    parts.alignment.go_on()
    parts.exchange.statuses[other] = _status(other, reached_ms=NOW_MS + 3 * STEP_MS)
    await looked(parts)
    assert not parts.alignment.is_overdue


@pytest.mark.parametrize(("said_steps", "taken_steps"), [(3, 3), (1000, 1)])
async def test_the_owner_of_partition_0_says_where_the_next_step_ends_within_what_is_known(
    said_steps: int, taken_steps: int
) -> None:
    leader = 1 - (PARTITION == 1)
    with patch.object(watermark_alignment, "LEADER", leader):
        parts = Parts()
        parts.alignment.begin()
        parts.others.statuses[leader] = _status(leader, reached_ms=NOW_MS)
        await parts.round()
        parts.fake.kafka.ended[POSTS] = 2
        await parts.waiting.take(fetched([post(0, ts_ms=NOW_MS - 9 * STEP_MS), post(1)]))
        await looked(parts)
        await looked(parts)
        end_ms = parts.alignment.last_ms + 1
        said = msgspec.structs.replace(
            parts.others.statuses[leader], step_ms=end_ms, next_step_ms=end_ms + said_steps * STEP_MS
        )
        parts.exchange.statuses[leader] = said
        parts.alignment.go_on()
    assert parts.alignment.last_ms + 1 == end_ms + taken_steps * STEP_MS


async def in_overdue_step(other: int) -> Parts:
    """A worker whose events have all come to the end of a step; so have those of the other partition."""
    parts = Parts()
    parts.alignment.begin()
    parts.others.statuses[other] = _status(other, reached_ms=NOW_MS + 9 * STEP_MS)
    await parts.round()
    parts.fake.kafka.ended |= {POSTS: 2, SHARES: 1}
    await parts.waiting.take(fetched([post(0), post(1, ts_ms=NOW_MS + STEP_MS)]))
    share = record(0, post(0, ts_ms=NOW_MS + STEP_MS).value, post(0).key, SHARES.topic)
    await parts.waiting.take(fetched([share]))
    await looked(parts)
    await looked(parts)
    assert parts.alignment.can_end()
    return parts


async def test_a_step_whose_end_another_worker_has_passed_over_ends_where_that_of_the_other_does() -> None:
    other = 1 - (PARTITION == 1)
    parts = await in_overdue_step(other)
    end_ms = parts.alignment.step_ms
    known = parts.exchange.statuses[other]
    for cuts_ms, step_ms, wanted_ms in (
        (end_ms - 1, end_ms + STEP_MS, end_ms),  # it was in this step, and has gone on
        (end_ms - 1 - STEP_MS, end_ms, end_ms),  # it is in this step
        (end_ms - 1 - STEP_MS, end_ms + STEP_MS, end_ms + STEP_MS),
    ):
        parts.exchange.statuses[other] = msgspec.structs.replace(known, cuts_ms=cuts_ms, step_ms=step_ms)
        parts.alignment.look()
        assert parts.alignment.step_ms == wanted_ms


async def test_cuts_that_do_not_come_are_not_waited_for_for_ever_though_the_events_are_there() -> None:
    other = 1 - (PARTITION == 1)
    parts = await in_overdue_step(other)
    for now_s, is_over in ((1000.0, False), (1020.0, False), (2000.0, True)):
        with patch.object(watermark_alignment, "monotonic", lambda now_s=now_s: now_s):
            assert parts.alignment.can_end()
            assert parts.alignment.is_cut() is is_over


def _status(partition: int, reached_ms: int) -> Status:
    return msgspec.structs.replace(listening(partition), reached_ms=reached_ms, cuts_ms=NO_TIME)


def test_what_is_known_is_known_from_then_on() -> None:
    known = NewestKnown()
    assert (known.newest_ms, known.at(5.0)) == (NO_TIME, NO_TIME)
    for newest_ms, now_s in ((100, 1.0), (90, 2.0), (300, 3.0)):
        known.note(newest_ms, now_s)
    assert [known.at(then_s) for then_s in (0.9, 1.0, 2.9, 3.0, 9.0)] == [NO_TIME, 100, 100, 300, 300]
    known.note(200, 2.0)  # the clock was set back
    assert (known.newest_ms, known.at(2.0)) == (300, 300)
