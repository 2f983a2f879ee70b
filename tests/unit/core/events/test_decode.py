"""Records to events: which are decoded, which are rejected and why; a bad record affects no other."""

import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Event, Post, Share

GOOD = b'{"event_id":"e","ts":1475280000000,"user_id":"u"}'
MAX_BYTES = 1000


def _with(**fields: object) -> bytes:
    return json.dumps({"event_id": "e", "ts": 1, "user_id": "u", **fields}).encode()


def _without(name: str) -> bytes:
    return json.dumps({field: 1 for field in ("event_id", "ts", "user_id") if field != name}).encode()


def _deep(depth: int) -> bytes:
    return GOOD[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"


BAD = {
    "no value": (None, "empty"),
    "an empty value": (b"", "empty"),
    "only blanks": (b"  ", "not-json"),
    "only a newline": (b"\n", "not-json"),
    "cut short": (GOOD[:-1], "not-json"),
    "trailing characters": (GOOD + b"x", "not-json"),
    "a comma after it": (GOOD + b",", "not-json"),
    "two documents": (GOOD + GOOD, "not-json"),
    "two documents with a blank between": (GOOD + b" " + GOOD, "not-json"),
    "two documents on two lines": (GOOD + b"\n" + GOOD, "not-json"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "not-json"),
    "invalid UTF-8 in a string": (GOOD.replace(b'"u"', b'"\xff"'), "not-json"),
    "a surrogate in UTF-8": (GOOD.replace(b'"u"', b'"\xed\xa0\x80"'), "not-json"),
    "a lone high surrogate": (GOOD.replace(b'"u"', rb'"\ud800"'), "not-json"),
    "a lone high surrogate before text": (GOOD.replace(b'"u"', rb'"\ud800abcdef"'), "not-json"),
    "a lone low surrogate": (GOOD.replace(b'"u"', rb'"\udc00"'), "not-json"),
    "a control character in a string": (GOOD.replace(b'"u"', b'"a\x00b"'), "not-json"),
    "NaN": (GOOD[:-1] + b',"audience":NaN}', "not-json"),
    "Infinity": (GOOD[:-1] + b',"audience":Infinity}', "not-json"),
    "deep nesting of objects": (b'{"a":' * 199, "not-json"),
    "too large": (_with(x="y" * MAX_BYTES), "oversized"),
    "a number too large for a float": (GOOD[:-1] + b',"audience":1e400}', "invalid"),
    "null": (b"null", "invalid"),
    "an array": (b"[]", "invalid"),
    "a string": (b'"e"', "invalid"),
    "a number": (b"1", "invalid"),
    "no event_id": (_without("event_id"), "invalid"),
    "no ts": (_without("ts"), "invalid"),
    "no user_id": (_without("user_id"), "invalid"),
    "a null event_id": (_with(event_id=None), "invalid"),
    "an empty event_id": (_with(event_id=""), "invalid"),
    "a fractional event_id": (_with(event_id=1.5), "invalid"),
    "a boolean user_id": (_with(user_id=True), "invalid"),
    "an endless user_id": (_with(user_id="u" * 257), "invalid"),
    "a user_id of too many bytes": (_with(user_id="\U0001f600" * 65), "invalid"),
    "an event_id of too many bytes, not escaped": (GOOD.replace(b'"e"', b'"%b"' % ("ä" * 129).encode()), "invalid"),
    "a topic of too many bytes": (_with(topics=["a", "\u4e16" * 86]), "invalid"),
    "a population of too many bytes": (_with(population="\u4e16" * 86), "invalid"),
    "a post_id of too many bytes": (_with(post_id="\u4e16" * 86), "invalid"),
    "a fractional ts": (_with(ts=1.5), "invalid"),
    "a ts beyond the year 9999": (_with(ts=10**15), "invalid"),
    "a ts without a zone": (_with(ts="2016-10-06T00:00:00"), "invalid"),
    "a date as ts": (_with(ts="2016-10-06"), "invalid"),
    "an unknown kind": (_with(kind="poke"), "invalid"),
    "a share among posts": (_with(kind="share"), "invalid"),
    "topics as text": (_with(topics="a"), "invalid"),
    "a topic that is a number": (_with(topics=["a", 1]), "invalid"),
    "an audience as text": (_with(audience="5"), "invalid"),
    "an audience of ten times everybody and more": (_with(audience=10**12), "invalid"),
    "an empty population": (_with(population=""), "invalid"),
}


def test_a_bad_record_is_rejected_with_its_place_and_reason_and_its_neighbours_live(subtests: pytest.Subtests) -> None:
    for name, (value, reason) in BAD.items():
        with subtests.test(name=name):
            before, after = _with(event_id="before"), _with(event_id="after")
            decoded = decode([before, value, after], Post, MAX_BYTES)
            assert [event.event_id for event in decoded.events] == ["before", "after"]
            assert list(decoded.indices) == [0, 2]
            ((index, found, message),) = decoded.rejected
            assert (index, found) == (1, reason)
            assert message


def test_a_batch_of_one_bad_kind_has_no_event(subtests: pytest.Subtests) -> None:
    for name in [name for name, (value, _) in BAD.items() if value is not None]:
        with subtests.test(name=name):
            value, reason = BAD[name]
            decoded = decode([value, value], Post, MAX_BYTES)
            assert not decoded.events
            assert [(rejected.index, rejected.reason) for rejected in decoded.rejected] == [(0, reason), (1, reason)]


def test_deep_nesting_within_the_size_limit_is_rejected_too() -> None:
    decoded = decode([GOOD, _deep(400_000), GOOD], Post, 10**6)
    assert [rejected.index for rejected in decoded.rejected] == [1]
    assert len(decoded.events) == 2


def test_a_record_may_be_written_over_several_lines() -> None:
    decoded = decode([GOOD, json.dumps(json.loads(GOOD), indent=2).encode() + b"\r\n", GOOD], Post, MAX_BYTES)
    assert len(decoded.events) == 3
    assert not decoded.rejected


def test_two_documents_in_one_record_do_not_make_up_for_an_empty_one() -> None:
    decoded = decode([GOOD + b" " + GOOD, b" "], Post, MAX_BYTES)
    assert [(rejected.index, rejected.reason) for rejected in decoded.rejected] == [(0, "not-json"), (1, "not-json")]


@pytest.mark.parametrize(
    ("begun", "rest"),
    [
        pytest.param(GOOD[:-1], b',"audience":1}', id="between two fields"),
        pytest.param(GOOD[:-1] + b',"x":', b"{}}", id="before an object"),
        pytest.param(GOOD[:-1] + b',"x":[{},', b"{}]}", id="within an array"),
    ],
)
def test_a_document_does_not_go_on_in_the_next_record(begun: bytes, rest: bytes) -> None:
    decoded = decode([begun, rest + GOOD], Post, MAX_BYTES)
    assert not decoded.events
    assert [rejected.index for rejected in decoded.rejected] == [0, 1]


PIECES = st.sampled_from(
    [*[GOOD] * 6, _with(event_id=7, x={"y": []}), b" ", b"\n", GOOD[:-1], b',"audience":1}', b"{", b"[]", b"\xff"]
)


@settings(max_examples=150)
@given(st.lists(st.one_of(st.none(), st.lists(PIECES, max_size=3).map(b"".join)), max_size=6))
def test_a_batch_reads_like_its_records_one_by_one(values: list[bytes | None]) -> None:
    decoded = decode(values, Post, MAX_BYTES)
    singles = [decode([value], Post, MAX_BYTES) for value in values]
    assert list(decoded.events) == [event for single in singles for event in single.events]
    assert list(decoded.indices) == [index for index, single in enumerate(singles) if single.events]
    assert [(rejected.index, rejected.reason, rejected.message) for rejected in decoded.rejected] == [
        (index, rejected.reason, rejected.message)
        for index, single in enumerate(singles)
        for rejected in single.rejected
    ]


def test_an_empty_batch_is_fine() -> None:
    assert [list(part) for part in decode([], Post, MAX_BYTES)] == [[], [], []]


@pytest.mark.parametrize("number", [0, -5, 2**53 + 1, 2**63, 2**64 + 1, -(2**63) - 1, 10**30])
def test_an_integer_id_stays_exact_however_large(number: int) -> None:
    (event,) = decode([_with(event_id=number, user_id=number)], Post, MAX_BYTES).events
    assert event.event_id == number
    assert credit([event], Post, ViewRates()).users == [str(number)]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2016-10-06T00:00:00Z", dt.datetime(2016, 10, 6, tzinfo=dt.UTC)),
        ("2016-10-06t00:00:00z", dt.datetime(2016, 10, 6, tzinfo=dt.UTC)),
        ("2016-10-06T02:00:00+02:00", dt.datetime(2016, 10, 6, tzinfo=dt.UTC)),
        ("2016-10-05T23:59:59.123456-00:30", dt.datetime(2016, 10, 6, 0, 29, 59, 123456, dt.UTC)),
    ],
)
def test_a_time_may_be_written_as_rfc_3339(written: str, meant: dt.datetime) -> None:
    (event,) = decode([_with(ts=written)], Post, MAX_BYTES).events
    assert event.ts == meant


@pytest.mark.parametrize("kind", ["post", "comment", "review", "reply", "quote", "message"])
def test_every_kind_of_post_is_a_post(kind: str) -> None:
    (event,) = decode([_with(kind=kind)], Post, MAX_BYTES).events
    assert event.kind == kind


def test_a_share_names_what_was_shared() -> None:
    (event,) = decode([_with(kind="share", author_id=5, post_id="p")], Share, MAX_BYTES).events
    assert isinstance(event, Share)
    assert (event.author_id, event.post_id) == (5, "p")


@pytest.mark.parametrize("kind", [Post, Share])
def test_a_missing_kind_unknown_fields_and_odd_audiences_are_no_reason_to_reject(kind: type[Event]) -> None:
    values = [
        _with(),
        _with(x=[1], y=None),
        _with(audience=-1),
        _with(audience=0),
        _with(audience=12.5, impressions=None),
    ]
    decoded = decode(values, kind, MAX_BYTES)
    assert len(decoded.events) == len(values)
    assert decoded.events[0].population == "all"


def test_a_post_among_shares_is_rejected() -> None:
    assert [rejected.reason for rejected in decode([_with(kind="post")], Share, MAX_BYTES).rejected] == ["invalid"]


def test_a_record_of_exactly_the_allowed_size_is_read() -> None:
    assert len(decode([GOOD], Post, len(GOOD)).events) == 1
    (rejected,) = decode([GOOD], Post, len(GOOD) - 1).rejected
    assert rejected.reason == "oversized"
    assert "STREAM_APP_MAX_EVENT_BYTES" in rejected.message
