"""Dead letters: records that are set aside, with headers that hold their origin and the reason."""

from collections.abc import Iterable
from typing import NamedTuple

import xxhash

HEADER = "__streams.errors."
"""Prefix of the header names, as in Kafka Streams."""
_ATTEMPTS = HEADER + "attempts"
_REPLAYED = HEADER + "replayed"
_MOST_DIGITS = 9
_EMPTY = "empty"
"""The reason for records without a value."""

Headers = Iterable[tuple[str, bytes | None]]


class Origin(NamedTuple):
    """The topic, partition and offset that a record was read from."""

    topic: str
    partition: int
    offset: int


class DeadLetterId(NamedTuple):
    """The identity of a dead letter. A record can be set aside twice after a crash; both copies have the same id.

    The digest distinguishes records at the same offset of a topic that was deleted and created again.
    """

    origin: Origin
    digest: str


class DeadLetter(NamedTuple):
    """A record that is not counted and is set aside unchanged."""

    origin: Origin
    key: bytes | None
    value: bytes | None
    reason: str
    message: str
    attempts: int = 0
    """How often the record has been replayed."""

    @property
    def identity(self) -> DeadLetterId:
        """Equal for all copies of one dead letter, and for no other."""
        parts = (b"-" if part is None else b"%d:%b" % (len(part), part) for part in (self.key, self.value))
        return DeadLetterId(self.origin, xxhash.xxh3_64_hexdigest(b"".join(parts)))

    @property
    def is_withheld(self) -> bool:
        """Whether key and value were left out because they name the user, as under pseudonyms."""
        return self.key is None and self.value is None and self.reason != _EMPTY

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers: origin, reason, and the number of replays if there were any."""
        why = {"exception": self.reason, "message": self.message}
        headers = [*_origin_headers(self.origin), *((HEADER + name, _text(text)) for name, text in why.items())]
        return headers + attempt_headers(self.attempts) if self.attempts else headers


def attempt_headers(attempts: int) -> list[tuple[str, bytes]]:
    """Return the header that counts replays; it is kept if the record is set aside again."""
    return [(_ATTEMPTS, b"%d" % attempts)]


def attempts_of(headers: Headers) -> int:
    """Return how often a record was replayed; 0 if its headers do not say, or are malformed."""
    return _number(dict(headers).get(_ATTEMPTS)) or 0


def replayed_headers(identity: DeadLetterId) -> list[tuple[str, bytes]]:
    """Return the headers of the marker record that a dead letter has been replayed."""
    return [*_origin_headers(identity.origin), (_REPLAYED, identity.digest.encode())]


def read(key: bytes | None, value: bytes | None, headers: Headers) -> DeadLetter | DeadLetterId | None:
    """Return the dead letter in a record, or the id if it is a replay marker, or None if it is neither."""
    found = {name.removeprefix(HEADER): text for name, text in headers if name.startswith(HEADER)}
    topic, reason, digest = found.get("topic"), found.get("exception"), found.get("replayed")
    partition, offset = _number(found.get("partition")), _number(found.get("offset"), digits=18)
    if topic is None or partition is None or offset is None:
        return None
    origin = Origin(topic.decode(errors="replace"), partition, offset)
    if digest is not None:
        return DeadLetterId(origin, digest.decode(errors="replace"))
    if reason is None:
        return None
    message = (found.get("message") or b"").decode(errors="replace")
    return DeadLetter(origin, key, value, reason.decode(errors="replace"), message, _number(found.get("attempts")) or 0)


def _origin_headers(origin: Origin) -> list[tuple[str, bytes]]:
    return [(HEADER + name, _text(str(value))) for name, value in origin._asdict().items()]


def _text(text: str) -> bytes:
    return text.encode(errors="replace")


def _number(text: bytes | None, digits: int = _MOST_DIGITS) -> int | None:
    return int(text) if text is not None and text.isdigit() and len(text) <= digits else None
