"""The status of a partition: its progress, as published by its owner."""

import re

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS, are_numbers
from stream_app.core.state.watermark import NO_TIME, Source

VERSION = 1
ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,252})):[0-9]{1,5}", re.ASCII)
"""host:port, and nothing that could make another URL of it."""
_MOST_SOURCES = 16
_MOST_PARTITIONS = 10_000
_KEY = b"status/"


class Status(msgspec.Struct, array_like=True):
    """Progress of one partition. Counters are cumulative, and durable before they are published."""

    version: int
    partition: int
    sources: dict[str, Source]
    horizon: int
    """End of its window in event time, epoch ms."""
    lagging: bool
    """Whether any of its sources has unread records."""
    users: int
    rows: int
    segments: int
    state_bytes: int
    erased: int = 0
    """Offset in the erasures topic up to which erasures are carried out, durably."""
    epoch: int = 0
    """Epoch of the ownership that published it."""
    unread: int = 0
    """Records in the source topics that are not counted yet."""
    http: str = ""
    """host:port where its owner serves queries about its users; anything else is left out when it is read."""
    settings: str = ""
    """Version of its owner's settings; empty before release 0.3."""
    release: str = ""
    """Of its owner; empty before release 0.3."""
    ids_until_ms: int = NO_TIME
    """Event time up to which event ids are stored too, because workers of 0.2 were in the group; `NO_TIME` if not."""
    asked: int = 0
    """How often its owner has asked for everything about the scopes at home in it; 0 until it hears what is sent."""
    unheard: list[int] = []
    """Partitions from which its home has not heard everything: the cuts of the scopes at home there stand still."""
    reached_ms: int | None = None
    """Event time that all its sources come to without being read further, epoch ms; None before release 0.4."""
    newest_ms: int = NO_TIME
    """The newest event that its owner has read of it, whether it is counted yet or not, epoch ms."""
    cuts_ms: int | None = None
    """Event time that the cuts at home in it are of, epoch ms; None from a release before 0.4."""
    sent: list[int] = []
    """By home: the number of the next message with additions of this partition."""
    next_ms: int = NO_TIME
    """The first event that is not counted of it, or what all its sources have come to, epoch ms."""
    step_ms: int = NO_TIME
    """Where the step ends that its owner is in, epoch ms."""
    next_step_ms: int = NO_TIME
    """Where the step after it ends, epoch ms, once the owner of partition 0 has decided it; others follow."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Status)


def encode(status: Status) -> bytes:
    """Encode as the value of a record."""
    return _ENCODER.encode(status)


def read_into(newest: dict[int, Status], key: bytes | None, value: bytes | None) -> None:
    """Take the status in a record of the curves topic, if it holds one, into `newest` by its partition.

    A status that a former owner wrote late is left out. Raises FormatError.
    """
    if not (key or b"").startswith(_KEY) or not value:
        return
    found = decode(value)
    before = newest.get(found.partition)
    if before is None or found.epoch >= before.epoch:
        newest[found.partition] = found


def decode(value: bytes) -> Status:
    """Decode the value of a record. Raises FormatError for another version."""
    try:
        status = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not a status of version {VERSION}: {error}") from error
    if status.version != VERSION:
        raise FormatError(
            f"status of version {status.version}, this release reads {VERSION}: upgrade all workers together"
        )
    if not _is_sound(status):
        raise FormatError("not a status: it holds numbers that no partition can have")
    if not ADDRESS.fullmatch(status.http):
        status.http = ""
    return status


def _is_sound(status: Status) -> bool:
    counts = [status.partition, status.users, status.rows, status.segments, status.state_bytes]
    counts += [status.erased, status.epoch, status.unread, status.asked, *status.unheard, *status.sent]
    for source in status.sources.values():
        counts += [source.position, source.applied, source.duplicate, source.late, source.rejected]
        counts += [source.unknown, source.retracted]
    times = [status.horizon, status.ids_until_ms, status.newest_ms, status.reached_ms or 0, status.cuts_ms or 0]
    times += [status.next_ms, status.step_ms, status.next_step_ms]
    times += [source.watermark for source in status.sources.values()]
    are_few = len(status.sources) <= _MOST_SOURCES and max(len(status.unheard), len(status.sent)) <= _MOST_PARTITIONS
    return are_few and are_numbers(counts) and are_numbers(times, NO_TIME)
