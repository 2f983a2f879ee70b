"""Events in order are not late because another source was read first: a window asks before it moves far."""

from stream_app.core.state.watermark import NO_TIME
from stream_app.kafka.records import Partition
from tests.unit.engine.fakes import NOW_MS, PARTITION, post
from tests.unit.engine.parts import Parts

POSTS, SHARES = "influence.posts", "influence.shares"
HOUR_MS = 3_600_000
LONG_AGO_MS = NOW_MS - 500 * HOUR_MS


def parts_of(posts_end: int) -> Parts:
    """A window of a day; the last fetch has said that all is read, and Kafka would say where posts end."""
    parts = Parts(window_s=24 * 3600.0, pane_s=3600.0, short_s=7200.0)
    parts.fake.kafka.ended[Partition(POSTS, PARTITION)] = posts_end
    parts.fake.kafka.end = lambda tp: 0  # type: ignore[method-assign]  # noqa: ARG005  # as of the last fetch
    return parts


def counted(parts: Parts, topic: str = POSTS) -> tuple[int, int]:
    source = parts.ledger.source(topic)
    return source.applied, source.late


async def test_a_topic_is_not_late_although_another_was_counted_first_far_ahead_of_it() -> None:
    """A producer that makes up for an outage has appended two days of both since something was fetched."""
    parts = parts_of(9)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    await parts.count([post(0, ts_ms=LONG_AGO_MS + 48 * HOUR_MS, topic=SHARES)])
    await parts.round()
    await parts.count([post(1, ts_ms=LONG_AGO_MS + HOUR_MS)])
    assert counted(parts) == (2, 0)


async def test_a_partition_is_not_late_although_the_others_are_far_ahead_of_it() -> None:
    parts = parts_of(9)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    parts.exchange.update(b"watermark", str(NOW_MS).encode())
    await parts.round()
    await parts.count([post(1, ts_ms=LONG_AGO_MS + HOUR_MS)])
    assert counted(parts) == (2, 0)


async def test_a_window_moves_on_with_the_newest_event_if_nothing_more_is_to_be_read() -> None:
    parts = parts_of(1)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    parts.exchange.update(b"watermark", str(NOW_MS).encode())
    await parts.round()
    assert parts.ledger.horizon == NOW_MS
    assert parts.ledger.lagging == set()


async def test_a_window_waits_for_the_answer_to_a_question_that_was_asked_after_the_doubt_arose() -> None:
    parts = parts_of(2)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    before_ms, parts.fake.broker.answers = parts.ledger.horizon, False
    await parts.count([post(1, ts_ms=LONG_AGO_MS + 23 * HOUR_MS)])
    await parts.round()
    assert counted(parts) == (2, 0)
    assert parts.ledger.horizon == before_ms
    parts.fake.broker.answers = True
    await parts.round()
    assert parts.ledger.horizon == LONG_AGO_MS + 23 * HOUR_MS


async def test_a_window_follows_a_long_past_although_one_topic_has_no_events_at_all() -> None:
    """Each answer lets it go as far as it was about to: panes do not pile up."""
    parts = parts_of(1000)
    for number in range(48 * 4):
        parts.fake.broker.answers = number % 8 == 0
        await parts.count([post(number, ts_ms=LONG_AGO_MS + number * HOUR_MS // 4)])
    assert parts.ledger.horizon > LONG_AGO_MS + 40 * HOUR_MS
    assert len(parts.ledger.panes) < 40
    assert parts.ledger.source(SHARES).watermark == NO_TIME


async def test_nobody_is_asked_while_time_passes_as_usual() -> None:
    parts = parts_of(1000)
    await parts.count([post(0, ts_ms=LONG_AGO_MS)])
    asked = parts.fake.broker.questions
    for number in range(1, 120):
        await parts.count([post(number, ts_ms=LONG_AGO_MS + number * 60_000)])
    assert parts.fake.broker.questions == asked


async def test_a_source_that_kafka_keeps_saying_is_read_up_is_not_doubted_however_far_the_window_gets() -> None:
    """Else cuts at the end of a pane would have events of the next: they are counted while the window waits."""
    parts = parts_of(1000)
    for hour in range(100):
        parts.fake.broker.number += 1
        await parts.count([post(hour, ts_ms=LONG_AGO_MS + hour * HOUR_MS)])
        assert hour == 0 or parts.ledger.horizon == LONG_AGO_MS + hour * HOUR_MS
