"""Decoding: values of Kafka records to events; a record that fails to decode becomes a `Rejected`."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from stream_app.core.arrays import Ints
from stream_app.core.events.limits import TimeRange, has_room_for_long_names, long_name, may_be_long
from stream_app.core.events.repair import envelope, foreign_format, payload, with_time
from stream_app.core.events.schema import MAX_ID_BYTES, Event, Post, Retraction, Share

T = TypeVar("T", Event, Retraction)


class Rejected(NamedTuple):
    """A record that is not counted, with the reason."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs
    """Index of the record in the batch."""
    reason: str
    """A short fixed name, usable as a metric label."""
    message: str
    """What is wrong and how to fix it."""


class Decoded(NamedTuple, Generic[T]):
    """The events decoded from a batch, the index of each in the batch, and the records `rejected`."""

    events: Sequence[T]
    indices: Sequence[int]
    rejected: list[Rejected]

    def without(self, bad: Sequence[Rejected]) -> "Decoded[T]":
        """Return the same with `bad` rejected too; their `index` is that in the batch."""
        gone = {reject.index for reject in bad}
        kept = [place for place, index in enumerate(self.indices) if index not in gone]
        return Decoded(
            [self.events[place] for place in kept], [self.indices[place] for place in kept], [*self.rejected, *bad]
        )


class _Contract(NamedTuple, Generic[T]):
    """What the records of a source are."""

    name: str
    kind: Any
    """The type that they are decoded to."""
    decoder: msgspec.json.Decoder[T]


_EVENTS: dict[type[Event], _Contract[Event]] = {
    kind: _Contract(kind.__name__.lower(), kind, msgspec.json.Decoder(kind)) for kind in (Post, Share)
}
_RETRACTIONS: _Contract[Retraction] = _Contract("retraction", Retraction, msgspec.json.Decoder(Retraction))


def decode(
    values: Sequence[bytes | None], kind: type[Event], max_bytes: int, max_id_bytes: int = MAX_ID_BYTES
) -> Decoded[Event]:
    """Decode `values`, one JSON event each. Never raises, whatever a record contains."""
    return _decode(values, _EVENTS[kind], max_bytes, max_id_bytes)


def decode_retractions(
    values: Sequence[bytes | None], max_bytes: int, max_id_bytes: int = MAX_ID_BYTES
) -> Decoded[Retraction]:
    """Decode `values`, one retraction or erasure each, like `decode`."""
    return _decode(values, _RETRACTIONS, max_bytes, max_id_bytes)


def _decode(values: Sequence[bytes | None], contract: _Contract[T], max_bytes: int, max_id_bytes: int) -> Decoded[T]:
    longest = _longest(values)
    good = _decode_good(values, contract) if longest <= max_bytes else None
    decoded = _decode_each(values, contract, max_bytes) if good is None else Decoded(good, range(len(good)), [])
    if not has_room_for_long_names(longest, max_id_bytes):
        return decoded
    bad = list(_long_names(decoded, values, max_id_bytes))
    return decoded.without(bad) if bad else decoded


def _longest(values: Sequence[bytes | None]) -> int:
    try:
        return max(map(len, values), default=0)  # type: ignore[arg-type]  # few batches hold a None
    except TypeError:
        return max(len(value or b"") for value in values)


def implausible(ts_ms: Ints, indices: Sequence[int], times: TimeRange) -> list[Rejected]:
    """Return the events outside of `times`: most are numbers in another unit than ms, or clocks that were never set."""
    return [
        Rejected(indices[place], "implausible-time", times.complaint(int(ts_ms[place])))
        for place in times.beyond(ts_ms)
    ]


def _decode_each(values: Sequence[bytes | None], contract: _Contract[T], max_bytes: int) -> Decoded[T]:
    events: list[T] = []
    indices: list[int] = []
    rejected: list[Rejected] = []
    for index, value in enumerate(values):
        try:
            events.append(_decode_one(value, contract, max_bytes))
            indices.append(index)
        except _BadRecord as error:
            rejected.append(Rejected(index, error.reason, str(error)))
    return Decoded(events, indices, rejected)


class _BadRecord(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _decode_one(value: bytes | None, contract: _Contract[T], max_bytes: int) -> T:
    if not value:
        raise _BadRecord("empty", "the record has no value; an event is a JSON object")
    if len(value) > max_bytes:
        message = f"{len(value)} bytes, more than max_event_bytes ({max_bytes}): raise STREAM_APP_MAX_EVENT_BYTES?"
        raise _BadRecord("oversized", message)
    text = payload(value)
    try:
        return contract.decoder.decode(text)
    except msgspec.ValidationError as error:
        read: T | str = with_time(text, contract.kind)
        if not isinstance(read, str):
            return read
        why = read or envelope(text) or f"{error}; see the schema of {contract.name} events"
        raise _BadRecord("invalid", why) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = foreign_format(value) or f"not a JSON object in UTF-8: {error}"
        raise _BadRecord("not-json", why) from error


def _decode_good(values: Sequence[bytes | None], contract: _Contract[T]) -> list[T] | None:
    """Decode all values in one go; None if any of them is bad, so that each must be looked at on its own."""
    try:
        return list(map(contract.decoder.decode, values))  # type: ignore[arg-type]
    except (TypeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _long_names(decoded: Decoded[T], values: Sequence[bytes | None], max_id_bytes: int) -> Iterator[Rejected]:
    """Yield the events with a name that is too long."""
    for event, index in zip(decoded.events, decoded.indices, strict=True):
        value = values[index] or b""
        if may_be_long(value, max_id_bytes) and (why := long_name(event, max_id_bytes)):
            yield Rejected(index, "invalid", why)
