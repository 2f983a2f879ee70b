"""Lists of answers as CSV, which a spreadsheet opens without executing anything in it."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec

from stream_app.core.readable import MAX_TEXT, readable
from stream_app.core.signals.facts import Fact, all_said

_EXECUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV injection), in full width too."""


def as_csv(rows: Iterable[msgspec.Struct], kind: type[msgspec.Struct]) -> str:
    """A line of names, then one per row (RFC 4180); what is in a field of its own has a name with an underscore."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)  # else a ; begins a new cell where that separates them
    writer.writerow(list(_names(kind)))
    for row in rows:
        writer.writerow([_cell(value) for value in _values(row, kind)])
    return out.getvalue()


def _names(kind: type[msgspec.Struct]) -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        nested = _struct_in(field.type)
        yield from (f"{field.name}_{name}" for name in _names(nested)) if nested else [field.name]


def _values(row: msgspec.Struct | None, kind: type[msgspec.Struct]) -> Iterator[Any]:
    for field in msgspec.structs.fields(kind):
        value = None if row is None else getattr(row, field.name)
        nested = _struct_in(field.type)
        yield from _values(value, nested) if nested else [value]


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    """The message in a field that holds one, or none."""
    options = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    held = [option for option in options if option is not NoneType]
    return held[0] if len(held) == 1 and isinstance(held[0], type) and issubclass(held[0], msgspec.Struct) else None


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, Sequence):
        return value
    is_facts = any(isinstance(item, Fact) for item in value)
    return all_said(value) if is_facts else " ".join(_text(str(item)) for item in value)


def _text(value: str) -> str:
    """The text in readable characters, which no spreadsheet executes."""
    shown = readable(value, MAX_TEXT)
    return f"'{shown}" if shown.lstrip().startswith(_EXECUTED) else shown
