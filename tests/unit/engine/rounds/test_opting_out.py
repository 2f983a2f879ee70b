"""Opting out and back in: nobody who is out counts, and who is back counts from then on."""

from stream_app.core.privacy import erasures
from stream_app.core.privacy.erasures import ErasureRecord, MarkedAs
from stream_app.core.privacy.pseudonyms import PersonHashes
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, user_of
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


def test_a_mark_says_whether_somebody_is_out_or_erased() -> None:
    (out, _), (erased, _) = erasures.opt_out(PERSONS, ANN, NOW_MS), erasures.erasure(PERSONS, ANN, NOW_MS)
    assert erasures.marked_as(out.value) is MarkedAs.OUT
    assert erasures.marked_as(erased.value) is MarkedAs.ERASED
    assert erasures.marked_as(b"what nobody can read") is MarkedAs.ERASED
    assert erasures.marked_as(None) is MarkedAs.NOTHING
    assert out.key == erased.key
    assert not [text for record in (out, erased) for text in record if ANN.encode() in (text or b"")]
