"""Dead letters: records that are set aside, with headers that hold their origin and the reason.

A letter has the record as it came: its key and value. There are two exceptions, which have no value, so that earlier
releases do not replay them:

- A record that is too large for the topic is *shortened*: the headers have the beginning of its value, its sizes, and
  a digest to compare the record at the origin with.
- Records beyond what may be written one by one share a letter, and so do those of a batch that could not be read: it
  has the offset of the first and the last of them, their number by reason, and their offsets as ranges.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import xxhash

HEADER = "__streams.errors."
"""Prefix of the header names, as in Kafka Streams."""
_ATTEMPTS = HEADER + "attempts"
_REPLAYED = HEADER + "replayed"
_MOST_DIGITS = 9
_EMPTY = "empty"
"""The reason for records without a value."""
TOO_MANY = "too-many"
"""The reason of a letter that records share beyond a budget; it has theirs in a header."""
LONGEST_MESSAGE = 500
"""Characters: what is wrong may be quoted from the record."""
_LONGEST_KEY = 1024
"""Of a shortened letter: a longer one is no user's, whose id has at most 256 characters."""
_HEAD_BYTES = 4096
_ROOM = 600
"""Bytes for all headers but the message and the beginning of the value."""

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


class Whole(NamedTuple):
    """What a shortened letter says of the whole record."""

    key_bytes: int
    value_bytes: int
    digest: str
    head: bytes
    """The beginning of the value."""


class Shared(NamedTuple):
    """What a letter says of the records that share it; the offset of the first is that of its origin."""

    last: int
    """Offset of the last of them."""
    reasons: Mapping[str, int]
    """Number of records by reason."""
    ranges: list[tuple[int, int]]
    """First and last offset of each run of them; where there are too many runs, one from the first to the last."""

    @property
    def records(self) -> int:
        """How many."""
        return sum(self.reasons.values())


class DeadLetter(NamedTuple):
    """A record that is not counted and is set aside, or records that share a letter."""

    origin: Origin
    key: bytes | None
    value: bytes | None
    reason: str
    message: str
    attempts: int = 0
    """How often the record has been replayed."""
    whole: Whole | None = None
    """Set if the record is shortened."""
    shared: Shared | None = None
    """Set if records share it."""

    @property
    def identity(self) -> DeadLetterId:
        """Equal for all copies of one dead letter, and for no other."""
        if self.whole is not None:
            return DeadLetterId(self.origin, self.whole.digest)
        if self.shared is not None:
            return DeadLetterId(
                self.origin, xxhash.xxh3_64_hexdigest(b"%d/%d" % (self.shared.last, self.shared.records))
            )
        return DeadLetterId(self.origin, digest_of(self.key, self.value))

    @property
    def is_withheld(self) -> bool:
        """Whether key and value were left out because they name the user, as under pseudonyms."""
        return self.key is None and self.value is None and self.reason != _EMPTY and not self.is_elsewhere

    @property
    def is_elsewhere(self) -> bool:
        """Whether only the topic that it came from has the record, or the records, as they came."""
        return self.whole is not None or self.shared is not None

    @property
    def is_unread(self) -> bool:
        """Whether the records that share it were in a record batch that could not be read."""
        return self.shared is not None and self.reason != TOO_MANY

    @property
    def nbytes(self) -> int:
        """About as many bytes as it has on Kafka, rather more."""
        head = len(self.whole.head) if self.whole else 0
        return len(self.key or b"") + len(self.value or b"") + head + len(_text(self.message)) + _ROOM

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers: origin, reason, the number of replays if there were any, and what is not in the value."""
        why = {"exception": self.reason, "message": self.message}
        headers = [*_origin_headers(self.origin), *((HEADER + name, _text(text)) for name, text in why.items())]
        if self.attempts:
            headers += attempt_headers(self.attempts)
        if self.whole is not None:
            key_bytes, value_bytes, digest, head = self.whole
            headers += _named(_OF_WHOLE, b"%d" % key_bytes, b"%d" % value_bytes, digest.encode(), head)
        if self.shared is not None:
            last, reasons, ranges = self.shared
            headers += _named(_OF_SHARED, b"%d" % last, _JSON.encode(reasons), _JSON.encode(ranges))
        return headers

    def within(self, most_bytes: int) -> "DeadLetter":
        """Return the same, shortened if it is larger than `most_bytes`."""
        return self if self.nbytes <= most_bytes else self.shortened()

    def shortened(self) -> "DeadLetter":
        """Return the same with the beginning of the value only, and without a key that is too long for one."""
        if self.value is None and self.key is None:
            return self
        key, value = self.key or b"", self.value or b""
        whole = self.whole or Whole(len(key), len(value), digest_of(self.key, self.value), value[:_HEAD_BYTES])
        return self._replace(key=self.key if len(key) <= _LONGEST_KEY else None, value=None, whole=whole)

    def bare_headers(self) -> list[tuple[str, bytes]]:
        """Return the headers of the same, shortened, without the beginning of the value."""
        letter = self.shortened()
        return (letter._replace(whole=letter.whole._replace(head=b"")) if letter.whole else letter).headers()


_OF_WHOLE = ("key.bytes", "value.bytes", "digest", "head")
_OF_SHARED = ("last", "reasons", "offsets")
_JSON = msgspec.json.Encoder()
_REASONS = msgspec.json.Decoder(dict[str, int])
_RANGES = msgspec.json.Decoder(list[tuple[int, int]])


def digest_of(key: bytes | None, value: bytes | None) -> str:
    """Return the digest of a record's key and value."""
    parts = (b"-" if part is None else b"%d:%b" % (len(part), part) for part in (key, value))
    return xxhash.xxh3_64_hexdigest(b"".join(parts))


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
    partition, offset = _number(found.get("partition")), _number(found.get("offset"), digits=19)
    if topic is None or partition is None or offset is None:
        return None
    origin = Origin(topic.decode(errors="replace"), partition, offset)
    if digest is not None:
        return DeadLetterId(origin, digest.decode(errors="replace"))
    if reason is None:
        return None
    message = (found.get("message") or b"").decode(errors="replace")
    attempts = _number(found.get("attempts")) or 0
    whole, together = (_whole(found), _shared(found, offset)) if value is None else (None, None)
    return DeadLetter(origin, key, value, reason.decode(errors="replace"), message, attempts, whole, together)


def shortened_value(headers: Headers) -> bytes:
    """Return the beginning of the value of a shortened letter; empty for any other."""
    return dict(headers).get(HEADER + _OF_WHOLE[-1]) or b""


def _whole(found: Mapping[str, bytes | None]) -> Whole | None:
    key_bytes, value_bytes, digest, head = (found.get(name) for name in _OF_WHOLE)
    sizes = _number(key_bytes, digits=19), _number(value_bytes, digits=19)
    if sizes[0] is None or sizes[1] is None or digest is None:
        return None
    return Whole(sizes[0], sizes[1], digest.decode(errors="replace"), head or b"")


def _shared(found: Mapping[str, bytes | None], first: int) -> Shared | None:
    last, reasons, ranges = (found.get(name) for name in _OF_SHARED)
    end = _number(last, digits=19)
    if end is None or end < first:
        return None
    try:
        counts, runs = _REASONS.decode(reasons or b"{}"), _RANGES.decode(ranges or b"[]")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Shared(end, counts, [run for run in runs if first <= run[0] <= run[1] <= end] or [(first, end)])


def _origin_headers(origin: Origin) -> list[tuple[str, bytes]]:
    return [(HEADER + name, _text(str(value))) for name, value in origin._asdict().items()]


def _text(text: str) -> bytes:
    return text.encode(errors="replace")


def _named(names: Iterable[str], *values: bytes) -> list[tuple[str, bytes]]:
    return [(HEADER + name, value) for name, value in zip(names, values, strict=True)]


def _number(text: bytes | None, digits: int = _MOST_DIGITS) -> int | None:
    if text is None or not text.isdigit() or len(text) > digits:
        return None
    return number if (number := int(text)) < 2**63 else None
