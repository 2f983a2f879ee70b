"""The records of the state topic: flags with what the rules decided, digests, offsets, and who leads."""

from typing import Literal

import msgspec
from msgspec import Struct, field

from stream_app.core.decoding import DECODE_ERRORS, are_numbers
from stream_app.core.messages import Flag, is_sound

FLAG_PREFIX, DIGEST_PREFIX, OFFSETS_KEY, LEADER_KEY = "flag/", "digest/", "positions", "owner"
"""The keys of the state topic."""

RuleAction = Literal["send", "cooldown", "limit", "quiet"]
HELD_FOR_DIGEST = ("limit", "quiet")


class RuleDecision(Struct, frozen=True, kw_only=True):
    """What one rule does with a flag, for the sinks that no earlier rule has decided about."""

    rule: str
    action: RuleAction = field(name="what")
    sinks: tuple[str, ...]
    due_ms: int = 0
    """For a flag that is held for a digest: when the digest is sent, at the latest."""


class FlagRecord(Struct, kw_only=True, omit_defaults=True):
    """A flag that matches a rule. It is kept for as long as a repeat of it could be sent."""

    number: int
    """Flags and digests are numbered in the order of their decisions."""
    decided_ms: int
    keep_until_ms: int
    decisions: tuple[RuleDecision, ...] = field(name="verdicts")
    flag: Flag
    pending: tuple[str, ...] = ()
    """The sinks that have not received it yet, as a message of its own."""


class DigestRecord(Struct, kw_only=True, omit_defaults=True):
    """One message about all the flags a rule has held: those with numbers from `first` to `last`."""

    rule: str
    number: int
    first: int
    last: int
    made_ms: int
    pending: tuple[str, ...] = ()


class OffsetsRecord(Struct, kw_only=True):
    """The offset of the next flag to read, by partition."""

    offsets: dict[int, int]


class LeaderRecord(Struct, kw_only=True):
    """The instance that leads from here on; records that others write later do not count."""

    name: str
    since_ms: int


StateRecord = FlagRecord | DigestRecord | OffsetsRecord | LeaderRecord
_KINDS: dict[str, type[StateRecord]] = {
    FLAG_PREFIX: FlagRecord,
    DIGEST_PREFIX: DigestRecord,
    OFFSETS_KEY: OffsetsRecord,
    LEADER_KEY: LeaderRecord,
}
MOST_BYTES = 1_000_000
_ENCODER = msgspec.json.Encoder()


class StateError(RuntimeError):
    """This release cannot read a record of the state topic; the message says why."""


def encode(record: StateRecord) -> bytes:
    """The value of a record."""
    return _ENCODER.encode(record)


def decode(key: str, value: bytes) -> StateRecord:
    """The record with that key. Raises StateError."""
    kind = next((kind for prefix, kind in _KINDS.items() if key.startswith(prefix)), None)
    if kind is None:
        raise StateError("this release knows no record with such a key")
    if len(value) > MOST_BYTES:
        raise StateError(f"it has {len(value):,} bytes, more than any record of this release")
    try:
        record = msgspec.json.decode(value, type=kind)
    except DECODE_ERRORS as error:
        raise StateError(f"{error}; has another release written it?") from error
    if not _is_sound(record):
        raise StateError("it holds numbers that no instance can have written")
    return record


def _is_sound(record: StateRecord) -> bool:
    """Return whether the numbers in it can be worked with: no time without end, no offset below 0."""
    match record:
        case FlagRecord():
            numbers = [record.number, record.decided_ms, record.keep_until_ms]
            return is_sound(record.flag) and are_numbers(
                [*numbers, *(decision.due_ms for decision in record.decisions)]
            )
        case DigestRecord():
            return are_numbers([record.number, record.first, record.last, record.made_ms])
        case OffsetsRecord():
            return are_numbers([*record.offsets, *record.offsets.values()])
    return are_numbers([record.since_ms])
