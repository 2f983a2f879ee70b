"""Lines of text from bytes: UTF-8 or UTF-16, with or without byte order mark, of bounded length."""

import codecs
import io
from collections.abc import Iterator
from typing import Any

from stream_app.sources.recorded_event import EventFileError
from stream_app.sources.unpacking import BUFFER_BYTES, DAMAGED

MAX_LINE_BYTES = 1_000_000
"""Of one event: a record of Kafka may have as many."""

BOM = codecs.BOM_UTF8
_MARKS = {  # UTF-32 first: its mark begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def as_utf8(file: io.BufferedReader, start: bytes) -> io.BufferedReader:
    """The file in UTF-8, where its mark, or a zero beside the first character, says that it is in UTF-16 or UTF-32."""
    coding = next((coding for mark, coding in _MARKS.items() if start.startswith(mark)), None)
    if coding is None and len(start) >= 2 and (start[0] == 0) != (start[1] == 0):
        coding = "utf-16-be" if start[0] == 0 else "utf-16-le"
    return io.BufferedReader(_Recoded(file, coding), BUFFER_BYTES) if coding else file


def lines_of(file: io.BufferedReader, name: str) -> Iterator[bytes]:
    """Each line, without its end and without byte order marks; blank ones too. Raises EventFileError."""
    number = 0
    try:
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise EventFileError(
                    f"{name} has more than {MAX_LINE_BYTES:,} bytes in line {number}, without an end: is this a file "
                    "with one event a line? Leave the line out, or export the file again"
                )
            yield line.rstrip(b"\r\n").removeprefix(BOM)
    except DAMAGED as error:
        raise EventFileError(f"{name} is damaged after line {number}: {error}; copy or export it again") from error


class _Recoded(io.RawIOBase):
    """UTF-8 of a text in another coding; the file below it stays open."""

    def __init__(self, file: io.BufferedReader, coding: str) -> None:
        super().__init__()
        self._file = file
        self._decoder = codecs.getincrementaldecoder(coding)()
        self._left, self._is_at_end = b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left and not self._is_at_end:
            data = self._file.read1(BUFFER_BYTES)
            self._is_at_end = not data
            self._left = self._decoder.decode(data, final=self._is_at_end).encode()
        data, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
