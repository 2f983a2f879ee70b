"""Rows of a CSV or TSV file as JSON events: columns are named as the fields of an event."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from stream_app.sources.recorded_event import EventFileError
from stream_app.sources.text_lines import BOM, MAX_LINE_BYTES

TOPIC_SEPARATOR = "|"
"""Between the topics in a cell."""

_DELIMITERS = "\t,;"
_NEEDED = {"event_id", "ts", "user_id"}
_INTEGER = re.compile(r"[+-]?\d{1,38}")
_NUMBERS = {"audience", "impressions"}


def delimiter_of(start: bytes) -> str | None:
    """What separates the columns of a file that begins so; None where its first line does not name those of events."""
    header = _first_line(start)
    for delimiter in _DELIMITERS:
        if set(_names(next(csv.reader([header], delimiter=delimiter), []))) >= _NEEDED:
            return delimiter
    return None


def columns_of(start: bytes) -> list[str]:
    """The columns of what looks like a table but does not name the fields of events; otherwise empty."""
    header = _first_line(start)
    if header.lstrip().startswith(("{", "[")):
        return []
    tables = (next(csv.reader([header], delimiter=delimiter), []) for delimiter in _DELIMITERS)
    return _names(max(tables, key=len)) if any(delimiter in header for delimiter in _DELIMITERS) else []


def events_of(lines: Iterable[bytes], delimiter: str, name: str) -> Iterator[bytes]:
    """The JSON of each row; one with too many cells as it is, so that it is rejected. Raises EventFileError."""
    csv.field_size_limit(MAX_LINE_BYTES)
    texts = (line.decode(errors="surrogateescape") + "\n" for line in lines)
    rows = csv.reader(texts, delimiter=delimiter, strict=True)
    names: list[str] = []
    try:
        for cells in rows:
            if not names:
                names = _names(cells)
            elif len(cells) > len(names):
                yield delimiter.join(cells).encode(errors="surrogateescape")
            elif any(cells):
                yield _json(zip(names, cells, strict=False))
    except csv.Error as error:
        raise EventFileError(f"{name} is damaged after line {rows.line_num}: {error}; export it again") from error


def _first_line(start: bytes) -> str:
    return start.removeprefix(BOM).lstrip(b"\r\n").split(b"\n", 1)[0].decode(errors="replace").rstrip("\r")


def _names(cells: list[str]) -> list[str]:
    return [cell.strip().lower() for cell in cells]


def _json(cells: Iterable[tuple[str, str]]) -> bytes:
    event = {name: _value(name, text.strip()) for name, text in cells if text.strip()}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogateescape")


def _value(name: str, text: str) -> Any:
    """The value of a cell; ids stay text, because 007 and 7 are two."""
    if name == "topics":
        return _topics(text)
    if name == "ts" and _INTEGER.fullmatch(text):
        return int(text)
    if name in _NUMBERS:
        return _number(text)
    return text


def _topics(text: str) -> Any:
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return [topic.strip() for topic in text.split(TOPIC_SEPARATOR) if topic.strip()]


def _number(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
