"""Evidence: only counted events are shown, and missing records are reported."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from stream_app.core.queries import ScopeName
from stream_app.kafka.topic_reader import Bounds, Partitions
from stream_app.serving.api.users import evidence
from stream_app.serving.api.users.evidence import EvidenceReader
from stream_app.serving.api.users.why_response import Evidence
from stream_app.settings import Settings
from tests.unit.serving.api.flags.flags_topic import Record, nobody

NOW_MS = 1_767_225_600_000
WINDOW_MS = (NOW_MS - 3_600_000, NOW_MS)
TEA = ScopeName("all", "tea")


class Topic(Partitions):
    """Records of one partition; what was before `first` was deleted."""

    def __init__(self, records: Iterable[Record], first: int = 0) -> None:
        self.records = [*records]
        self.first = first
        self.read: list[int] = []
        """Where it has been read from and to."""

    async def bounds(self) -> dict[int, Bounds]:
        return {2: Bounds(self.first, self.first + len(self.records))}

    async def offset_at(self, _partition: int, time_ms: int) -> int | None:
        return next((one.offset for one in self.records if one.timestamp >= time_ms), None)

    def seek(self, _partition: int, offset: int) -> None:
        self.read.append(offset)

    async def position(self, _partition: int) -> int:
        return self.read[-1]

    async def fetch(self) -> AsyncIterator[tuple[int, Sequence[Record]]]:
        found = [one for one in self.records if one.offset >= self.read[-1]][:10]
        self.read.append(self.read[-1] + len(found))
        yield 2, found


def a_post(offset: int, *, key: str = "ann", at_ms: int = NOW_MS - 60_000, stamp_ms: int = 0, **fields: Any) -> Record:
    event = {"event_id": offset, "ts": at_ms, "user_id": "ann", "topics": ["Tea "], "impressions": offset, **fields}
    return Record(offset, stamp_ms or at_ms, key.encode(), msgspec.json.encode(event))


async def found(
    posts: Iterable[Record],
    shares: Iterable[Record] = (),
    *,
    retractions: Iterable[Record] = (),
    first: int = 0,
    erased: Any = nobody,
    **settings: Any,
) -> Evidence:
    """What is found of ann's tea."""
    topics = {
        "influence.posts": Topic(posts, first),
        "influence.shares": Topic(shares),
        "influence.retractions": Topic(retractions),
    }

    @asynccontextmanager
    async def opened(name: str, numbers: Sequence[int]) -> AsyncIterator[Topic]:
        assert list(numbers) == [2]
        yield topics[name]

    return await EvidenceReader(Settings(**settings), opened, erased).of("ann", 2, TEA, WINDOW_MS)


async def test_only_what_was_counted_is_shown() -> None:
    evidence = await found(
        [
            a_post(0),
            a_post(1, key="bob"),
            a_post(2, user_id="bob"),
            a_post(3, topics=["coffee"]),
            a_post(4, population="staff"),
            a_post(5, at_ms=WINDOW_MS[0] - 1, stamp_ms=NOW_MS),
            a_post(6, at_ms=NOW_MS),
            a_post(7, at_ms=NOW_MS - 1000, stamp_ms=NOW_MS - 400_000),
            a_post(8, kind="share"),
            a_post(9, note="x" * 70_000),
            Record(10, NOW_MS, b"ann", b"no JSON"),
            Record(11, NOW_MS, b"ann", None),
            Record(12, NOW_MS, None, a_post(12).value),
            a_post(13, event_id=0, impressions=99),
            a_post(14, at_ms=WINDOW_MS[0]),
            a_post(15, at_ms=NOW_MS - 1000, stamp_ms=NOW_MS - 200_000),
            a_post(16, impressions=None, audience=-1),
        ]
    )
    assert [one.impressions for one in evidence.posts] == [15, 14, 0, None]
    assert (evidence.found, evidence.shares, evidence.is_complete) == (4, [], True)


async def test_what_was_taken_back_is_not_shown() -> None:
    def retraction(offset: int, **fields: Any) -> Record:
        what = {"kind": "retract", "of": "comment", "event_id": offset, "ts": NOW_MS, "user_id": "ann", **fields}
        return Record(offset, NOW_MS, b"ann", msgspec.json.encode(what))

    retractions = [retraction(0), retraction(1, of="share"), Record(2, NOW_MS, b"bob", retraction(2).value)]
    events = [a_post(number) for number in range(3)]
    evidence = await found(events, events, retractions=[*retractions, Record(3, NOW_MS, b"ann", b"{")])
    assert [one.impressions for one in evidence.posts] == [2, 1]
    assert [one.impressions for one in evidence.shares] == [2, 0]


async def test_events_in_the_window_that_arrived_before_it_are_found() -> None:
    """The clock of a producer may be ahead by as much as events may be."""
    old = [a_post(number, at_ms=WINDOW_MS[0] - 10_000_000) for number in range(5)]
    early = a_post(5, at_ms=WINDOW_MS[0], stamp_ms=WINDOW_MS[0] - 290_000)
    evidence = await found([*old, early])
    assert [one.impressions for one in evidence.posts] == [5]
    assert evidence.read_records == 1


async def test_of_very_many_records_only_the_newest_are_read_and_the_note_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "_MOST_RECORDS", 20)
    some = await found(a_post(number) for number in range(50))
    assert (some.found, some.read_records, some.is_complete) == (20, 20, False)
    assert some.note == "only the newest 20 records of influence.posts were read"


async def test_records_that_kafka_may_have_deleted_are_reported() -> None:
    some = await found([a_post(number) for number in range(7, 9)], first=7)
    assert (some.found, some.is_complete) == (2, False)
    assert "deleted some of influence.posts" in some.note
    before = a_post(7, at_ms=WINDOW_MS[0] - 10_000_000)
    assert (await found([before, a_post(8)], first=7)).is_complete


async def test_reading_that_takes_too_long_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_PATIENCE_S", -1.0)
    some = await found(a_post(number) for number in range(5))
    assert (some.found, some.is_complete) == (0, False)
    assert some.note == "reading influence.posts took too long: the newest of it is missing"


@pytest.mark.parametrize("error", [KafkaConnectionError("away"), TimeoutError(), OSError("refused")])
async def test_without_kafka_there_is_an_answer(error: Exception) -> None:
    @asynccontextmanager
    async def opened(name: str, _numbers: Sequence[int]) -> AsyncIterator[Topic]:
        if name:
            raise error
        yield Topic([])

    some = await EvidenceReader(Settings(), opened, nobody).of("ann", 2, TEA, WINDOW_MS)
    assert (some.posts, some.found, some.is_complete) == ([], 0, False)
    assert some.note.startswith("Kafka does not answer")


async def test_authors_who_were_erased_are_not_named() -> None:
    def erased(users: Iterable[str]) -> set[str]:
        return {"bob"}.intersection(users)

    shares = [
        a_post(1, kind="share", author_id="bob", post_id="p1"),
        a_post(2, kind="share", author_id="eve", post_id="p2"),
    ]
    some = await found([], shares, erased=erased)
    assert [(one.author_id, one.post_id) for one in some.shares] == [("eve", "p2"), (None, None)]


async def test_an_answer_is_remembered_for_a_moment_and_what_is_asked_otherwise_is_not() -> None:
    opened_topics: list[str] = []

    @asynccontextmanager
    async def opened(name: str, _numbers: Sequence[int]) -> AsyncIterator[Topic]:
        opened_topics.append(name)
        yield Topic([a_post(1)])

    evidences = EvidenceReader(Settings(), opened, nobody)
    first = await evidences.of("ann", 2, TEA, WINDOW_MS)
    assert await evidences.of("ann", 2, TEA, WINDOW_MS) == first
    assert len(opened_topics) == 3
    await evidences.of("ann", 2, ScopeName("all", "*"), WINDOW_MS)
    assert len(opened_topics) == 6
