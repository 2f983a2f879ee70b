"""Compression: unpacks the codecs of Kafka into a buffer of bounded size, whatever the packed bytes claim.

The problem: 30 kB of zstd unpack to 1 GB, and a size that is claimed in a header may be a lie. The libraries' own
functions return whatever comes out, and are only bounded by the memory of the machine.

So every codec writes into one buffer that has room for what is allowed, and not for more. The buffer is not zeroed, so
that only the pages that are written to are ever taken from the system.
"""

import struct
import zlib
from collections.abc import Callable, Iterator

import cramjam
import numpy as np

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
"""The codecs, as the attributes of a record batch number them."""
TOO_LARGE, MALFORMED = "batch-too-large", "batch-malformed"
"""The reasons why a batch is not read."""

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEAD = 16
"""Magic, version and compatible version; the versions are ignored, because some producers write them in wrong order."""
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_FORMAT = 31
_MOST_GZIP_MEMBERS = 64
_NO_ROOM = "failed to write whole buffer"
"""How cramjam says that the output is larger than the buffer."""


class UnreadableError(Exception):
    """The records of a batch are not read: `reason` is TOO_LARGE or MALFORMED, the message says more."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def unpack(codec: int, packed: memoryview, room: int, head: bytes = b"") -> memoryview:
    """Return `head` and the unpacked bytes, of which there are at most `room`. Raises UnreadableError."""
    if codec not in _CODECS:
        raise UnreadableError(MALFORMED, f"there is no codec {codec}")
    buffer = np.empty(len(head) + room, np.uint8)
    buffer[: len(head)] = np.frombuffer(head, np.uint8)
    try:
        size = _CODECS[codec](packed, buffer.data[len(head) :])
    except (_NoRoomError, zlib.error, cramjam.DecompressionError, struct.error) as error:
        if isinstance(error, _NoRoomError) or _NO_ROOM in str(error):
            raise too_large(room) from error
        raise UnreadableError(MALFORMED, f"it cannot be unpacked: {error}") from error
    return buffer.data[: len(head) + size]


def too_large(room: int) -> UnreadableError:
    """Return the error about a batch with more than `room` bytes."""
    return UnreadableError(TOO_LARGE, f"unpacked it is larger than {room:,} bytes")


class _NoRoomError(Exception):
    """The output is larger than the buffer."""


def _gzip(packed: memoryview, output: memoryview) -> int:
    size, left = 0, bytes(packed)
    for _ in range(_MOST_GZIP_MEMBERS):
        member = zlib.decompressobj(_GZIP_FORMAT)
        found = member.decompress(left, len(output) - size + 1)
        if size + len(found) > len(output):
            raise _NoRoomError
        output[size : size + len(found)] = found
        size += len(found)
        if not member.eof:
            raise UnreadableError(MALFORMED, "it cannot be unpacked: its gzip stream has no end")
        left = member.unused_data
        if not left.startswith(_GZIP_MAGIC):  # what follows the last member is padding, as Java sees it
            return size
    raise UnreadableError(MALFORMED, f"it has more than {_MOST_GZIP_MEMBERS} gzip members")


def _snappy(packed: memoryview, output: memoryview) -> int:
    if bytes(packed[: len(_XERIAL)]) != _XERIAL:
        return _snappy_block(packed, output)
    size = 0
    for block in _xerial_blocks(packed):
        size += _snappy_block(block, output[size:])
    return size


def _xerial_blocks(packed: memoryview) -> Iterator[memoryview]:
    at = _XERIAL_HEAD
    while at < len(packed):
        (length,) = struct.unpack_from(">i", packed, at)
        at += 4 + length
        if length < 0 or at > len(packed):
            raise UnreadableError(MALFORMED, "it cannot be unpacked: the length of a snappy block is wrong")
        yield packed[at - length : at]


def _snappy_block(packed: memoryview, output: memoryview) -> int:
    size: int = cramjam.snappy.decompress_raw_len(packed)
    if size > len(output):
        raise _NoRoomError
    return int(cramjam.snappy.decompress_raw_into(packed, output)) if size else 0


def _lz4(packed: memoryview, output: memoryview) -> int:
    return int(cramjam.lz4.decompress_into(packed, output))


def _zstd(packed: memoryview, output: memoryview) -> int:
    return int(cramjam.zstd.decompress_into(packed, output))


_CODECS: dict[int, Callable[[memoryview, memoryview], int]] = {GZIP: _gzip, SNAPPY: _snappy, LZ4: _lz4, ZSTD: _zstd}
