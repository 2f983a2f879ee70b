"""The flag log: from any position exactly the missed flags, once, in order, on any worker; gaps are reported."""

import asyncio
from operator import attrgetter
from typing import NamedTuple
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.messages import Flag, FlagType
from stream_app.serving.api.flags import flag_log, flag_reader
from stream_app.serving.api.flags.flag_log import FlagAbout, FlagLog, LoggedFlag, Subscriber
from stream_app.serving.api.params import FlagParams
from tests.board_samples import a_flag
from tests.unit.serving.api.flags.flags_topic import FlagsTopic, followed, nobody

PARTITIONS = 3
SEVERAL = 200


class Raised(NamedTuple):
    """A record of the topic."""

    partition: int
    flag: Flag | None


@st.composite
def raised(draw: st.DrawFn, most: int = 25) -> list[Raised]:
    """Flags whose times are out of order, repeats of earlier ones, and what is no flag."""
    records: list[Raised] = []
    for number in range(draw(st.integers(0, most))):
        partition = draw(st.integers(0, PARTITIONS - 1))
        known = [one.flag for one in records if one.partition == partition and one.flag]
        kind = draw(st.sampled_from(["new", "new", "new", "again", "junk"]))
        if kind == "junk":
            records.append(Raised(partition, None))
        elif kind == "again" and known:
            records.append(Raised(partition, draw(st.sampled_from(known))))
        else:
            flag = a_flag(f"u{number}", flag_id=f"f{number}")
            records.append(Raised(partition, msgspec.structs.replace(flag, detected_at=draw(st.integers(0, 9)))))
    return records


def topic_of(records: list[Raised], batch: int = 3) -> FlagsTopic:
    topic = FlagsTopic(PARTITIONS, batch)
    for partition, flag in records:
        topic.append(partition, flag)
    return topic


async def read(
    records: list[Raised], later: list[Raised] | None = None, batch: int = 3
) -> tuple[FlagLog, list[LoggedFlag]]:
    """What a worker knows that finds `records` and sees the `later` ones come; and what it would send of these."""
    topic, log = topic_of(records, batch), FlagLog(nobody)
    sent = []
    async with followed(topic, log):
        with log.subscription() as subscriber:
            for partition, flag in later or []:
                topic.append(partition, flag)
            await topic.has_been_read(log)
            while entry := await subscriber.take(0.001):
                sent.append(entry)
    return log, sent


def ids(entries: list[LoggedFlag]) -> list[str]:
    return [entry.flag.flag_id for entry in entries]


def in_order(entries: list[LoggedFlag]) -> bool:
    """Whether the flags of each partition come as they stand on Kafka."""
    offsets = [[entry.offset for entry in entries if entry.partition == number] for number in range(PARTITIONS)]
    return all(of_one == sorted(of_one) for of_one in offsets)


@given(raised(), st.integers(0, 25), st.integers(0, 25), st.integers(1, 4))
def test_a_reader_goes_on_on_another_worker_exactly_where_it_was(
    records: list[Raised], old: int, other_old: int, batch: int
) -> None:
    async def check() -> None:
        log, _ = await read(records[:old], records[old:])
        other, _ = await read(records[:other_old], records[other_old:], batch)
        everything = ids(log.last(SEVERAL))
        assert sorted(everything) == sorted({one.flag.flag_id for one in records if one.flag})
        assert in_order(log.last(SEVERAL))
        for place, entry in enumerate(log.last(SEVERAL)):
            missing, missed = other.after(entry.position)
            assert missing == 0
            assert sorted(ids(missed)) == sorted(everything[place + 1 :])
            assert in_order(missed)
        assert other.after(other.position) == (0, [])

    asyncio.run(check())


@given(raised(), st.integers(0, 25))
def test_a_subscriber_is_sent_new_flags_and_no_earlier_ones(records: list[Raised], old: int) -> None:
    async def check() -> None:
        log, sent = await read(records[:old], records[old:])
        before = {one.flag.flag_id for one in records[:old] if one.flag}
        assert sorted(ids(sent)) == sorted({one.flag.flag_id for one in records[old:] if one.flag} - before)
        assert in_order(sent)
        assert ids(log.last(SEVERAL))[len(before) :] == ids(sent)

    asyncio.run(check())


@given(raised(), st.integers(1, 6), st.integers(0, 25))
def test_flags_that_a_log_no_longer_keeps_are_reported_as_a_gap(records: list[Raised], kept: int, old: int) -> None:
    async def check() -> None:
        log, _ = await read(records)
        with patch.object(flag_log, "KEPT", kept):
            other, _ = await read(records[:old], records[old:])
        remembered = set(ids(other.last(SEVERAL)))
        assert len(remembered) <= kept
        times = [entry.flag.detected_at for entry in other.last(SEVERAL)]
        assert [other.detected_since(ms) for ms in range(11)] == [sum(time >= ms for time in times) for ms in range(11)]
        everything = ids(log.last(SEVERAL))
        for place, entry in enumerate(log.last(SEVERAL)):
            missing, missed = other.after(entry.position)
            lost = set(everything[place + 1 :]) - set(ids(missed))
            assert not lost or missing >= len(lost)
            assert lost.isdisjoint(remembered)
            assert len(ids(missed)) == len(set(ids(missed)))
            assert in_order(missed)

    asyncio.run(check())


def test_a_log_that_has_forgotten_says_since_when_it_knows_all() -> None:
    async def check() -> None:
        records = [
            Raised(0, msgspec.structs.replace(a_flag(flag_id=f"f{number}"), detected_at=number)) for number in range(9)
        ]
        log, _ = await read(records)
        assert log.since(FlagParams()) is None
        with patch.object(flag_log, "KEPT", 4):
            log, _ = await read([], records)
        assert log.since(FlagParams()) == 4
        assert [log.detected_since(since_ms) for since_ms in (0, 4, 6, 9)] == [4, 4, 3, 0]
        assert [flag.detected_at for flag in log.newest(FlagParams(), SEVERAL)] == [8, 7, 6, 5]
        assert [flag.detected_at for flag in log.newest(FlagParams(), SEVERAL, since_ms=6)] == [8, 7]
        assert [flag.detected_at for flag in log.newest(FlagParams(), 1)] == [8]

    asyncio.run(check())


def test_the_last_flags_of_a_type_are_kept_however_many_of_another_follow() -> None:
    async def check() -> None:
        kinds = [FlagType.EMERGING] * 3 + [FlagType.ENTERED] * 9
        flags = [a_flag(flag_id=f"f{number}", flag_type=kind) for number, kind in enumerate(kinds)]
        records = [Raised(0, msgspec.structs.replace(flag, detected_at=at)) for at, flag in enumerate(flags)]
        with patch.object(flag_log, "KEPT", 4), patch.object(flag_log, "KEPT_OF_TYPE", 2):
            log, _ = await read([], [*records, records[1]])
        emerging, entered = FlagParams(type=FlagType.EMERGING), FlagParams(type=FlagType.ENTERED)
        assert [flag.detected_at for flag in log.newest(emerging, SEVERAL)] == [2, 1]
        assert [flag.detected_at for flag in log.newest(entered, SEVERAL)] == [11, 10, 9, 8, 7, 6]
        assert [flag.detected_at for flag in log.newest(FlagParams(), SEVERAL)] == [11, 10, 9, 8]
        assert (log.since(emerging), log.since(entered), log.since(FlagParams())) == (0, 5, 7)
        assert log.since(FlagParams(type=FlagType.LEFT)) is None

    asyncio.run(check())


def test_a_log_that_began_in_the_middle_says_since_when_it_knows_all() -> None:
    async def check() -> None:
        flags = [
            (number % 2, msgspec.structs.replace(a_flag(flag_id=f"f{number}"), detected_at=number))
            for number in range(12)
        ]
        with patch.object(flag_reader, "KEPT", 2 * PARTITIONS):
            log, _ = await read([Raised(*one) for one in flags])
        assert [flag.detected_at for flag in log.newest(FlagParams(), SEVERAL)] == [11, 10, 9, 8]
        assert log.since(FlagParams()) == log.since(FlagParams(type=FlagType.LEFT)) == 9

    asyncio.run(check())


def test_a_position_of_fewer_partitions_begins_the_others_at_their_beginning() -> None:
    async def check() -> None:
        log, _ = await read([Raised(0, a_flag(flag_id="f0")), Raised(2, a_flag(flag_id="f2"))])
        assert ids(log.after("1")[1]) == ["f2"]
        assert ids(log.after("0.0.0")[1]) == ["f0", "f2"]
        assert ids(log.after("1.0.1.7")[1]) == []

    asyncio.run(check())


@pytest.mark.parametrize("position", ["", "x", "-1", "1..2", "1_0", "٣", "9" * 19, " 1"])
def test_an_invalid_position_is_refused(position: str) -> None:
    with pytest.raises(ValueError, match="offset"):
        FlagLog(nobody).after(position)


async def test_a_slow_subscriber_is_cut_off_with_a_bounded_queue() -> None:
    subscriber = Subscriber()
    entry = LoggedFlag(0, 0, FlagAbout.of(a_flag()), "1", b"")
    for _ in range(10 * flag_log._MOST_WAITING):
        subscriber.put(entry)
    assert subscriber.is_lagging
    assert subscriber._waiting.qsize() == flag_log._MOST_WAITING + 1


async def test_flags_of_somebody_erased_are_not_sent() -> None:
    log = FlagLog(lambda users: {"ann"} & set(users))
    topic = topic_of([Raised(0, a_flag("ann", flag_id="f0")), Raised(0, a_flag("bob", flag_id="f1"))])
    async with followed(topic, log):
        assert [flag.user_id for flag in log.newest(FlagParams(), 1)] == ["bob"]
        assert [entry.flag.user_id for entry in log.last(2)] == ["bob"]
        assert [log.hides(entry) for entry in log._entries] == [True, False]


async def test_what_is_found_is_the_whole_flag_as_it_was_written() -> None:
    flags = [a_flag("ann", flag_id="f0", topic="a\ndata: b"), a_flag("bob", flag_id="f1", eta_s=None)]
    topic, log = topic_of([Raised(0, flag) for flag in flags]), FlagLog(nobody)
    async with followed(topic, log):
        assert sorted(log.newest(FlagParams(), SEVERAL), key=attrgetter("flag_id")) == flags


async def test_flags_that_come_are_reported_once_and_those_that_were_there_are_not() -> None:
    topic, log, seen = topic_of([Raised(0, a_flag("ann", flag_id="f0"))]), FlagLog(nobody), list[str]()
    async with followed(topic, log, lambda flag: seen.append(flag.flag_id)):
        for flag_id in ("f1", "f0", "f1", "f2"):
            topic.append(0, a_flag(flag_id=flag_id))
        await topic.has_been_read(log)
    assert seen == ["f1", "f2"]


def test_every_flag_is_handed_on_once_however_often_it_was_sent() -> None:
    handed = list[tuple[Flag, int]]()
    log = FlagLog(nobody, lambda flag, partition: handed.append((flag, partition)))
    flags = [a_flag("ann", flag_id="f0"), a_flag("bob", flag_id="f1"), a_flag("ann", flag_id="f0")]
    for offset, flag in enumerate(flags):
        log.add(3, offset, flag, b"{}")
    assert handed == [(flag, 3) for flag in flags[:2]]
