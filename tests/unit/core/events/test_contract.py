"""What is read although it is written in another way, and what is named that cannot be read."""

import datetime as dt
import json
from typing import Any

import numpy as np
import pytest

from stream_app.core.events.credit import ViewRates, credit_all
from stream_app.core.events.decode import decode, implausible
from stream_app.core.events.limits import PLAUSIBLE, TimeRange
from stream_app.core.events.schema import Event, Post, Share

OCTOBER_MS = 1_475_280_000_000
FIELDS: dict[str, Any] = {"event_id": "e", "ts": OCTOBER_MS, "user_id": "u"}
GOOD = json.dumps(FIELDS).encode()
FRAME = b"\0\0\0\0\x11"
MAX_BYTES = 400_000
AVRO = b"\x02e\x80\xe0\x9b\xd4\xee\x55\x02u\x00\x00"
PROTOBUF = b"\0" + b"\x0a\x01e" + b"\x10\x80\xb0\xcd\xea\xf7\x2a" + b"\x1a\x01u"
NESTED_PROTOBUF = b"\x04\x02\x00" + PROTOBUF[1:]


def one(value: bytes, kind: type[Event] = Post) -> Event:
    """The only event that is decoded."""
    decoded = decode([value], kind, MAX_BYTES)
    assert decoded.rejected == []
    (event,) = decoded.events
    return event


def why(value: bytes) -> str:
    """Why a record is rejected; its neighbours live."""
    decoded = decode([GOOD, value, GOOD], Post, MAX_BYTES)
    assert list(decoded.indices) == [0, 2]
    ((index, _, message),) = decoded.rejected
    assert index == 1
    return message


def with_fields(**fields: object) -> bytes:
    return json.dumps({**FIELDS, **fields}).encode()


@pytest.mark.parametrize("kind", [Post, Share])
def test_null_is_as_good_as_absent_in_every_optional_field(kind: type[Event]) -> None:
    optional = [field for field in kind.__struct_fields__ if field not in FIELDS]
    decoded = decode([GOOD, with_fields(**dict.fromkeys(optional))], kind, MAX_BYTES)
    credits_, _ = credit_all(decoded, kind, ViewRates())
    assert credits_.topics == [(), ()]
    assert credits_.populations == ["all", "all"]
    assert credits_.unknown.tolist() == [True, True]
    assert not decoded.rejected


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("1475280000000", OCTOBER_MS),
        ("2016-10-01 00:00:00Z", OCTOBER_MS),
        ("2016-10-01 02:00:00+02:00", OCTOBER_MS),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ("2016-12-31 23:59:60.5Z", 1_483_228_800_500),
        ("2017-01-01T00:59:60+01:00", 1_483_228_800_000),
        ("2016-12-31T23:59:60.123456789Z", 1_483_228_800_123),
    ],
)
def test_a_time_may_be_written_in_other_ways(written: str, ms: int) -> None:
    decoded = decode([with_fields(ts=written), GOOD], Post, MAX_BYTES)
    credits_, _ = credit_all(decoded, Post, ViewRates())
    assert credits_.ts_ms.tolist() == [ms, OCTOBER_MS]


@pytest.mark.parametrize(
    ("ts", "guess"),
    [
        (1_475_280_000, "looks like seconds"),
        (1_475_280_000_000_000, "looks like microseconds"),
        (1_475_280_000_000_000_000, "looks like nanoseconds"),
        ("1475280000", "looks like seconds"),
        ("1475280000000000", "looks like microseconds"),
        ("1475280000000000000", "looks like nanoseconds"),
        (1_475_280_000.5, "looks like seconds"),
        ("1475280000.000123", "looks like seconds"),
        (0, "before STREAM_APP_MIN_TS"),
        (-1, "before STREAM_APP_MIN_TS"),
        ("1970-01-01T00:00:00Z", "before STREAM_APP_MIN_TS"),
        ("2004-12-31T23:59:59.999Z", "before STREAM_APP_MIN_TS"),
        ("2100-01-01T00:00:00Z", "not before STREAM_APP_MAX_TS"),
        (10**15 * 9, "no time in epoch milliseconds"),
        (10**25, "no time in epoch milliseconds"),
        (10**400, "no time in epoch milliseconds"),
        (1e300, "no time in epoch milliseconds"),
        ("9" * 30, "no time in epoch milliseconds"),
        ("9" * 5000, "RFC3339"),
    ],
)
def test_no_time_in_another_unit_is_counted_as_milliseconds(ts: object, guess: str) -> None:
    decoded = decode([with_fields(ts=ts)], Post, MAX_BYTES)
    credits_, decoded = credit_all(decoded, Post, ViewRates())
    ((_, _, message),) = [*decoded.rejected, *implausible(credits_.ts_ms, decoded.indices, PLAUSIBLE)]
    assert guess in message


@pytest.mark.parametrize("ts", ["2005-01-01T00:00:00Z", 1_104_537_600_000, "2099-12-31T23:59:59.999Z", OCTOBER_MS])
def test_every_time_of_this_century_from_2005_on_is_plausible(ts: object) -> None:
    credits_, _ = credit_all(decode([with_fields(ts=ts)], Post, MAX_BYTES), Post, ViewRates())
    assert PLAUSIBLE.beyond(credits_.ts_ms) == []


def test_history_can_be_counted_with_another_range() -> None:
    times = TimeRange.of_days(dt.date(1975, 1, 1), dt.date(2003, 1, 1))
    ts_ms = np.array([300_000_000_000, 1_000_000_000_000, OCTOBER_MS, 300_000_000])
    assert times.beyond(ts_ms) == [2, 3]
    assert "looks like seconds" in times.complaint(300_000_000)


@pytest.mark.parametrize("before", [FRAME, b"\xef\xbb\xbf", FRAME + b"\xef\xbb\xbf", FRAME + b" \n"])
def test_what_serializers_write_before_json_is_skipped(before: bytes) -> None:
    assert one(before + GOOD) == one(GOOD)


@pytest.mark.parametrize(
    ("value", "guess"),
    [
        (FRAME + AVRO, "magic byte 0, schema id 17: looks like Avro"),
        (FRAME + PROTOBUF, "magic byte 0, schema id 17: looks like Protobuf"),
        (FRAME + NESTED_PROTOBUF, "magic byte 0, schema id 17: looks like Protobuf"),
        (FRAME + b"\x02u", "looks like Avro"),
        (FRAME + b"\xff" * 40, "looks like Avro"),
        (b"Obj\x01\x04\x14avro.codec", "looks like an Avro file"),
        (b"\x1f\x8b\x08\0\0\0", "looks like gzip"),
        (GOOD.decode().encode("utf-16"), "UTF-16"),
        (GOOD.decode().encode("utf-16-be"), "UTF-16"),
        (GOOD.decode().encode("utf-16-le"), "UTF-16"),
        (json.dumps(GOOD.decode()).encode(), "encoded twice"),
        (
            json.dumps({"specversion": "1.0", "id": "1", "source": "/x", "type": "t"}).encode(),
            "CloudEvent",
        ),
        (json.dumps({"before": None, "after": FIELDS, "op": "c", "source": {}}).encode(), "Debezium"),
        (json.dumps({"schema": {}, "payload": {"before": None, "after": FIELDS, "op": "c"}}).encode(), "Debezium"),
        (json.dumps({"schema": {"type": "struct"}, "payload": FIELDS}).encode(), "Kafka Connect"),
    ],
)
def test_a_foreign_format_is_named(value: bytes, guess: str) -> None:
    assert guess in why(value)


@pytest.mark.parametrize("field", ["event_id", "user_id"])
@pytest.mark.parametrize("digits", [39, 64, 400, 4300, 4301, 60_000])
def test_an_integer_id_of_too_many_digits_is_rejected(field: str, digits: int) -> None:
    value = with_fields(**{field: "long"}).replace(b'"long"', b"9" * digits)
    credits_, decoded = credit_all(decode([GOOD, value, GOOD], Post, MAX_BYTES), Post, ViewRates())
    assert credits_.users == ["u", "u"]
    assert [reject.index for reject in decoded.rejected] == [1]


def test_an_integer_id_of_38_digits_counts_as_its_text() -> None:
    number = 10**38 - 1
    credits_, _ = credit_all(decode([with_fields(user_id=-number)], Post, MAX_BYTES), Post, ViewRates())
    assert credits_.users == [f"-{number}"]


HOSTILE = [
    b'"audience":1e400',
    b'"impressions":1%b' % (b"0" * 300),
    b'"impressions":-1%b' % (b"0" * 300),
    b'"audience":-1e300',
    b'"audience":1e99999999999999999999',
    b'"audience":9%b' % (b"9" * 5000),
    b'"audience":NaN',
    b'"audience":"1"',
    b'"x":%b%b' % (b"[" * 100_000, b"]" * 100_000),
    b'"topics":%b%b' % (b"[" * 100_000, b"]" * 100_000),
    b'"x":%b1%b' % (b'{"a":' * 50_000, b"}" * 50_000),
    rb'"x":"\ud800"',
    rb'"topics":["\udfff"]',
    b'"population":"(other)"',
    b'"population":""',
    b'"topics":[null]',
    b'"topics":{}',
    b'"post_id":%b' % (b"9" * 5000),
]


@pytest.mark.parametrize("field", HOSTILE, ids=lambda field: field[:24].decode())
@pytest.mark.parametrize("kind", [Post, Share])
def test_a_hostile_field_is_rejected_and_nothing_else(field: bytes, kind: type[Event]) -> None:
    value = GOOD[:-1] + b"," + field + b"}"
    credits_, decoded = credit_all(decode([GOOD, value, GOOD], kind, MAX_BYTES), kind, ViewRates())
    assert credits_.users == ["u", "u"]
    assert [reject.index for reject in decoded.rejected] == [1]


def test_of_a_key_that_is_there_twice_the_last_one_counts() -> None:
    assert one(GOOD[:-1] + b',"user_id":"v"}').user_id == "v"


def test_many_topics_are_no_reason_to_reject() -> None:
    assert len(one(with_fields(topics=[f"t{number}" for number in range(5000)])).topics or ()) == 5000
