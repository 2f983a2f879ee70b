"""Who was erased: read by everybody from a compacted topic, which holds keyed hashes and never an id."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from stream_app.core.privacy.pseudonyms import PersonHashes

CHECK_KEY = b"check"
"""Under this key the topic says with which person_key its hashes are made."""


class PersonKeyError(RuntimeError):
    """The person_key is not the one that the erasures of this tracker are made with; the message says what to do."""


class ErasureRecord(NamedTuple):
    """A record of the topic."""

    key: bytes
    value: bytes


def erasure(persons: PersonHashes, user: str, now_ms: int) -> list[ErasureRecord]:
    """What remembers that `user` was erased."""
    value = msgspec.json.encode({"erased_at": now_ms})
    return [ErasureRecord(mark.encode(), value) for mark in persons.marks(user)]


def check(persons: PersonHashes) -> ErasureRecord:
    """What shows others whether they have the same person_key."""
    return ErasureRecord(CHECK_KEY, msgspec.json.encode({"check": persons.check}))


class Erasures:
    """The erasures as far as they have been read. True when anybody is erased."""

    def __init__(self, topic: str, person_key: str) -> None:
        """`topic`: where they are read, for messages; `person_key`: empty for none."""
        self._topic = topic
        self._persons = PersonHashes(person_key) if person_key else None
        self._marks: set[str] = set()
        self._check: bytes | None = None
        self.position = 0
        """The offset up to which the topic has been read."""

    def __bool__(self) -> bool:
        return bool(self._marks)

    def update(self, key: bytes, value: bytes | None, offset: int) -> None:
        """Take in one record of the topic."""
        self.position = offset + 1
        if key == CHECK_KEY:
            self._check = value
        elif value is None:
            self._marks.discard(key.decode(errors="replace"))
        else:
            self._marks.add(key.decode(errors="replace"))

    def __len__(self) -> int:
        """How many are known."""
        return len(self._marks)

    def among(self, names: Iterable[str]) -> set[str]:
        """The erased ones among `names`, as a ledger knows them."""
        if not self._marks or self._persons is None:
            return set()
        mark, marks = self._persons.mark, self._marks
        return {name for name in names if mark(name) in marks}

    def introduction(self) -> ErasureRecord | None:
        """What has to be written so that others see which person_key this is; None where they can, or there is none."""
        return check(self._persons) if self._persons and self._check is None else None

    def verify(self) -> None:
        """Raise PersonKeyError where people who were erased would not be recognised."""
        if self._persons is None and (self or self._check is not None):
            raise PersonKeyError(
                f"{self._topic} holds erasures or is prepared for them, and STREAM_APP_PERSON_KEY is empty: people who "
                "were erased would be counted again; set it to the key that the other workers have"
            )
        if self._persons and self._check not in {None, check(self._persons).value}:
            raise PersonKeyError(
                f"STREAM_APP_PERSON_KEY is not the key that the hashes in {self._topic} are made with: people who were "
                "erased would not be recognised; set it to the key that the other workers have"
            )
