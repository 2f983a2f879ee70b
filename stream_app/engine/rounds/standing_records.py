"""Standings in the in-memory format: a third of the size of the JSON on Kafka."""

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.messages import Flag


class _Kept(Flag, frozen=True, array_like=True):
    """The fields of a flag without their names."""


_JSON = msgspec.json.Decoder(Flag)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Kept)


_KEY = msgspec.json.Decoder(tuple[str, str, str, str])


def user_of(key: bytes) -> str:
    """Return the user in the key of a standing, see `flag_outbox.standing_key`."""
    return _KEY.decode(key)[0]


def packed(flag: Flag) -> bytes:
    """Encode a flag in the in-memory format."""
    return _ENCODER.encode(msgspec.structs.astuple(flag))


def kept(standing: bytes) -> bytes:
    """Convert a standing from Kafka to the in-memory format; unreadable values stay as they are."""
    try:
        return packed(_JSON.decode(standing))
    except msgspec.DecodeError:
        return standing


def flag_of(standing: bytes) -> Flag:
    """Decode a kept standing to a flag that can be sent. Raises FormatError if it is unreadable."""
    return Flag(**msgspec.structs.asdict(look_at(standing)))


def look_at(standing: bytes) -> Flag:
    """Decode a kept standing to read its fields, twice as fast as `flag_of`. Encoded, it would lack field names."""
    try:
        return _DECODER.decode(standing)
    except msgspec.DecodeError as error:
        raise FormatError(f"a standing cannot be read: {error}; was it written by another release?") from error
