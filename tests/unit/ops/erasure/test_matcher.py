"""Which records are about a user: by id or pseudonym, in valid JSON and in broken records."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from stream_app.core.changelog.ledger_store import LedgerStore
from stream_app.core.changelog.standing_records import standing_key
from stream_app.core.events.dead_letter import DeadLetter, Origin
from stream_app.core.events.schema import Post
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.ops.erasure.matcher import Person
from tests.board_samples import a_flag
from tests.unit.core import streams
from tests.unit.core.streams import Batch

PERSONS = PersonHashes("a secret of sixteen or more")
OTHERS = ("ann", "annabel", "Ann", "an", "ann ", "x")


def record(key: bytes | None = None, value: bytes | None = None, headers: Any = ()) -> Any:
    return SimpleNamespace(key=key, value=value, headers=headers)


def person(user: str = "ann") -> Person:
    return Person(user, PERSONS)


def event(**fields: Any) -> bytes:
    return msgspec.json.encode({"event_id": 1, "ts": 2, **fields})


@pytest.mark.parametrize(
    ("user", "key", "value"),
    [
        ("ann", b"ann", None),
        ("ann", b"ann", b"{"),
        ("ann", b"other", event(user_id="ann")),
        ("ann", b"other", event(user_id="other", author_id="ann")),
        ("ann", None, b'{"user_id" : "ann", "ts":'),
        ("ann", None, b'{"author_id":\n"ann"}}}'),
        ("ann", None, rb'{"user_id": "\u0061nn"}'),
        ("5", None, event(user_id=5)),
        ("5", None, event(user_id="5")),
        ("-5", None, b'{"user_id": -5'),
        ('a"\\ü', None, event(user_id='a"\\ü')[:-1]),
        ("ü", None, rb'{"user_id": "\u00fc", '),
        (".*", None, b'{"user_id": ".*", '),
        ("ann", PERSONS.pseudonym("ann").encode(), None),
    ],
)
def test_a_dead_letter_of_the_person_is_found(user: str, key: bytes | None, value: bytes | None) -> None:
    assert person(user).is_in_letter(record(key, value))


@pytest.mark.parametrize(
    ("user", "key", "value"),
    [
        *(("ann", other.encode(), event(user_id=other)) for other in OTHERS[1:]),
        ("ann", b"other", event(user_id="other", topics=["ann"], channel="ann")),
        ("ann", b"other", b'["ann"]'),
        ("ann", None, None),
        ("ann", None, b"\xff\xfe"),
        ("5", b"55", event(user_id=55, audience=5)),
        ("5", None, b'{"user_id": 5.5, '),
        ("5", None, b'{"user_id": 51, '),
        (".*", None, b'{"user_id": "other", '),
        ("None", None, event(user_id="other")),
    ],
)
def test_a_dead_letter_of_others_is_not_found(user: str, key: bytes | None, value: bytes | None) -> None:
    assert not person(user).is_in_letter(record(key, value))


@pytest.mark.parametrize("user", OTHERS)
def test_standings_flags_and_segments_are_those_of_the_exact_id(user: str) -> None:
    written: dict[bytes, bytes | None] = {}
    store = LedgerStore(0, streams.new_ledger(), {}, written.__setitem__)
    store.begin(1)
    events: list[Any] = [msgspec.convert({"event_id": 1, "ts": 2, "user_id": user, "audience": 3}, Post)]
    batch = streams.credits_of(Batch(streams.POSTS, events, 1))
    store.count(streams.POSTS, 1, batch, store.ledger.late(streams.POSTS, batch.ts_ms), 0)
    found = [
        person().is_in_standing(record(standing_key(a_flag(user)))),
        person().is_in_flag(record(user.encode())),
        any(person().is_in_segment(record(key, value)) for key, value in written.items()),
    ]
    assert found == [user == "ann"] * 3


def test_an_unreadable_record_is_searched_as_bytes() -> None:
    assert person().is_in_segment(record(b"no key", b"about ann"))
    assert not person().is_in_segment(record(b"no key", b"about others"))
    assert not person().is_in_standing(record(b"no key"))


def test_a_shortened_dead_letter_is_found_by_the_beginning_of_its_value() -> None:
    whole = DeadLetter(Origin("posts", 3, 7), None, event(user_id="ann", text="x" * 99_000), "oversized", "too large")
    letter = whole.shortened()
    assert person().is_in_letter(record(letter.key, letter.value, letter.headers()))
    assert not person("bob").is_in_letter(record(letter.key, letter.value, letter.headers()))
