"""The newest duplicates of a partition: a small sample of places in Kafka, so that somebody can look at them.

Only places are kept, no ids and no names: the records are in the input topics, for as long as Kafka keeps these.
"""

from collections.abc import Iterable

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS, LARGEST, are_numbers

VERSION = 1
MOST_KEPT = 20
"""Duplicates kept of a partition, the newest."""
MOST_OF_BATCH = 3
"""Duplicates taken up of one batch: counting everything again must not cost more for it."""
NOWHERE = -1
"""The offset of the first one, where it is not known."""
KEY = b"duplicates/"


class Duplicate(msgspec.Struct, array_like=True, frozen=True, order=True):
    """An event that was counted before."""

    arrived_ms: int
    """When its record came to Kafka, epoch ms: its producer may say so, but nothing later than when it was counted."""
    topic: str
    offset: int
    first_offset: int
    """Where the event was counted first, if that was in the same batch; else `NOWHERE`."""
    first_from_ms: int
    """Event time of the first one: not before this, epoch ms …"""
    first_until_ms: int
    """… and before this."""


class DuplicateSample(msgspec.Struct, array_like=True, frozen=True):
    """What the owner of a partition publishes."""

    version: int
    partition: int
    newest: list[Duplicate]


class NewestDuplicates:
    """Keeps the newest duplicates of a partition."""

    def __init__(self) -> None:
        self.newest: list[Duplicate] = []
        self.is_published = True
        """Whether nothing has changed since `sample`."""

    def add(self, found: Iterable[Duplicate]) -> None:
        """Take up some more; those known already change nothing."""
        by_place = {(one.topic, one.offset): one for one in (*found, *self.newest)}
        newest = sorted(by_place.values())[-MOST_KEPT:]
        self.is_published &= newest == self.newest
        self.newest = newest

    def sample(self, partition: int) -> DuplicateSample:
        """Return what is to be published."""
        self.is_published = True
        return DuplicateSample(VERSION, partition, self.newest)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(DuplicateSample)


def encode(sample: DuplicateSample) -> tuple[bytes, bytes]:
    """Encode as key and value of a record on the curves topic."""
    return KEY + str(sample.partition).encode(), _ENCODER.encode(sample)


def decode(value: bytes) -> DuplicateSample:
    """Decode the value of a record. Raises FormatError for another version, or for what no worker writes."""
    try:
        found = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not a sample of duplicates of version {VERSION}: {error}") from error
    if found.version != VERSION:
        raise FormatError(f"sample of duplicates of version {found.version}, this release reads {VERSION}")
    if not are_numbers((found.partition,)) or not all(map(_is_sound, found.newest)):
        raise FormatError("not a sample of duplicates: it holds numbers that no partition can have")
    return found


def _is_sound(one: Duplicate) -> bool:
    times = (one.arrived_ms, one.first_from_ms, one.first_until_ms)
    return are_numbers(times, -LARGEST) and are_numbers((one.offset,)) and are_numbers((one.first_offset,), NOWHERE)
