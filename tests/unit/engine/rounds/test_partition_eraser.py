"""Erased users in a worker: their records are rejected, their state is deleted, and the key must match."""

from typing import Any

import msgspec
import pytest

from stream_app.core.privacy import erasures
from stream_app.core.privacy.erasures import Erasures, PersonKeyError
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.settings.secret import Secret
from tests.unit.engine.fakes import NOW_MS, PARTITION, post, posts, record, stored_after, user_of
from tests.unit.engine.parts import CHANGELOG, Parts

KEY = "a secret of sixteen or more"
PERSONS = PersonHashes(KEY)
ANN, BOB, CID = (user_of(PARTITION, number) for number in range(3))
POSTS, DEAD, LATE = "influence.posts", "influence.dead-letters", "influence.late"
STANDINGS = "influence-standings-changelog"
DAY_MS = 86_400_000


def new_parts(**settings: Any) -> Parts:
    return Parts(person_key=Secret(KEY), min_users=1, min_posts=1, diffuse_fraction=0.9, **settings)


def erase(parts: Parts, *users: str) -> None:
    """Let the worker read the erasure of each user."""
    received = parts.fake.erasures
    for user in users:
        for key, value in erasures.erasure(PERSONS, user, NOW_MS):
            received.update(key, value, received.position)


def counters(parts: Parts) -> tuple[int, int, int, int]:
    source = parts.ledger.source(POSTS)
    return source.applied, source.duplicate, source.late, source.rejected


async def flagged(parts: Parts) -> None:
    """Have Ann, Bob and Cid counted; rounds until Ann and Bob have standings."""
    await parts.count([*posts(range(9), user=ANN), *posts(range(9, 17), user=BOB), post(17, user=CID)])
    for _ in range(3):
        await parts.round()


async def test_records_of_the_erased_are_rejected_and_nowhere_copied() -> None:
    parts = new_parts()
    erase(parts, ANN)
    await parts.count([post(0, user=ANN), post(1, user=BOB), post(2, user=ANN, ts_ms=NOW_MS - 2 * DAY_MS)])
    assert counters(parts) == (1, 0, 0, 2)
    assert parts.ledger.users.names == [BOB]
    assert parts.fake.producer.of(DEAD) == parts.fake.producer.of(LATE) == []
    parts.fake.meter.erased.assert_called_once_with(2)
    assert parts.ledger.source(POSTS).position == 3


@pytest.mark.parametrize(
    "bad",
    [
        record(0, b"{", ANN.encode()),
        record(0, None, ANN.encode()),
        post(0, user=ANN, ts_ms=NOW_MS + DAY_MS),
        record(0, msgspec.json.encode({"event_id": 1, "ts": NOW_MS, "user_id": BOB}), ANN.encode()),
        record(0, msgspec.json.encode({"event_id": 1, "ts": NOW_MS, "user_id": ANN}), BOB.encode()),
    ],
    ids=["broken", "empty", "ahead", "their key", "their id"],
)
async def test_a_bad_record_of_the_erased_is_no_dead_letter(bad: Any) -> None:
    parts = new_parts()
    erase(parts, ANN)
    await parts.count([bad, post(1, user=BOB), record(2, b"{", BOB.encode())])
    assert counters(parts) == (1, 0, 0, 2)
    assert [dead_letter.key for dead_letter in parts.fake.producer.of(DEAD)] == [BOB.encode()]
    parts.fake.meter.erased.assert_called_once_with(1)


async def test_while_nobody_is_erased_nobody_is_looked_for() -> None:
    parts = new_parts()
    await parts.count([post(0, user=ANN), record(1, b"{", ANN.encode())])
    assert counters(parts) == (1, 0, 0, 1)
    parts.fake.meter.erased.assert_not_called()


async def test_erased_users_leave_the_ledger_and_the_standings_and_the_status_counts_them() -> None:
    parts = new_parts()
    await flagged(parts)
    assert any(ANN.encode() in key for key in parts.fake.standings.of_partition(PARTITION))
    erase(parts, ANN)
    await parts.round()
    assert parts.ledger.users.names == [BOB, CID]
    assert not any(ANN.encode() in key for key in parts.fake.standings.of_partition(PARTITION))
    assert parts.exchange.statuses[PARTITION].erased == 2
    ((partition, keys, users),) = (call.args for call in parts.forgotten.call_args_list)
    assert (partition, users) == (PARTITION, {ANN})
    assert keys
    assert all(msgspec.json.decode(key)[0] == ANN for key in keys)


async def test_nothing_of_the_erased_is_in_the_log_once_it_is_swept() -> None:
    parts = new_parts()
    await flagged(parts)
    erase(parts, ANN)
    await parts.round()
    await parts.ownership.sweep()
    await parts.fake.producer.flush()
    for topic in (CHANGELOG, STANDINGS):
        stored = stored_after(parts.fake.producer.of(topic))
        assert stored
        assert not [key for key, value in stored.items() if ANN.encode() in key + value]


async def test_an_erasure_publishes_no_flag() -> None:
    parts = new_parts()
    await flagged(parts)
    flags = len(parts.fake.producer.of("influence.flags"))
    erase(parts, ANN)
    for _ in range(3):
        await parts.round()
    assert ANN.encode() not in [flag.key for flag in parts.fake.producer.of("influence.flags")[flags:]]


async def test_a_worker_that_takes_over_carries_out_what_was_remembered_before_it_sends_anything() -> None:
    before = new_parts()
    await flagged(before)
    parts = new_parts(hold=False)
    parts.restore_table(stored_after(before.fake.producer.of(CHANGELOG)))
    standings = parts.fake.standings
    for key, value in before.fake.standings.of_partition(PARTITION).items():
        standings.data.data[key] = value
        standings.data._key_partition[key] = PARTITION
    erase(parts, ANN)
    await parts.ownership.take_over({PARTITION}, 2)
    assert parts.ledger.users.names == [BOB, CID]
    assert ANN.encode() not in [flag.key for flag in parts.fake.producer.of("influence.flags")]
    assert parts.ledger.erased == 2
    await parts.round()
    assert parts.exchange.statuses[PARTITION].erased == 2


async def test_with_pseudonyms_a_user_is_erased_by_the_id_in_events() -> None:
    parts = new_parts(pseudonyms=True)
    await parts.count([post(0, user=ANN), post(1, user=BOB)])
    assert parts.ledger.users.names == [PERSONS.pseudonym(ANN), PERSONS.pseudonym(BOB)]
    erase(parts, ANN)
    await parts.round()
    assert parts.ledger.users.names == [PERSONS.pseudonym(BOB)]
    await parts.count([post(2, user=ANN)])
    assert counters(parts) == (2, 0, 0, 1)


async def test_with_pseudonyms_what_is_set_aside_says_only_where_it_came_from_and_why() -> None:
    parts = new_parts(pseudonyms=True)
    late = post(2, user=BOB, ts_ms=NOW_MS - 2 * DAY_MS)
    await parts.count([post(0, user=ANN), record(1, b'{"user_id":', ANN.encode()), late])
    for topic, offset, reason in ((DEAD, "1", "not-json"), (LATE, "2", "late")):
        (dead_letter,) = parts.fake.producer.of(topic)
        headers = {name.removeprefix("__streams.errors."): value.decode() for name, value in dead_letter.headers}
        assert (dead_letter.key, dead_letter.value) == (None, None)
        assert (headers["topic"], headers["partition"], headers["offset"]) == (POSTS, str(PARTITION), offset)
        assert headers["exception"] == reason


async def test_with_pseudonyms_the_partition_is_checked_by_the_id() -> None:
    parts = new_parts(pseudonyms=True)
    for number in range(2):
        await parts.count([post(number, user=user_of(PARTITION + 1))])
    assert counters(parts) == (0, 0, 0, 2)


async def test_no_line_of_the_log_names_a_user(caplog: pytest.LogCaptureFixture) -> None:
    stranger = user_of(PARTITION + 1)
    parts = new_parts()
    await parts.count([post(0, user=stranger), record(1, post(2, user=ANN).value, BOB.encode())])
    erase(parts, ANN)
    await parts.round()
    assert "cannot be counted" in caplog.text
    assert not [user for user in (ANN, BOB, stranger) if f"{user} " in caplog.text or f"'{user}'" in caplog.text]


def new_erasures(key: str, *records: erasures.ErasureRecord) -> Erasures:
    made = Erasures("influence.erasures", key)
    for offset, (name, value) in enumerate(records):
        made.update(name, value, offset)
    return made


OWN_CHECK, OTHER_CHECK = erasures.check(PERSONS), erasures.check(PersonHashes("another secret of sixteen"))
ERASURE = erasures.erasure(PERSONS, ANN, NOW_MS)


@pytest.mark.parametrize(
    ("key", "records"),
    [("", []), (KEY, []), (KEY, [OWN_CHECK]), (KEY, [OWN_CHECK, *ERASURE]), (KEY, [OTHER_CHECK, OWN_CHECK])],
)
def test_with_the_right_key_or_without_erasures_a_worker_runs(key: str, records: list[erasures.ErasureRecord]) -> None:
    new_erasures(key, *records).verify()


@pytest.mark.parametrize(
    ("key", "records", "says"),
    [
        ("", [OWN_CHECK], "STREAM_APP_PERSON_KEY is empty"),
        ("", [OWN_CHECK, *ERASURE], "STREAM_APP_PERSON_KEY is empty"),
        ("", ERASURE, "STREAM_APP_PERSON_KEY is empty"),
        (KEY, [OTHER_CHECK], "STREAM_APP_PERSON_KEY is not the key"),
        (KEY, [OWN_CHECK, *ERASURE, OTHER_CHECK], "STREAM_APP_PERSON_KEY is not the key"),
    ],
)
def test_without_the_right_key_a_worker_refuses_to_run(
    key: str, records: list[erasures.ErasureRecord], says: str
) -> None:
    with pytest.raises(PersonKeyError, match=says):
        new_erasures(key, *records).verify()


def test_a_key_is_introduced_once_and_no_key_never() -> None:
    assert new_erasures(KEY).introduction() == OWN_CHECK
    assert new_erasures(KEY, OWN_CHECK).introduction() is None
    assert new_erasures("").introduction() is None


def test_an_erasure_that_was_taken_back_is_forgotten() -> None:
    made = new_erasures(KEY, *ERASURE)
    assert made.among([ANN, BOB]) == {ANN}
    for offset, (mark, _) in enumerate(ERASURE):
        made.update(mark, None, offset + 2)
    assert made.among([ANN, BOB]) == set()
    assert not made


def test_the_topic_of_erasures_names_nobody() -> None:
    assert not [text for record in ERASURE for text in record if ANN.encode() in (text or b"")]
