"""From raw records to the ledger: what is counted, and what goes to the dead letters and the late events."""

from collections.abc import Callable
from typing import Any
from unittest.mock import call

import msgspec
import pytest

from stream_app.core.events.dead_letter import DeadLetter, Shared, read
from stream_app.core.state.watermark import BatchCounts
from stream_app.kafka.records import Partition
from stream_app.logs.repeats import Repeats
from stream_app.ops.dead_letters.origins import runs_of
from stream_app.settings.secret import Secret
from tests.unit.engine.fakes import NOW_MS, PARTITION, Written, post, posts, record, user_of
from tests.unit.engine.parts import CHANGELOG, Parts

POSTS, SHARES = "influence.posts", "influence.shares"
DEAD, LATE = "influence.dead-letters", "influence.late"
USER = user_of(PARTITION)
DAY_MS = 86_400_000


def event(**fields: Any) -> bytes:
    return msgspec.json.encode({"event_id": "e", "ts": NOW_MS, "user_id": USER, **fields})


BAD: dict[str, tuple[bytes | None, str]] = {
    "broken JSON": (b'{"event_id":"e"', "not-json"),
    "an array": (b"[1,2]", "invalid"),
    "NaN": (b'{"event_id":"e","ts":1,"user_id":"u","audience":NaN}', "not-json"),
    "invalid UTF-8": (b'{"event_id":"e","ts":1,"user_id":"\xff"}', "not-json"),
    "a null value": (None, "empty"),
    "an empty value": (b"", "empty"),
    "no user": (b'{"event_id":"e","ts":1}', "invalid"),
    "a wrong type": (event(topics="phone"), "invalid"),
    "a time without a zone": (event(ts="2024-01-01T00:00:00"), "invalid"),
    "too large": (event(channel="x", post_id="y" * 200, topics=["z" * 200] * 400), "oversized"),
    "ahead of the clock": (event(ts=NOW_MS + 301_000), "ahead-of-clock"),
    "the key of another user": (event(user_id="somebody-else"), "key-not-user"),
}


def headers(dead_letter: Written) -> dict[str, str]:
    return {name.removeprefix("__streams.errors."): value.decode() for name, value in dead_letter.headers}


def counters(parts: Parts, topic: str = POSTS) -> tuple[int, int, int, int]:
    source = parts.ledger.source(topic)
    return source.applied, source.duplicate, source.late, source.rejected


@pytest.mark.parametrize(("value", "reason"), BAD.values(), ids=BAD.keys())
async def test_a_bad_record_goes_to_the_dead_letters_as_it_came(value: bytes | None, reason: str) -> None:
    parts = Parts()
    await parts.count([post(0), record(1, value, USER.encode()), post(2)])
    (dead_letter,) = parts.fake.producer.of(DEAD)
    assert (dead_letter.key, dead_letter.value, dead_letter.partition) == (USER.encode(), value, PARTITION)
    origin = headers(dead_letter)
    assert (origin["topic"], origin["partition"], origin["offset"]) == (POSTS, str(PARTITION), "1")
    assert origin["exception"] == reason
    assert origin["message"]
    assert len(dead_letter.headers) == 5
    assert counters(parts) == (2, 0, 0, 1)
    assert parts.ledger.source(POSTS).position == 3


async def test_every_kind_of_bad_record_at_once_is_counted_once_each() -> None:
    parts = Parts()
    records = [record(place, value, USER.encode()) for place, (value, _) in enumerate(BAD.values())]
    await parts.count([*records, post(len(records))])
    dead_letters = parts.fake.producer.of(DEAD)
    assert [int(headers(dead_letter)["offset"]) for dead_letter in dead_letters] == list(range(len(BAD)))
    assert [headers(dead_letter)["exception"] for dead_letter in dead_letters] == [reason for _, reason in BAD.values()]
    assert counters(parts) == (1, 0, 0, len(BAD))


async def test_a_record_without_a_key_is_not_counted() -> None:
    parts = Parts()
    await parts.count([record(0, event(), None)])
    (dead_letter,) = parts.fake.producer.of(DEAD)
    assert dead_letter.key is None
    assert headers(dead_letter)["exception"] == "key-not-user"
    parts.fake.meter.misrouted.assert_called_once_with(1)


async def test_a_record_in_the_partition_of_others_is_not_counted() -> None:
    parts = Parts()
    await parts.count([post(0, user=user_of(PARTITION + 1))])
    (dead_letter,) = parts.fake.producer.of(DEAD)
    assert headers(dead_letter)["exception"] == "wrong-partition"
    assert "partitioner" in headers(dead_letter)["message"]
    assert counters(parts) == (0, 0, 0, 1)


async def test_with_any_partitioner_only_the_key_is_compared() -> None:
    parts = Parts(partitioner="any")
    await parts.count([post(0, user=user_of(PARTITION + 1))])
    assert counters(parts) == (1, 0, 0, 0)


async def test_an_event_a_little_ahead_of_the_clock_is_counted() -> None:
    parts = Parts()
    await parts.count([post(0, ts_ms=NOW_MS + 299_000)])
    assert counters(parts) == (1, 0, 0, 0)


async def test_an_event_ahead_of_the_clock_does_not_move_the_window() -> None:
    parts = Parts()
    await parts.count([post(0, ts_ms=NOW_MS), post(1, ts_ms=NOW_MS + 3652 * DAY_MS), post(2, ts_ms=NOW_MS)])
    assert counters(parts) == (2, 0, 0, 1)
    assert parts.ledger.horizon == NOW_MS


async def test_dead_letters_are_in_kafka_before_the_delta_is_written() -> None:
    parts = Parts()
    written = len(parts.fake.producer.steps)
    await parts.count([post(0), record(1, b"{", USER.encode())])
    assert parts.fake.producer.steps[written:] == [DEAD, "flush", CHANGELOG]


async def test_late_events_are_in_kafka_before_the_delta_is_written() -> None:
    parts = Parts()
    written = len(parts.fake.producer.steps)
    await parts.count([post(0), post(1, ts_ms=NOW_MS - 2 * DAY_MS)])
    assert parts.fake.producer.steps[written:] == [LATE, "flush", CHANGELOG]
    (dead_letter,) = parts.fake.producer.of(LATE)
    assert headers(dead_letter)["offset"] == "1"
    assert headers(dead_letter)["exception"] == "late"
    assert dead_letter.value == post(1, ts_ms=NOW_MS - 2 * DAY_MS).value
    assert counters(parts) == (1, 0, 1, 0)


async def test_the_late_one_is_found_among_bad_records() -> None:
    parts = Parts()
    bad = record(0, b"{", USER.encode())
    await parts.count([bad, post(1), record(2, None, USER.encode()), post(3, ts_ms=NOW_MS - 2 * DAY_MS)])
    assert [headers(dead_letter)["offset"] for dead_letter in parts.fake.producer.of(LATE)] == ["3"]
    assert counters(parts) == (1, 0, 1, 2)


async def test_the_same_event_at_another_offset_is_a_duplicate() -> None:
    parts = Parts()
    await parts.count([post(0, event_id=5), post(1, event_id="5"), post(2, event_id=6)])
    assert counters(parts) == (2, 1, 0, 0)


@pytest.mark.parametrize("again", [0, 2, 3])
async def test_records_read_are_reported_as_they_come_from_kafka_also_those_skipped(again: int) -> None:
    """The only count that owes nothing to the ledger: what became of them is to add up to it."""
    parts = Parts()
    await parts.count(posts(range(3)))
    read = parts.fake.meter.read
    assert sum(call.args[1] for call in read.call_args_list) == 3
    read.reset_mock()
    await parts.count(posts(range(3 - again, 5)))
    assert sum(call.args[1] for call in read.call_args_list) == 2 + again
    assert parts.fake.meter.skipped.call_args.args == (POSTS, again)


async def test_the_results_of_a_batch_are_reported() -> None:
    parts = Parts()
    await parts.count([post(0), post(0 + 1, audience=None), record(2, b"", USER.encode())])
    (topic, counts, seconds), _ = parts.fake.meter.batch.call_args
    assert topic == POSTS
    assert counts == BatchCounts(applied=2, duplicate=0, late=0, rejected=1, unknown=1)
    assert seconds > 0


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b + b"\xff", lambda _: b'{"a":' * 5000])
async def test_nothing_that_a_record_holds_raises(damage: Callable[[bytes], bytes]) -> None:
    parts = Parts()
    await parts.count([record(0, damage(event()), USER.encode())])
    assert counters(parts) == (0, 0, 0, 1)


def news(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines that a worker shows at once."""
    repeats = Repeats()
    return [line.getMessage() for line in caplog.records if repeats.is_news(line, 0.0)]


async def test_many_bad_records_are_logged_once_for_every_topic_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts()
    for offset in range(9):
        for topic, value in ((POSTS, b"{"), (SHARES, b"{" if offset < 5 else b"")):
            await parts.count([record(offset, value, USER.encode(), topic)])
    assert [line.split()[5].rpartition("-")[0] for line in news(caplog)] == [POSTS, SHARES, SHARES]


async def test_no_log_line_about_a_loss_is_suppressed(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts()
    for first in (5, 9):
        parts.fake.kafka.began[Partition(POSTS, PARTITION)] = first
        await parts.count(posts([first]))
    assert [line.partition(": ")[2][:14] for line in news(caplog)] == ["offsets 0 to 4", "offsets 6 to 8"]


@pytest.mark.parametrize(
    ("value", "attempts"), [(b"2", "2"), (b"0", None), (b"x", None), (None, None), (b"9" * 99, None)]
)
async def test_a_dead_letter_carries_on_how_often_its_record_was_replayed(
    value: bytes | None, attempts: str | None
) -> None:
    parts = Parts()
    replayed = [("other", b"\xff"), ("__streams.errors.attempts", value)]
    await parts.count([post(0), record(1, b"{", USER.encode(), headers=replayed), post(2)])
    (dead_letter,) = parts.fake.producer.of(DEAD)
    assert headers(dead_letter).get("attempts") == attempts
    assert "other" not in headers(dead_letter)


async def test_a_huge_batch_of_bad_records_is_counted_in_parts_with_few_letters() -> None:
    parts = Parts(dead_letters_per_s=10)
    await parts.count([*(record(offset, b"x", None) for offset in range(50_000)), post(50_000)])
    letters = [read(each.key, each.value, each.headers) for each in parts.fake.producer.of(DEAD)]
    assert len(letters) == 100 + 3
    places = [
        offset
        for letter in letters
        if isinstance(letter, DeadLetter)
        for first, last in runs_of(letter)
        for offset in range(first, last + 1)
    ]
    assert places == list(range(50_000))
    assert counters(parts) == (1, 0, 0, 50_000)
    assert parts.ledger.source(POSTS).position == 50_001
    read_ = parts.fake.meter.read.call_args_list
    assert [call.args[1] for call in read_] == [20_000, 20_000, 10_001]
    assert parts.fake.meter.bound_hit.call_args_list == [call("dead_letters_per_s")] * 3


async def test_a_record_of_10_megabytes_is_set_aside_shortened() -> None:
    parts = Parts()
    await parts.count([record(0, b"x" * 10_000_000, USER.encode())])
    (letter,) = parts.fake.producer.of(DEAD)
    assert letter.value is None
    assert sum(len(value) for _, value in letter.headers) < 10_000
    found = headers(letter)
    assert (found["value.bytes"], found["key.bytes"]) == ("10000000", str(len(USER)))
    assert counters(parts) == (0, 0, 0, 1)
    parts.fake.meter.bound_hit.assert_called_once_with("dead_letter_bytes")


async def test_late_events_beyond_the_budget_share_a_letter_too() -> None:
    parts = Parts(dead_letters_per_s=1)
    await parts.count([post(0), *(post(offset, ts_ms=NOW_MS - 9 * DAY_MS) for offset in range(1, 101))])
    letters = [read(each.key, each.value, each.headers) for each in parts.fake.producer.of(LATE)]
    assert len(letters) == 11
    assert isinstance(letters[-1], DeadLetter)
    assert letters[-1].shared == Shared(100, {"late": 90}, [(11, 100)])
    assert counters(parts) == (1, 0, 100, 0)


async def test_an_error_that_quotes_the_record_is_cut() -> None:
    parts = Parts()
    await parts.count([record(0, event(kind="x" * 60_000), USER.encode())])
    (letter,) = parts.fake.producer.of(DEAD)
    assert len(headers(letter)["message"]) == 500


async def test_with_pseudonyms_no_letter_holds_any_of_the_record() -> None:
    parts = Parts(pseudonyms=True, person_key=Secret("0123456789abcdef"))
    await parts.count([record(0, b"x" * 10_000_000, USER.encode())])
    (letter,) = parts.fake.producer.of(DEAD)
    assert (letter.key, letter.value) == (None, None)
    assert set(headers(letter)) == {"topic", "partition", "offset", "exception", "message"}
