"""Events of a JSON array, or of JSON objects over several lines, one after the other and never all at once."""

import codecs
import io
import json
import re
from collections.abc import Iterator

from stream_app.sources.recorded_event import EventFileError
from stream_app.sources.text_lines import MAX_LINE_BYTES
from stream_app.sources.unpacking import BUFFER_BYTES, DAMAGED

_ARRAY = re.compile(rb"\s*\[\s*(\{|\]|\[\s*\{|$)")
_SPREAD_OBJECT = re.compile(rb'\s*\{\s*(\r?\n|\r)\s*"')
_BETWEEN = re.compile(r"[\s,\[\]\ufeff]*")
_scan = json.JSONDecoder().raw_decode


def is_json_values(start: bytes) -> bool:
    """Whether a file that begins so holds an array of objects, or objects that are spread over lines."""
    start = start.removeprefix(codecs.BOM_UTF8)
    return bool(_ARRAY.match(start) or _SPREAD_OBJECT.match(start))


def values_of(file: io.BufferedReader, name: str) -> Iterator[bytes]:
    """The JSON of each value, as it is in the file. Raises EventFileError."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    text, count, is_at_end = "", 0, False
    try:
        while True:
            text = text[_end_of_separators(text) :]
            value = _first_value(text)
            if value is not None and (is_at_end or value < len(text)):
                count += 1
                yield text[:value].encode(errors="surrogateescape")
                text = text[value:]
                continue
            if is_at_end and not text:
                return
            if is_at_end or len(text) > MAX_LINE_BYTES:
                raise EventFileError(
                    f"{name} is damaged after event {count}: what follows is no JSON, has no end, or more than "
                    f"{MAX_LINE_BYTES:,} bytes; export it again"
                )
            data = file.read1(BUFFER_BYTES)
            is_at_end = not data
            text += decoder.decode(data, final=is_at_end)
    except DAMAGED as error:
        raise EventFileError(f"{name} is damaged after event {count}: {error}; copy or export it again") from error


def _end_of_separators(text: str) -> int:
    found = _BETWEEN.match(text)
    return found.end() if found else 0


def _first_value(text: str) -> int | None:
    """Where the first value ends; None where it does not."""
    try:
        return _scan(text)[1]
    except (ValueError, RecursionError):
        return None
