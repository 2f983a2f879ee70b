"""Decoding: values of Kafka records to events; a record that fails to decode becomes a `Rejected`."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from stream_app.core.events.schema import Event, Post, Share


class Rejected(NamedTuple):
    """A record that is not counted, with the reason."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs
    """Index of the record in the batch."""
    reason: str
    """A short fixed name, usable as a metric label."""
    message: str
    """What is wrong and how to fix it."""


class Decoded(NamedTuple):
    """The events decoded from a batch, the index of each in the batch, and the records `rejected`."""

    events: Sequence[Event]
    indices: Sequence[int]
    rejected: list[Rejected]


_DECODERS: dict[type[Event], msgspec.json.Decoder[Event]] = {kind: msgspec.json.Decoder(kind) for kind in (Post, Share)}


def decode(values: Sequence[bytes | None], kind: type[Event], max_bytes: int) -> Decoded:
    """Decode `values`, one JSON event each. Never raises, whatever a record contains."""
    good = _decode_good(values, kind, max_bytes)
    if good is not None:
        return Decoded(good, range(len(good)), [])
    decoder = _DECODERS[kind]
    events: list[Event] = []
    indices: list[int] = []
    rejected: list[Rejected] = []
    for index, value in enumerate(values):
        try:
            _check_size(value, max_bytes)
            events.append(decoder.decode(value or b""))
            indices.append(index)
        except _BadRecord as error:
            rejected.append(Rejected(index, error.reason, str(error)))
        except msgspec.ValidationError as error:
            rejected.append(Rejected(index, "invalid", f"{error}; see the schema of {kind.__name__.lower()} events"))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            rejected.append(Rejected(index, "not-json", f"not a JSON object in UTF-8: {error}"))
    return Decoded(events, indices, rejected)


class _BadRecord(Exception):
    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def _check_size(value: bytes | None, max_bytes: int) -> None:
    if not value:
        raise _BadRecord("empty", "the record has no value; an event is a JSON object")
    if len(value) > max_bytes:
        message = f"{len(value)} bytes, more than max_event_bytes ({max_bytes}): raise STREAM_APP_MAX_EVENT_BYTES?"
        raise _BadRecord("oversized", message)


def _decode_good(values: Sequence[bytes | None], kind: type[Event], max_bytes: int) -> list[Event] | None:
    """Decode all values in one go; None if any of them is bad, so that each must be looked at on its own."""
    try:
        if max(map(len, values), default=0) > max_bytes:  # type: ignore[arg-type]  # a None raises TypeError
            return None
        return list(map(_DECODERS[kind].decode, values))  # type: ignore[arg-type]
    except (TypeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
