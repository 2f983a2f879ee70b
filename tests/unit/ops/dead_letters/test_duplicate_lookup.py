"""What the commands that read the curves topic make of records that no worker has written: nothing, and they go on."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition

from stream_app.core.changelog import status
from stream_app.core.events import duplicate_sample
from stream_app.core.events.duplicate_sample import MOST_KEPT, NOWHERE, VERSION, Duplicate, DuplicateSample
from stream_app.core.state.watermark import Source
from stream_app.kafka.topic_scan import TopicTail
from stream_app.ops.dead_letters import duplicate_lookup
from stream_app.ops.erasure import erasure
from stream_app.settings import Settings
from stream_app.sources.worker_progress import WorkerProgress

SETTINGS = Settings()
POSTS = SETTINGS.posts_topic
PARTITIONS = 4


def a_status(partition: int, **given: Any) -> tuple[bytes, bytes]:
    made = status.Status(status.VERSION, partition, {POSTS: Source(**given)}, 10, False, 1, 2, 3, 4)
    return b"status/%d" % partition, status.encode(made)


def a_sample(partition: int, *newest: Duplicate) -> tuple[bytes, bytes]:
    return duplicate_sample.encode(DuplicateSample(VERSION, partition, list(newest)))


def again(number: int, **given: Any) -> Duplicate:
    return msgspec.structs.replace(Duplicate(number, POSTS, number, NOWHERE, 0, 1), **given)


FORGED = [
    (b"status/1", b"\xc1"),
    (b"status/1", b""),
    a_status(2**62, duplicate=7),
    (b"duplicates/1", b"\xc1"),
    (b"duplicates/1", b"\x91" * 100_000),
    a_sample(1, again(1, offset=-1)),
    a_sample(1, again(1, arrived_ms=2**63)),
    a_sample(1, again(1, first_offset=2**62)),
    a_sample(-1, again(1)),
    (None, b"x"),
]


def written(*pairs: tuple[bytes | None, bytes]) -> Iterator[Any]:
    for number, (key, value) in enumerate(pairs):
        yield SimpleNamespace(topic=SETTINGS.curves_topic, partition=0, offset=number, key=key, value=value)


class Tail(TopicTail):
    """Has what was written, once."""

    def __init__(self, *pairs: tuple[bytes | None, bytes]) -> None:
        self._left = written(*pairs)

    def unread(self) -> Iterator[Any]:
        return self._left


def test_duplicates_are_those_of_the_partitions_there_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    many = [again(number) for number in range(3 * MOST_KEPT)]
    beyond = [a_status(PARTITIONS, duplicate=1000), a_sample(PARTITIONS, again(1))]
    records = written(*FORGED, *beyond, a_status(1, duplicate=5), a_sample(2, *many))
    monkeypatch.setattr(duplicate_lookup, "read", lambda *_: records)
    monkeypatch.setattr(duplicate_lookup, "spans", lambda *_: {})
    monkeypatch.setattr(
        duplicate_lookup,
        "partitions_of",
        lambda _, topics: [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)],
    )
    found = duplicate_lookup.sampled(None, SETTINGS)
    assert found.counted == {POSTS: 5, SETTINGS.shares_topic: 0}
    assert found.newest == [(2, one) for one in reversed(many[-MOST_KEPT:])]
    assert len(caplog.records) == 1


def test_a_replay_follows_the_workers_past_a_forged_record() -> None:
    progress = WorkerProgress(Tail(*FORGED, a_status(1, position=5)), SETTINGS.input_topics)
    assert progress.positions()[POSTS, 1] == 5


def test_an_erasure_waits_for_the_workers_past_a_forged_record() -> None:
    assert 1 in erasure._statuses(Tail(*FORGED, a_status(1)), {})
