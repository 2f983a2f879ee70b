"""Whether a record on Kafka is about a person, by their id or its pseudonym."""

import json
import re
from typing import Any

import msgspec

from stream_app.core.changelog import segments
from stream_app.core.changelog.columns import FormatError
from stream_app.core.changelog.segments import SegmentKey
from stream_app.core.events.dead_letter import shortened_value
from stream_app.core.funnel.stored import credit_packets
from stream_app.core.privacy.pseudonyms import PersonHashes

LONGEST_ID = 256


class _Named(msgspec.Struct):
    """The part of a flag that names its user."""

    user_id: str


class _Alert(msgspec.Struct):
    """The part of a record of `stream-app alerts` that names people."""

    flag: _Named | None = None
    flags: list[_Named] = []


_STANDING_KEY = msgspec.json.Decoder(tuple[str, str, str, str])
_IDS = ("user_id", "author_id", "via_id")
_OF_FLAG = b"flag/"


class Person:
    """A person by their id in events (an integer as text), and by its pseudonym."""

    def __init__(self, user: str, persons: PersonHashes) -> None:
        self.user = user
        self.names = frozenset((user, persons.pseudonym(user)))
        self._keys = {name.encode() for name in self.names}
        spellings = {
            re.escape(json.dumps(name, ensure_ascii=ascii_)) for name in self.names for ascii_ in (True, False)
        }
        if user.removeprefix("-").isdigit():
            spellings.add(re.escape(user) + r"(?![\w.])")
        self._said = re.compile(rf'"(?:{"|".join(_IDS)})"\s*:\s*(?:{"|".join(sorted(spellings))})'.encode())

    def is_in_segment(self, record: Any) -> bool:
        """Whether a segment holds something of them."""
        if not any(key in record.value for key in self._keys):
            return False  # true for nearly every segment, and far quicker than decoding
        try:
            if SegmentKey.decode(record.key).kind == "epoch":
                return False
            return not self.names.isdisjoint(segments.decode(record.value).users())
        except FormatError:
            return True

    def is_in_standing(self, record: Any) -> bool:
        """Whether a standing is theirs."""
        try:
            return _STANDING_KEY.decode(record.key)[0] in self.names
        except msgspec.DecodeError:
            return False

    def is_in_flag(self, record: Any) -> bool:
        """Whether a flag is about them."""
        return record.key in self._keys

    def is_in_alert(self, record: Any) -> bool:
        """Whether the state of an alert is about a flag of theirs."""
        return (record.key or b"").startswith(_OF_FLAG) and not self.names.isdisjoint(_people_in(record.value))

    def is_in_undelivered(self, record: Any) -> bool:
        """Whether an undelivered message is about them, and perhaps about others."""
        return not self.names.isdisjoint(_people_in(record.value))

    def is_credited(self, record: Any) -> bool:
        """Whether a packet of credits names them."""
        try:
            return not self.names.isdisjoint(credit_packets.decode(record.value or b"").credited)
        except FormatError:
            return False

    def is_in_letter(self, record: Any) -> bool:
        """Whether a dead letter or late event is theirs, or names them as who was shared, or brought somebody.

        It may be malformed, or shortened: then the id is searched for as it is written.
        """
        value = record.value or shortened_value(record.headers)
        return record.key in self._keys or bool(self._said.search(value)) or not self.names.isdisjoint(_ids(value))


def _ids(value: bytes) -> set[str]:
    try:
        event = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return set()
    found = [event.get(name) for name in _IDS] if isinstance(event, dict) else []
    return {str(user) for user in found if isinstance(user, str | int)}


def _people_in(value: bytes) -> set[str]:
    """The people in a record of `stream-app alerts`."""
    try:
        alert = msgspec.json.decode(value, type=_Alert)
    except msgspec.DecodeError:
        return set()
    return {named.user_id for named in (*alert.flags, *([alert.flag] if alert.flag else []))}
