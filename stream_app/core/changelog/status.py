"""The status of a partition: how far it has come, as its owner publishes it."""

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.state.watermark import Source

VERSION = 1


class Status(msgspec.Struct, array_like=True):
    """The state of one partition; counters are cumulative, and durable when published."""

    version: int
    partition: int
    sources: dict[str, Source]
    horizon: int
    """Where its window ends, epoch ms."""
    lagging: bool
    """Records are still to be read."""
    users: int
    rows: int
    segments: int
    state_bytes: int
    erased: int = 0
    """How far the erasures have been read that are carried out, in the log too: an offset."""
    epoch: int = 0
    """The ownership that published it."""
    unread: int = 0
    """Records on Kafka that are not counted yet."""
    http: str = ""
    """Where its owner answers questions about its users: host:port."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Status)


def encode(status: Status) -> bytes:
    """As the value of a record."""
    return _ENCODER.encode(status)


def replaces(new: Status, before: Status | None) -> bool:
    """Whether `new` takes the place of `before`: a status that a former owner publishes late does not."""
    return before is None or new.epoch >= before.epoch


def decode(value: bytes) -> Status:
    """From the value of a record; FormatError when it is of another version."""
    try:
        status = _DECODER.decode(value)
    except msgspec.DecodeError as error:
        raise FormatError(f"not a status of version {VERSION}: {error}") from error
    if status.version != VERSION:
        raise FormatError(
            f"status of version {status.version}, this release reads {VERSION}: upgrade all workers together"
        )
    return status
