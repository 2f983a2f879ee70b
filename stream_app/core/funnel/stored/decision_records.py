"""Decision records: decisions as they are stored, and what deltas have for the funnel."""

from typing import NamedTuple

import msgspec

from stream_app.core.changelog.columns import Column, FormatError
from stream_app.core.decoding import DECODE_ERRORS
from stream_app.core.funnel.stored.credit_packets import AddressedPacket
from stream_app.core.funnel.stored.stored_times import Times
from stream_app.core.state.watermark import NO_TIME


class InDelta(msgspec.Struct, array_like=True):
    """What the delta of a batch has for the funnel."""

    events: bytes = b""
    received: list[bytes] = []
    taken: Column | None = None
    """The hashes of events that are taken back."""


class DecidedUntil(NamedTuple):
    """What was decided."""

    sequence: int = 0
    """Of the delta that was written with the newest decision …"""
    until_ms: int = NO_TIME
    """… which has the events of earlier deltas, if they are of panes that end by this time."""
    all_before: int = 0
    """All events of deltas before this one."""

    def has(self, sequence: int, ts_ms: int) -> bool:
        """Return whether an event of a delta is in a decision."""
        return sequence < self.all_before or (sequence < self.sequence and ts_ms < self.until_ms)


class StoredDecision(msgspec.Struct, array_like=True):
    """A decision as it is stored."""

    sequence: int
    reach: DecidedUntil
    state: bytes
    packets: list[AddressedPacket]
    received: list[bytes]
    taken: tuple[Column, Times]
    """The hashes and times of events that are taken back with it."""


_ENCODER = msgspec.msgpack.Encoder()
_IN_DELTA = msgspec.msgpack.Decoder(InDelta)
_DECISION = msgspec.msgpack.Decoder(StoredDecision)


def encoded(record: InDelta | StoredDecision) -> bytes:
    """Encode either."""
    return _ENCODER.encode(record)


def decoded_decision(value: bytes) -> StoredDecision:
    """Decode a decision. Raises FormatError."""
    try:
        return _DECISION.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not a decision of the funnel: {error}") from error


def decoded_delta(value: bytes) -> InDelta:
    """Decode what a delta has for the funnel. Raises FormatError."""
    try:
        return _IN_DELTA.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not what a delta has for the funnel: {error}") from error
