"""Compressed files, known by their first bytes and unpacked as they are read: never more than a buffer is in memory."""

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import Any

from stream_app.sources.recorded_event import EventFileError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BUFFER_BYTES = 65_536
MAX_LAYERS = 3
"""Compressions around each other: a file that holds itself would never end."""

DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, UnicodeDecodeError)
"""What reading raises where a file is damaged, or cut off."""

_UNPACKERS: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\x28\xb5\x2f\xfd": zstd.ZstdFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
_FOREIGN = {
    b"PK\x03\x04": "a zip archive, such as a workbook of a spreadsheet",
    b"\x04\x22\x4d\x18": "compressed with lz4",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"ARROW1": "an Arrow file",
    b"PARE": "an encrypted Parquet file",
    b"SQLite format 3": "a database of SQLite",
    b"\x1f\x9d": "compressed with compress",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"%PDF": "a PDF document",
}
_TAR_MAGIC, _TAR_AT = b"ustar", 257


class _Unpacked(io.RawIOBase):
    """The bytes that an unpacker gives; the file below it stays open."""

    def __init__(self, unpacker: Any) -> None:
        super().__init__()
        self._unpacker = unpacker

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._unpacker.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def unpacked(file: io.BufferedReader, name: str) -> io.BufferedReader:
    """The file, unpacked where it is compressed. Raises EventFileError for a format that is none of events."""
    for _ in range(MAX_LAYERS + 1):
        start = start_of(file, name)
        unpacker = next((unpacker for magic, unpacker in _UNPACKERS.items() if start.startswith(magic)), None)
        if unpacker is None:
            _require_readable(start, name)
            return file
        file = io.BufferedReader(_Unpacked(unpacker(file)), BUFFER_BYTES)
    raise EventFileError(f"{name} is compressed more than {MAX_LAYERS} times; unpack it first")


def start_of(file: io.BufferedReader, name: str) -> bytes:
    """The first bytes, which are read again later; a pipe gives what it has. Raises EventFileError."""
    try:
        return file.peek(BUFFER_BYTES)
    except DAMAGED as error:
        raise EventFileError(f"{name} is damaged at its beginning: {error}; copy or export it again") from error


def _require_readable(start: bytes, name: str) -> None:
    what = next((what for magic, what in _FOREIGN.items() if start.startswith(magic)), "")
    if start[_TAR_AT:].startswith(_TAR_MAGIC):
        what = "a tar archive"
    if what:
        raise EventFileError(f"{name} is {what}; unpack or export it first: JSON lines, a JSON array, CSV or Parquet")
