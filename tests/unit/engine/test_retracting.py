"""From raw records of the retractions topic to the ledger, the dead letters and the erasures."""

from typing import Any

import msgspec
import pytest

from stream_app.core.privacy.erasures import MarkedAs, marked_as, opt_out
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.kafka.records import Partition
from stream_app.settings.secret import Secret
from tests.unit.engine.fakes import NOW_MS, PARTITION, Crash, post, record, user_of
from tests.unit.engine.parts import Parts

POSTS, RETRACTIONS, ERASURES = "influence.posts", "influence.retractions", "influence.erasures"
DEAD, LATE = "influence.dead-letters", "influence.late"
USER, OTHER = user_of(PARTITION), user_of(PARTITION, 1)
DAY_MS = 86_400_000
KEY = "a secret of sixteen"
ERASING: dict[str, Any] = {"erase_by_event": True, "person_key": Secret(KEY)}


def retraction(offset: int, event_id: str, **fields: Any) -> Any:
    what = {"kind": "retract", "of": "post", "event_id": event_id, "ts": NOW_MS, "user_id": USER, **fields}
    return record(offset, msgspec.json.encode(what), USER.encode(), RETRACTIONS)


def erasure(offset: int, user: str = USER) -> Any:
    what = {"kind": "erase", "ts": NOW_MS, "user_id": user}
    return record(offset, msgspec.json.encode(what), user.encode(), RETRACTIONS)


def counters(parts: Parts, topic: str = RETRACTIONS) -> tuple[int, ...]:
    source = parts.ledger.source(topic)
    assert source.read == source.position
    return source.applied, source.duplicate, source.late, source.rejected, source.unknown


def reasons(parts: Parts, topic: str = DEAD) -> list[str]:
    name = "__streams.errors.exception"
    return [dict(one.headers)[name].decode() for one in parts.fake.producer.of(topic)]


async def test_a_retraction_takes_back_what_it_names_and_nothing_else() -> None:
    parts = Parts()
    await parts.count([post(0), post(1)])
    await parts.count([retraction(0, f"{POSTS}-0"), retraction(1, f"{POSTS}-0"), retraction(2, "never seen")])
    assert counters(parts) == (2, 1, 0, 0, 1)
    assert parts.ledger.rows.totals.tolist() == [[1], [10]]
    parts.fake.meter.unknown_retractions.assert_called_with(1)


async def test_what_is_taken_back_before_it_comes_never_counts() -> None:
    parts = Parts()
    await parts.count([retraction(0, f"{POSTS}-0")])
    await parts.count([post(0), post(1)])
    source = parts.ledger.source(POSTS)
    assert (source.applied, source.retracted, source.duplicate, source.read) == (1, 1, 0, 2)


async def test_a_retraction_moves_no_window_and_nothing_waits_for_it() -> None:
    parts = Parts()
    await parts.count([post(0, ts_ms=NOW_MS - DAY_MS // 2)])
    horizon = parts.ledger.horizon
    parts.fake.kafka.ended = {Partition(RETRACTIONS, PARTITION): 9}
    await parts.count([retraction(0, f"{POSTS}-0")])
    parts.synchronization.note_ends(parts.fake.kafka.ended)
    assert parts.ledger.horizon == horizon
    assert parts.ledger.lagging == set()
    assert parts.fake.context.owned[PARTITION].unread[RETRACTIONS] == 8
    await parts.count([post(1)])
    assert parts.ledger.horizon == NOW_MS


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(1, b"{", USER.encode(), RETRACTIONS), "not-json"),
        (record(1, None, USER.encode(), RETRACTIONS), "empty"),
        (retraction(1, "e", of="retract"), "invalid"),
        (retraction(1, "e", user_id=10**40), "invalid"),
        (retraction(1, "e", user_id="somebody else"), "key-not-user"),
        (retraction(1, "e", ts=NOW_MS + 301_000), "ahead-of-clock"),
        (retraction(1, "e", ts=1000), "implausible-time"),
        (erasure(1), "erase-not-allowed"),
    ],
    ids=lambda what: what if isinstance(what, str) else "",
)
async def test_a_bad_retraction_goes_to_the_dead_letters_as_it_came(bad: Any, reason: str) -> None:
    parts = Parts()
    await parts.count([retraction(0, "a"), bad, retraction(2, "b")])
    assert counters(parts) == (2, 0, 0, 1, 2)
    assert reasons(parts) == [reason]
    assert parts.fake.producer.of(DEAD)[0].value == bad.value
    assert parts.fake.producer.of(ERASURES) == []


async def test_a_retraction_of_a_time_before_the_window_is_late() -> None:
    parts = Parts()
    await parts.count([post(0)])
    await parts.count([retraction(0, "old", ts=NOW_MS - 2 * DAY_MS)])
    assert counters(parts) == (0, 0, 1, 0, 0)
    assert reasons(parts, LATE) == ["late"]


async def test_an_account_that_is_deleted_is_recorded_as_erased_before_the_position_is() -> None:
    parts = Parts(**ERASING)
    await parts.count([post(0), post(1, user=OTHER)])
    steps = len(parts.fake.producer.steps)
    await parts.count([retraction(0, f"{POSTS}-0"), erasure(1)])
    assert counters(parts) == (2, 0, 0, 0, 0)
    marks = [record.key for record in parts.fake.producer.of(ERASURES)]
    assert marks == [mark.encode() for mark in PersonHashes(KEY).marks(USER)]
    assert parts.fake.producer.steps[steps : steps + 3] == [ERASURES, ERASURES, "flush"]


async def test_a_crash_before_an_erasure_is_recorded_has_the_next_owner_record_it() -> None:
    parts = Parts(**ERASING)
    parts.fake.producer.crash_before = len(parts.fake.producer.steps) + 1
    with pytest.raises(Crash):
        await parts.count([erasure(0)])
    assert parts.ledger.source(RETRACTIONS).position == 0


async def test_records_of_the_erased_are_rejected_and_not_set_aside() -> None:
    parts = Parts(**ERASING)
    await parts.count([erasure(0)])
    for number, written in enumerate(parts.fake.producer.of(ERASURES)):
        parts.fake.context.erasures.update(written.key or b"", written.value, number)
    await parts.count([retraction(1, "e"), retraction(2, "f"), erasure(3, OTHER)])
    assert counters(parts) == (2, 0, 0, 2, 0)
    assert reasons(parts) == []
    parts.fake.meter.erased.assert_called_with(2)


async def test_under_pseudonyms_what_is_taken_back_is_found() -> None:
    parts = Parts(pseudonyms=True, person_key=Secret(KEY))
    await parts.count([post(0)])
    await parts.count([retraction(0, f"{POSTS}-0")])
    assert counters(parts) == (1, 0, 0, 0, 0)
    assert not parts.ledger.rows.are_counted().any()


async def test_who_has_opted_out_and_deletes_the_account_is_erased_and_cannot_come_back() -> None:
    parts = Parts(**ERASING)
    persons = PersonHashes(KEY)
    for number, written in enumerate(opt_out(persons, USER, NOW_MS)):
        parts.fake.context.erasures.update(written.key, written.value, number)
    await parts.count([retraction(0, "e"), erasure(1)])
    assert counters(parts) == (1, 0, 0, 1, 0)
    assert [marked_as(one.value) for one in parts.fake.producer.of(ERASURES)] == [MarkedAs.ERASED] * 2
