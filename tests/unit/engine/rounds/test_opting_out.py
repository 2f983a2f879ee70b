"""Opting out and back in: nobody who is out counts, and who is back counts from then on."""

from stream_app.core.privacy import erasures
from stream_app.core.privacy.erasures import ErasureRecord, MarkedAs
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.engine.rounds.busy_time import BusyTime
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, user_of
from tests.unit.engine.packing import fetched
from tests.unit.engine.parts import Parts
from tests.unit.engine.rounds.test_partition_eraser import KEY, counters, new_parts

ANN, BOB = user_of(PARTITION, 0), user_of(PARTITION, 1)
PERSONS = PersonHashes(KEY)


def read(parts: Parts, records: list[ErasureRecord]) -> None:
    """Let the worker read marks."""
    known = parts.fake.erasures
    for key, value in records:
        known.update(key, value, known.position)


async def test_who_opts_out_leaves_the_ledger_and_counts_again_once_they_are_back() -> None:
    parts = new_parts()
    await parts.count([post(0, user=ANN), post(1, user=BOB)])
    await parts.round()
    read(parts, erasures.opt_out(PERSONS, ANN, NOW_MS))
    await parts.round()
    assert ANN not in parts.ledger.users
    await parts.count([post(2, user=ANN), post(3, user=BOB)])
    assert counters(parts) == (3, 0, 0, 1)
    read(parts, erasures.opt_in(PERSONS, ANN))
    await parts.round()
    assert parts.ledger.erased == parts.fake.erasures.position
    await parts.count([post(4, user=ANN)])
    assert counters(parts) == (4, 0, 0, 1)
    assert parts.ledger.users.names.count(ANN) == 1


async def test_who_opts_out_has_no_standing_any_more() -> None:
    parts = new_parts()
    await parts.count([*(post(number, user=ANN) for number in range(9)), post(9, user=BOB)])
    for _ in range(3):
        await parts.round()
    assert any(ANN.encode() in key for key in parts.fake.standings.of_partition(PARTITION))
    read(parts, erasures.opt_out(PERSONS, ANN, NOW_MS))
    await parts.round()
    assert not any(ANN.encode() in key for key in parts.fake.standings.of_partition(PARTITION))


async def test_who_opts_out_while_events_are_held_is_not_counted_and_who_is_back_is() -> None:
    parts = new_parts()
    parts.fake.context.limit.end_ms = NOW_MS
    next_ms = NOW_MS + 1
    await parts.waiting.take(
        fetched([post(0, user=ANN), post(1, user=BOB, ts_ms=next_ms), post(2, user=ANN, ts_ms=next_ms)])
    )
    await parts.waiting.count_all()
    read(parts, erasures.opt_out(PERSONS, ANN, NOW_MS))
    await parts.updates.publish(BusyTime())
    parts.fake.context.limit.end_ms = next_ms
    await parts.waiting.count_all()
    assert counters(parts) == (0, 0, 0, 1)
    read(parts, erasures.opt_in(PERSONS, ANN))
    await parts.updates.publish(BusyTime())
    parts.fake.context.limit.end_ms = next_ms + 1
    await parts.waiting.count_all()
    assert counters(parts) == (2, 0, 0, 1)


def test_a_mark_says_whether_somebody_is_out_or_erased() -> None:
    (out, _), (erased, _) = erasures.opt_out(PERSONS, ANN, NOW_MS), erasures.erasure(PERSONS, ANN, NOW_MS)
    assert erasures.marked_as(out.value) is MarkedAs.OUT
    assert erasures.marked_as(erased.value) is MarkedAs.ERASED
    assert erasures.marked_as(b"what nobody can read") is MarkedAs.ERASED
    assert erasures.marked_as(None) is MarkedAs.NOTHING
    assert out.key == erased.key
    assert not [text for record in (out, erased) for text in record if ANN.encode() in (text or b"")]
