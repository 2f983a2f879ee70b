"""Flags do not depend on how fast a stream is read: rules look at the end of each step, when all sources are there."""

import random
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from stream_app.backtest.run import backtest
from stream_app.core.changelog.status import Status
from stream_app.core.exchange.delta_message import home_of
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
    with patch.object(watermark_alignment, "LIVE_S", 1e9):
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


async def played(events: Sequence[RecordedEvent], chosen: random.Random) -> list[Flag]:
    """The flags of a worker to which a stream comes in pieces of any size, with rounds at any time."""
    wanted: Any = load({}, RULES)
    parts = Parts(**{name: getattr(wanted, name) for name in RULES})
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
    end_ms = max(event.ts_ms for event in events) // STEP_MS * STEP_MS + STEP_MS
    parts.exchange.update(WATERMARK_KEY, str(end_ms).encode())
    while parts.alignment.is_overdue:
        await parts.round()
    return [flag for one in parts.fake.producer.of("influence.flags") if (flag := flag_in(one.value or b"", NO_TIME))]


@pytest.mark.parametrize("seed", range(4))
async def test_however_a_stream_comes_in_its_flags_are_those_of_the_backtest(seed: int) -> None:
    events = events_of(seed, 500)
    wanted = seen(backtest(events, load({}, RULES)).flags)
    assert len(wanted) > 20
    assert seen(await played(events, random.Random(seed))) == wanted


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
