"""Erasures: who was erased or has opted out, read by all workers from a compacted topic of keyed hashes, never ids."""

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import NamedTuple

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.privacy.pseudonyms import PersonHashes

_MARK = re.compile(rb"[0-9a-f]{32}")
_CHECK = re.compile(rb'\{"check":"[0-9a-f]{32}"\}')
_OPTED_OUT = "opted_out_at"
CHECK_KEY = b"check"
"""Key of the record that identifies the person_key of the hashes in the topic."""


class PersonKeyError(RuntimeError):
    """The person_key does not match the one that the erasures were made with. The message says what to do."""


class MarkedAs(Enum):
    """What a mark says about a person."""

    NOTHING = auto()
    OUT = auto()
    ERASED = auto()


class ErasureRecord(NamedTuple):
    """A record of the erasures topic."""

    key: bytes
    value: bytes | None


def erasure(persons: PersonHashes, user: str, now_ms: int) -> list[ErasureRecord]:
    """Return the records that mark `user` as erased."""
    value = msgspec.json.encode({"erased_at": now_ms})
    return [ErasureRecord(mark.encode(), value) for mark in persons.marks(user)]


def opt_out(persons: PersonHashes, user: str, now_ms: int) -> list[ErasureRecord]:
    """Return the records that mark `user` as one who has opted out: treated as erased until the marks are deleted."""
    value = msgspec.json.encode({_OPTED_OUT: now_ms})
    return [ErasureRecord(mark.encode(), value) for mark in persons.marks(user)]


def opt_in(persons: PersonHashes, user: str) -> list[ErasureRecord]:
    """Return the records that delete these marks."""
    return [ErasureRecord(mark.encode(), None) for mark in persons.marks(user)]


def marked_as(value: bytes | None) -> MarkedAs:
    """Return what a mark says, given its last value; one that cannot be read is an erasure, which lasts."""
    if value is None:
        return MarkedAs.NOTHING
    return MarkedAs.OUT if value.startswith(b'{"%s":' % _OPTED_OUT.encode()) else MarkedAs.ERASED


def check(persons: PersonHashes) -> ErasureRecord:
    """Return the record by which others check that they have the same person_key."""
    return ErasureRecord(CHECK_KEY, msgspec.json.encode({"check": persons.check}))


class Erasures:
    """The erasures read so far. True if anyone is erased."""

    def __init__(self, topic: str, person_key: str) -> None:
        """`topic`: the name of the erasures topic, for messages; `person_key`: empty for none."""
        self._topic = topic
        self._persons = PersonHashes(person_key) if person_key else None
        self._marks: set[str] = set()
        self._check: bytes | None = None
        self.position = 0
        """The offset up to which the topic has been read."""

    def __bool__(self) -> bool:
        return bool(self._marks)

    def update(self, key: bytes, value: bytes | None, offset: int) -> None:
        """Apply one record of the topic. Raises FormatError for one that no worker can have written."""
        self.position = offset + 1
        if key == CHECK_KEY:
            if value is not None and not _CHECK.fullmatch(value):
                raise FormatError("the check of the person_key is no hash")
            self._check = value
        elif not _MARK.fullmatch(key):
            raise FormatError("the mark of an erased person is no hash")
        elif value is None:
            self._marks.discard(key.decode())
        else:
            self._marks.add(key.decode())

    def __len__(self) -> int:
        """Number of marks."""
        return len(self._marks)

    def among(self, names: Iterable[str]) -> set[str]:
        """Return which of `names` (user ids or pseudonyms, as in a ledger) are erased."""
        if not self._marks or self._persons is None:
            return set()
        mark, marks = self._persons.mark, self._marks
        return {name for name in names if mark(name) in marks}

    def introduction(self) -> ErasureRecord | None:
        """Return the check record, if the topic has none and this worker has a person_key."""
        return check(self._persons) if self._persons and self._check is None else None

    def verify(self) -> None:
        """Raise PersonKeyError if this worker would not recognise people who were erased."""
        if self._persons is None and (self or self._check is not None):
            raise PersonKeyError(
                f"{self._topic} holds erasures or is prepared for them, but STREAM_APP_PERSON_KEY is empty: people who "
                "were erased would be counted again; set it to the key of the other workers"
            )
        if self._persons and self._check not in {None, check(self._persons).value}:
            raise PersonKeyError(
                f"STREAM_APP_PERSON_KEY is not the key that the hashes in {self._topic} are made with: people who were "
                "erased would not be recognised; set it to the key of the other workers"
            )
