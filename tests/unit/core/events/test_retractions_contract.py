"""Retractions and erasures: what is read, and what is rejected and why; a bad record affects no other."""

import json
from typing import Any

import msgspec
import pytest

from stream_app.core.events.decode import decode, decode_retractions
from stream_app.core.events.limits import long_integer
from stream_app.core.events.schema import Erase, Post, Retract, Share

TS = 1_475_280_000_000
RETRACT: dict[str, Any] = {"kind": "retract", "of": "share", "event_id": "e", "ts": TS, "user_id": "u"}
ERASE: dict[str, Any] = {"kind": "erase", "ts": TS, "user_id": "u"}
MAX_BYTES = 1000


def why(record: bytes | None) -> str:
    """Why a record is rejected; its neighbours live."""
    good = json.dumps(RETRACT).encode()
    decoded = decode_retractions([good, record, good], MAX_BYTES)
    assert list(decoded.indices) == [0, 2]
    ((index, _, message),) = decoded.rejected
    assert index == 1
    return message


def test_retractions_and_erasures_are_read_in_their_order() -> None:
    records = [json.dumps(fields).encode() for fields in (ERASE, RETRACT, ERASE)]
    decoded = decode_retractions(records, MAX_BYTES)
    erase, retract = Erase(user_id="u", ts=TS), Retract(event_id="e", ts=TS, user_id="u", of="share")
    assert list(decoded.events) == [erase, retract, erase]
    assert not decoded.rejected


@pytest.mark.parametrize("kind", ["post", "comment", "review", "reply", "quote", "message", "share"])
def test_it_says_of_which_kind_the_event_was(kind: str) -> None:
    (found,) = decode_retractions([json.dumps({**RETRACT, "of": kind}).encode()], MAX_BYTES).events
    assert isinstance(found, Retract)
    assert found.of == kind


@pytest.mark.parametrize("field", ["kind", "of", "event_id", "ts", "user_id"])
def test_every_field_is_required_and_null_means_absent(field: str) -> None:
    assert field in why(json.dumps({name: RETRACT[name] for name in RETRACT if name != field}).encode())
    assert field in why(json.dumps({**RETRACT, field: None}).encode())


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({**RETRACT, "kind": "delete"}, "delete"),
        ({**RETRACT, "ts": 1_475_280_000_000_000}, "looks like microseconds"),
        ({**RETRACT, "event_id": "\u4e16" * 86}, "event_id has 258 bytes"),
        ({**ERASE, "user_id": "\u4e16" * 86}, "user_id has 258 bytes"),
        ({**ERASE, "user_id": ""}, "user_id"),
        ({"specversion": "1.0", "type": "t", "data": ERASE}, "CloudEvent"),
        ({"event_id": "e", "ts": TS, "user_id": "u"}, "see the schema of retraction events"),
    ],
)
def test_the_reason_helps(record: dict[str, Any], said: str) -> None:
    assert said in why(json.dumps(record, ensure_ascii=False).encode())


def test_a_time_may_be_written_in_other_ways() -> None:
    times = ["1475280000000", "2016-10-01 00:00:00Z", "2016-12-31T23:59:60Z"]
    decoded = decode_retractions([json.dumps({**RETRACT, "ts": ts}).encode() for ts in times], MAX_BYTES)
    assert not decoded.rejected


def test_an_integer_id_of_too_many_digits_is_named() -> None:
    assert "event_id" in long_integer(Retract(event_id=10**40, ts=TS, user_id="u", of="post"))
    assert "user_id" in long_integer(Erase(user_id=-(10**40), ts=TS))
    assert not long_integer(Erase(user_id=5, ts=TS))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Post, {"text_hash": "ab12"}),
        (Share, {"text_hash": 2**64 - 1}),
        (Share, {"via_id": "bob"}),
        (Share, {"via_id": 5}),
    ],
)
def test_what_is_new_in_events_is_read(kind: type[Post | Share], fields: dict[str, object]) -> None:
    (event,) = decode(
        [json.dumps({"event_id": "e", "ts": TS, "user_id": "u", **fields}).encode()], kind, MAX_BYTES
    ).events
    assert msgspec.structs.asdict(event) == msgspec.structs.asdict(event) | fields


@pytest.mark.parametrize(("kind", "field"), [(Post, "text_hash"), (Share, "text_hash"), (Share, "via_id")])
def test_what_is_new_in_events_has_bounds(kind: type[Post | Share], field: str) -> None:
    good: dict[str, object] = {"event_id": "e", "ts": TS, "user_id": "u"}
    bad: list[object] = ["", "a" * 257, "\u4e16" * 86, 1.5, True, ["a"]]
    records = [json.dumps(good | {field: what}, ensure_ascii=False).encode() for what in bad]
    assert len(decode(records, kind, MAX_BYTES).rejected) == len(bad)
