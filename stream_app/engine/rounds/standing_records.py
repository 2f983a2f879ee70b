"""Standings as a worker keeps them: a third of the JSON that is on Kafka."""

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
    """Whose standing is kept under a key, see `outbox.standing_key`."""
    return _KEY.decode(key)[0]


def packed(flag: Flag) -> bytes:
    """A standing as it is kept."""
    return _ENCODER.encode(msgspec.structs.astuple(flag))


def kept(standing: bytes) -> bytes:
    """A standing from Kafka as it is kept; what cannot be read is kept as it is."""
    try:
        return packed(_JSON.decode(standing))
    except msgspec.DecodeError:
        return standing


def flag_of(standing: bytes) -> Flag:
    """The flag in a standing as it is kept, ready to be sent. Raises FormatError where it cannot be read."""
    return Flag(**msgspec.structs.asdict(look_at(standing)))


def look_at(standing: bytes) -> Flag:
    """The same, to look at its fields only: encoded it would be without their names. Half the time of `flag_of`."""
    try:
        return _DECODER.decode(standing)
    except msgspec.DecodeError as error:
        raise FormatError(f"a standing cannot be read: {error}; is it of another release?") from error
