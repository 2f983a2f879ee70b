"""Files of recorded events, known by their content: JSON lines, a JSON array, CSV, TSV, Parquet; compressed or not."""

import datetime as dt
import io
import sys
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from stream_app.core.events.repair import payload, usual_time
from stream_app.core.readable import MAX_TEXT, readable
from stream_app.extras import require_extra
from stream_app.sources.csv_rows import columns_of, delimiter_of, events_of
from stream_app.sources.json_values import is_json_values, values_of
from stream_app.sources.recorded_event import NO_KEY, NO_TIME_MS, EventFileError, RecordedEvent
from stream_app.sources.text_lines import as_utf8, lines_of
from stream_app.sources.unpacking import BUFFER_BYTES, start_of, unpacked

_WANTED = "name a file with one JSON event a line, a JSON array, CSV or Parquet"
STDIN = Path("-")
"""Reads the standard input."""

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

    JSON arrays, CSV, TSV, Parquet and compressions are recognised by content; anything else is JSON lines, of which
    blank ones are skipped. A line that is not a readable event is yielded too, without key or time, so that the tracker
    makes it a dead letter. Raises EventFileError: at once where a file is missing or empty, else while reading.
    """
    return chain.from_iterable([_reader(Path(path)) for path in paths])


def is_event(event: RecordedEvent) -> bool:
    """Whether it has a user and a time: without these a line is no event."""
    return event.key != NO_KEY and event.ts_ms != NO_TIME_MS


def is_repeatable(path: Path) -> bool:
    """Whether it can be read a second time: a pipe cannot."""
    return path != STDIN and path.is_file()


def require_events(paths: Iterable[Path]) -> None:
    """Return when every file holds an event. Raises EventFileError: a file without one is a mistake.

    Pipes are not looked into: what is read of them is gone.
    """
    for path in filter(is_repeatable, paths):
        if not any(map(is_event, read_events([path]))):
            raise EventFileError(
                f"{path} holds no event: none of its lines is a JSON object with a user_id and a ts{_columns(path)}; "
                "nothing was sent"
            )


def _columns(path: Path) -> str:
    """What is wrong where it is a table; otherwise empty."""
    with _opened(path) as file:
        plain = unpacked(file, _name(path))
        columns = columns_of(start_of(as_utf8(plain, start_of(plain, _name(path))), _name(path)))
    if not columns:
        return ""
    shown = readable(", ".join(columns))
    return f"; its columns are {shown}: name them as the fields of an event (event_id, ts, user_id …)"


def recorded(line: bytes) -> RecordedEvent:
    """The event whose JSON is `line`, whatever that holds."""
    try:
        head = _head_of(line)
        return _event(head.kind, _key(head.user_id), line, _time_ms(head.ts))
    except (msgspec.DecodeError, ValueError):
        return _recorded_as_far_as_readable(line)


def _recorded_as_far_as_readable(line: bytes) -> RecordedEvent:
    try:
        event: Any = msgspec.json.decode(payload(line))
    except (msgspec.DecodeError, ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        return RecordedEvent(share=False, key=NO_KEY, value=line, ts_ms=NO_TIME_MS)
    try:
        key = _key(msgspec.convert(event.get("user_id"), str | int))
    except (msgspec.ValidationError, ValueError):
        key = NO_KEY
    try:
        ts_ms = _time_ms(msgspec.convert(usual_time(event.get("ts")), int | dt.datetime))
    except (msgspec.ValidationError, ValueError):
        ts_ms = NO_TIME_MS
    return _event(event.get("kind"), key, line, ts_ms)


def _event(kind: object, key: bytes, line: bytes, ts_ms: int) -> RecordedEvent:
    return RecordedEvent(kind == "share", key, line, ts_ms, retraction=kind in ("retract", "erase"))


def _key(user_id: str | int) -> bytes:
    return user_id.encode() if isinstance(user_id, str) else b"%d" % user_id


def _time_ms(ts: int | dt.datetime) -> int:
    if isinstance(ts, int):
        return ts
    if ts.tzinfo is None:
        raise ValueError("a time without a zone")
    return (ts - _EPOCH) // _MS


def _reader(path: Path) -> Iterator[RecordedEvent]:
    """Open and check the file now, read it later; a pipe can be opened once only."""
    if path != STDIN and (path.is_file() or not path.exists() or path.is_dir()):
        with _opened(path) as file:
            _require_start(file, path)
            if start_of(unpacked(file, _name(path)), _name(path)).startswith(_PARQUET_MAGIC):
                require_extra("parquet", "pyarrow", "pyarrow")
    return _events(path)


def _events(path: Path) -> Iterator[RecordedEvent]:
    count = 0
    with _opened(path) as file:
        _require_start(file, path)
        for count, value in enumerate(_values(file, path), 1):  # noqa: B007 - whether there was one
            yield recorded(value)
    if not count:
        raise EventFileError(f"{_name(path)} holds no line; {_WANTED}")


def _require_start(file: io.BufferedReader, path: Path) -> None:
    if not start_of(file, _name(path)):
        raise EventFileError(f"{_name(path)} is empty; {_WANTED}")


def _values(file: io.BufferedReader, path: Path) -> Iterator[bytes]:
    """The JSON of every event, or what stands in its place."""
    name = _name(path)
    plain = unpacked(file, name)
    if start_of(plain, name).startswith(_PARQUET_MAGIC):
        return _parquet_rows(path, is_packed=plain is not file)
    text = as_utf8(plain, start_of(plain, name))
    start = start_of(text, name)
    if is_json_values(start):
        return values_of(text, name)
    lines = lines_of(text, name)
    delimiter = delimiter_of(start)
    return events_of(lines, delimiter, name) if delimiter else (line for line in lines if line.strip())


def _parquet_rows(path: Path, *, is_packed: bool) -> Iterator[bytes]:
    if is_packed or not is_repeatable(path):
        raise EventFileError(
            f"{_name(path)} is Parquet in a pipe, or compressed as a whole, but its end is needed first; name the file"
        )
    from stream_app.sources.parquet import rows_as_json  # noqa: PLC0415 - half a second that few need

    return rows_as_json(path)


def _name(path: Path) -> str:
    return "the standard input" if path == STDIN else readable(str(path), MAX_TEXT)


def _opened(path: Path) -> io.BufferedReader:
    try:
        if path == STDIN:
            return io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False), BUFFER_BYTES)
        return io.BufferedReader(io.FileIO(path), BUFFER_BYTES)
    except (OSError, ValueError, AttributeError) as error:
        why = getattr(error, "strerror", None) or "it is closed"
        raise EventFileError(f"{_name(path)} cannot be read: {why}; {_WANTED}") from error
