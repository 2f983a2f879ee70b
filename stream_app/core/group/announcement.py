"""An announcement: what a worker says of itself to the others, every few seconds, on the curves topic."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from stream_app.core.changelog.columns import FormatError
from stream_app.core.decoding import DECODE_ERRORS

FORMAT = 2
"""Of everything that workers write for each other: whole curves are 1, additions for homes are 2.

A worker that reads less than the group writes must not join it.
"""
PREFIX = b"worker/"
MOST_NAME = 200
MOST_TEXT = 2000
_MOST_SETTINGS = 200

Standing = Literal["pending", "regular", "guest"]
"""Pending: it has not found out yet whose settings count. Guest: its settings differ, and it was allowed to join."""


class Announcement(msgspec.Struct, kw_only=True, frozen=True):
    """What a worker says of itself. Fields may be added: a reader leaves out those that it does not know."""

    format: int
    worker: str
    """Unique for each start of a worker."""
    name: str
    """How a person finds it: the host and the process, or its address."""
    release: str
    settings: Mapping[str, str]
    """The settings that decide what is counted and who is flagged, as text."""
    standing: Standing
    joined: int = -1
    """Offset of its first announcement; -1 in that one."""
    patience_s: float
    """It is gone when nothing was heard of it for so long."""
    now_ms: int
    """Its wall clock."""


class Difference(NamedTuple):
    """A setting that two workers have with different values."""

    setting: str
    ours: str
    theirs: str


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Announcement)


def key_of(worker: str) -> bytes:
    """Return the key of a worker's announcements."""
    return PREFIX + worker.encode()


def worker_of(key: bytes) -> str | None:
    """Return which worker announces itself under `key`; None if it is not the key of an announcement."""
    return key.removeprefix(PREFIX).decode(errors="replace") if key.startswith(PREFIX) else None


def encode(announcement: Announcement) -> bytes:
    """Encode as the value of a record."""
    return _ENCODER.encode(announcement)


def decode(value: bytes) -> Announcement:
    """Decode the value of a record. Raises FormatError if it is no announcement."""
    try:
        found = _DECODER.decode(value)
    except DECODE_ERRORS as error:
        raise FormatError(f"not an announcement of a worker: {error}") from error
    texts = (*found.settings, *found.settings.values())
    if len(found.settings) > _MOST_SETTINGS or any(len(text) > MOST_TEXT for text in texts):
        raise FormatError("an announcement of a worker with settings that no worker has")
    if max(map(len, (found.worker, found.name, found.release))) > MOST_NAME or not 0 < found.patience_s < 1e6:
        raise FormatError("an announcement of a worker with values that no worker has")
    return found


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[Difference]:
    """Return the settings that differ, by name. A setting that one release does not know yet is left out."""
    return [
        Difference(name, ours[name], theirs[name])
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name] != theirs[name]
    ]
