"""Second reading of a record that is no event: what can be read all the same, and what it looks like otherwise.

A time may be a number in quotes or have a leap second; JSON may come after the bytes of a schema registry or a byte
order mark. Whatever else there is gets a name, because "invalid" helps nobody to configure a producer.
"""

import datetime as dt
import re
from typing import Any

import msgspec

from stream_app.core.events.limits import PLAUSIBLE
from stream_app.core.events.schema import EARLIEST_MS, LATEST_MS

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{\0")
"""How UTF-16 begins: a byte order mark, or a brace."""
_FRAME = 5
"""Bytes that serializers with a schema registry write first: a zero and the id of the schema."""
_BLANKS = b" \t\r\n"
_MS_TEXT = re.compile(r"[0-9]{1,14}")
"""Epoch ms in quotes, as in the schema."""
_NUMBER = re.compile(r"\s*-?[0-9]{1,30}(\.[0-9]{1,30})?\s*")
_LEAP_SECOND = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}):60((?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:?[0-9]{2}))"
)
_SECOND = dt.timedelta(seconds=1)
_FORMATS = {
    b"Obj\x01": "an Avro file",
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xac\xed\x00\x05": "a serialized Java object",
    b"PAR1": "a Parquet file",
}
_NEEDED = frozenset({"event_id", "ts", "user_id"})
_MAPPING = "map it to an event before Kafka"
_CONNECT = "set value.converter.schemas.enable=false and map the payload to an event before Kafka"


def payload(value: bytes) -> bytes:
    """Return the JSON in a record: without a byte order mark, and without the bytes of a schema registry before it."""
    text = value.removeprefix(_UTF8_MARK)
    if text[:1] != b"\0":
        return text
    framed = text[_FRAME:].removeprefix(_UTF8_MARK)
    return framed if framed.lstrip(_BLANKS)[:1] == b"{" else text


def with_time(text: bytes, kind: Any) -> Any:
    """Return the event, of a `kind`, if only the form of its time is unusual; else what is wrong with the time.

    Empty if nothing is wrong with it.
    """
    fields = _fields(text)
    time = usual_time(found := fields.get("ts"))
    is_number = isinstance(time, int | float) and not isinstance(time, bool)
    if is_number and not (isinstance(time, int) and EARLIEST_MS <= time <= LATEST_MS):
        guess = PLAUSIBLE.guess(time) or "is no time in epoch milliseconds"
        return f"ts {guess}: send epoch milliseconds as an integer, or RFC 3339 with a zone"
    if time is None or time is found:
        return ""
    try:
        return msgspec.convert({**fields, "ts": time}, kind)
    except msgspec.ValidationError:
        return ""


def usual_time(time: Any) -> Any:
    """Return what a time in an unusual form means: a number in quotes, a leap second. Any other is left as it is."""
    if not isinstance(time, str):
        return time
    if _MS_TEXT.fullmatch(time):
        return int(time)
    if number := _NUMBER.fullmatch(time):
        return float(number[0])
    if leap := _LEAP_SECOND.fullmatch(time):
        return _after(f"{leap[1]}:59{leap[2]}")
    return time


def envelope(text: bytes) -> str:
    """Return which well-known envelope an object is, and what to do; empty if it is none."""
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""
    if isinstance(found, str) and found.lstrip()[:1] == "{":
        return "looks like JSON within a JSON text: it is encoded twice"
    if not isinstance(found, dict) or found.keys() >= _NEEDED:
        return ""
    inner = found.get("payload")
    change = inner if isinstance(inner, dict) else found
    if "specversion" in found and "type" in found:
        return f"looks like a CloudEvent (specversion {found['specversion']!s:.8}): its event is in `data`; {_MAPPING}"
    if "op" in change and ("after" in change or "before" in change):
        return f"looks like a change event of Debezium: the row is in `after`; {_MAPPING}"
    if "payload" in found and "schema" in found:
        return f"looks like an envelope of Kafka Connect, with schema and payload; {_CONNECT}"
    return ""


def foreign_format(value: bytes) -> str:
    """Return which format the bytes of a record seem to be, and what to do; empty without a guess."""
    if value.startswith(_UTF16):
        return "looks like UTF-16: send UTF-8"
    for magic, name in _FORMATS.items():
        if value.startswith(magic):
            return f"looks like {name}: send one JSON object a record"
    if value[:1] == b"\0" and len(value) > _FRAME:
        schema = int.from_bytes(value[1:_FRAME], "big")
        kind = "Protobuf" if _is_protobuf(value[_FRAME:]) else "Avro"
        return f"magic byte 0, schema id {schema}: looks like {kind}; send JSON, or {_MAPPING}"
    return ""


def _fields(text: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _after(time: str) -> dt.datetime | None:
    """Return the second after a time: a leap second counts as the second that follows it."""
    try:
        return msgspec.convert(time, dt.datetime) + _SECOND
    except (msgspec.ValidationError, OverflowError):
        return None


def _is_protobuf(value: bytes) -> bool:
    """Return whether the bytes after a schema id are the path of a message type, and fields that end with the value."""
    count, place = _varint(value, 0)
    for _ in range(min(count >> 1, len(value))):
        _, place = _varint(value, place)
    if place >= len(value):
        return False
    while 0 <= place < len(value):
        tag, place = _varint(value, place)
        if tag >> 3 == 0 or place > len(value):
            return False
        match tag & 7:
            case 0:
                _, place = _varint(value, place)
            case 1:
                place += 8
            case 2:
                size, place = _varint(value, place)
                place += size
            case 5:
                place += 4
            case _:
                return False
    return place == len(value)


def _varint(value: bytes, place: int) -> tuple[int, int]:
    """Return the variable-length integer at a place and the place after it; beyond the end if it is cut off."""
    number = shift = 0
    for end in range(place, min(place + 10, len(value))):
        number |= (value[end] & 0x7F) << shift
        shift += 7
        if value[end] < 0x80:
            return number, end + 1
    return 0, len(value) + 1
