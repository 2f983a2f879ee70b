"""Readers of files with recorded events: JSON lines, gzipped or not, and Parquet."""

import datetime as dt
import gzip
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from stream_app.extras import require_extra
from stream_app.sources.recorded_event import EventFileError, RecordedEvent

NO_KEY = b""
NO_TIME_MS = -1

_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS = dt.timedelta(milliseconds=1)


class _Head(msgspec.Struct, gc=False):
    """The fields that the replay needs: all others are skipped, not decoded."""

    user_id: str | int
    ts: int | dt.datetime
    kind: str = "post"


_head_of = msgspec.json.Decoder(_Head).decode


def read_events(paths: Iterable[Path]) -> Iterator[RecordedEvent]:
    """Yield the events of the files, one after the other, in their order.

    Gzip and Parquet are recognised by content; anything else is JSON lines, of which blank ones are skipped. A line
    that is not a readable event is yielded too, without key or time, so that the tracker makes it a dead letter.
    Raises EventFileError: at once where a file is missing or empty, while reading where it is damaged.
    """
    return chain.from_iterable([_reader(Path(path)) for path in paths])


def is_event(event: RecordedEvent) -> bool:
    """Whether it has a user and a time: without these a line is no event."""
    return event.key != NO_KEY and event.ts_ms != NO_TIME_MS


def require_events(paths: Iterable[Path]) -> None:
    """Return when every file holds an event. Raises EventFileError: a file without one is a mistake."""
    for path in paths:
        if not any(map(is_event, read_events([path]))):
            raise EventFileError(
                f"{path} holds no event: none of its lines is a JSON object with a user_id and a ts; nothing was sent"
            )


def recorded(line: bytes) -> RecordedEvent:
    """The event whose JSON is `line`, whatever that holds."""
    try:
        head = _head_of(line)
        return RecordedEvent(head.kind == "share", _key(head.user_id), line, _time_ms(head.ts))
    except (msgspec.DecodeError, ValueError):
        return _recorded_as_far_as_readable(line)


def _recorded_as_far_as_readable(line: bytes) -> RecordedEvent:
    try:
        event: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        return RecordedEvent(share=False, key=NO_KEY, value=line, ts_ms=NO_TIME_MS)
    try:
        key = _key(msgspec.convert(event.get("user_id"), str | int))
    except (msgspec.ValidationError, ValueError):
        key = NO_KEY
    try:
        ts_ms = _time_ms(msgspec.convert(event.get("ts"), int | dt.datetime))
    except (msgspec.ValidationError, ValueError):
        ts_ms = NO_TIME_MS
    return RecordedEvent(event.get("kind") == "share", key, line, ts_ms)


def _key(user_id: str | int) -> bytes:
    return user_id.encode() if isinstance(user_id, str) else b"%d" % user_id


def _time_ms(ts: int | dt.datetime) -> int:
    if isinstance(ts, int):
        return ts
    if ts.tzinfo is None:
        raise ValueError("a time without a zone")
    return (ts - _EPOCH) // _MS


def _reader(path: Path) -> Iterator[RecordedEvent]:
    """Open and check the file now, read it later."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise EventFileError(f"{path} cannot be read: {error.strerror}; name a file of events") from error
    if not start:
        raise EventFileError(f"{path} is empty; name a file with one JSON event a line, or a Parquet file")
    if start == _PARQUET_MAGIC:
        require_extra("parquet", "pyarrow", "pyarrow")
        from stream_app.sources.parquet import rows_as_json  # noqa: PLC0415 - half a second that few need

        return map(recorded, rows_as_json(path))
    return _json_lines(path, zipped=start.startswith(_GZIP_MAGIC))


def _json_lines(path: Path, *, zipped: bool) -> Iterator[RecordedEvent]:
    read = 0
    try:
        with gzip.open(path) if zipped else path.open("rb") as lines:
            for read, line in enumerate(lines, 1):  # noqa: B007 - named when the file is damaged
                if text := line.rstrip(b"\r\n"):
                    yield recorded(text)
    except (OSError, EOFError, zlib.error) as error:
        raise EventFileError(f"{path} is damaged after line {read}: {error}; copy or export it again") from error
    if not read:
        raise EventFileError(f"{path} holds no line; name a file with one JSON event a line")
