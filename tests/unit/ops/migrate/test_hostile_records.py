"""What others may have written to the topics that a migration reads does not end it."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition

from stream_app.core.changelog.standing_records import key_of
from stream_app.core.messages import Role
from stream_app.kafka.topic_scan import Span
from stream_app.ops.migrate import handover, input_copy
from stream_app.ops.migrate.published_curves import WATERMARK_KEY, PublishedCurves
from stream_app.settings import Settings
from tests.board_samples import a_cut
from tests.unit.core.exchange.test_exchange_reader import a_status


@pytest.mark.parametrize("value", [b"soon", b"9" * 30, b"-1", b"\xff", b"1 000", b""])
def test_a_watermark_that_is_none_is_left_out(value: bytes) -> None:
    curves = PublishedCurves(Settings(), None)
    curves._take(WATERMARK_KEY, b"1475712000000")
    curves._take(WATERMARK_KEY, value)
    assert curves.newest_ms == 1_475_712_000_000


def test_unreadable_records_are_left_out_of_the_figures(caplog: pytest.LogCaptureFixture) -> None:
    pairs = [(b"status/3", b"\xc1"), (None, b"x"), (b"cut/x", None), (b"cut/x", b"\xc1")]
    pairs += [(b"status/3", a_status(partition=2**40)), (b"status/3", a_status(users=7))]
    found = [
        SimpleNamespace(topic="c", partition=0, offset=at, key=key, value=value)
        for at, (key, value) in enumerate(pairs)
    ]
    curves = PublishedCurves(Settings(), None)
    tea, cars = (msgspec.json.encode(a_cut(topic)) for topic in ("tea", "cars"))
    published: list[tuple[bytes | None, bytes | None]] = [
        *((b'["tea","all","maven"]', tea), (b'["tea","all"]', tea), (b'["cars","all","maven"]', b"{}"), (None, cars)),
        *((b'["gone","all","maven"]', cars), (b'["gone","all","maven"]', None)),
    ]
    cuts = [
        SimpleNamespace(topic="c", partition=0, offset=at, key=key, value=value)
        for at, (key, value) in enumerate(published)
    ]
    curves._tail = SimpleNamespace(unread=lambda: iter(found))  # type: ignore[assignment]
    curves._cuts_tail = SimpleNamespace(unread=lambda: iter(cuts))  # type: ignore[assignment]
    assert curves.refresh() == len(found) + len(cuts)
    assert list(curves.figures()) == [("tea", "all", "maven")]
    assert curves.users == 7
    assert caplog.text.count("left out the record at offset 0") == len(caplog.records) == 1


def records(monkeypatch: pytest.MonkeyPatch, module: Any, *found: Any) -> None:
    monkeypatch.setattr(module, "read", lambda *_: iter(found))
    monkeypatch.setattr(module, "spans", lambda *_: {TopicPartition("x", 0): Span(0, len(found))})
    monkeypatch.setattr(module, "partitions_of", lambda *_: [])


def test_an_origin_that_is_none_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = [b"3/17", b"", None, b"3", b"x/1", b"-1/2", b"1/" + b"9" * 30]
    found = [SimpleNamespace(headers=[("stream-app.migrated-from", value)]) for value in headers]
    records(monkeypatch, input_copy, *found)
    plan: Any = SimpleNamespace(after=Settings())
    assert [origin for _, origin in input_copy._copies(plan, None)] == [(3, 17)]


def test_of_standings_the_last_value_of_each_key_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ann, bob = (key_of(user, "tea", "all", Role.MAVEN) for user in ("ann", "bob"))
    written = [(ann, b"1"), (bob, b"2"), (None, b"3"), (ann, None), (bob, b"4")]
    found = [SimpleNamespace(key=key, value=value, partition=5) for key, value in written]
    records(monkeypatch, handover, *found)
    assert handover._newest(None, "standings") == {bob: (5, b"4")}
