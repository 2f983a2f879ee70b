"""Record batches made by hand, and produced as they are: what no client library would send."""

import socket
import struct
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import cramjam
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

from stream_app.kafka.format.batch import HEAD
from tests.unit.engine.packing import record_batch, sealed

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_TIMEOUT_S = 60.0
_PRODUCE, _VERSION, _NUMBER = 0, 7, 1
"""Version 7 is the first that takes zstd."""
_CODEC_AT = 22


def packed(codec: str, data: bytes) -> bytes:
    """Compressed."""
    encode: dict[str, Any] = {
        "gzip": gzip_encode,
        "snappy": snappy_encode,
        "snappy-raw": cramjam.snappy.compress_raw,
        "lz4": lz4_encode,
        "zstd": zstd_encode,
    }
    return bytes(encode[codec](data))


def compressed(batch: bytes, codec: str) -> bytes:
    """An uncompressed batch, compressed."""
    return around(batch, packed(codec, batch[HEAD.size :]), CODECS[codec.removesuffix("-raw")])


def around(batch: bytes, body: bytes, codec: int = 0) -> bytes:
    """The head of a batch before other bytes, with the right length and check sum."""
    head = bytearray(batch[: HEAD.size])
    head[_CODEC_AT] = (head[_CODEC_AT] & ~7) | codec
    struct.pack_into(">i", head, 8, HEAD.size + len(body) - 12)
    return sealed(head + body)


def bomb(records: Sequence[Any], codec: str, size: int) -> bytes:
    """A batch of records, the values of which are `size` zeros together."""
    zeros = bytes(size // len(records))
    return compressed(record_batch([replace(record, value=zeros) for record in records]), codec)


def produce_raw(brokers: str, topic: str, partition: int, batch: bytes) -> int:
    """Produce a batch; returns the broker's error code, 0 where it has taken it."""
    host, _, port = brokers.partition(":")
    records = struct.pack(">i", len(batch)) + batch
    name = struct.pack(">h", len(topic)) + topic.encode()
    body = struct.pack(">hhii", -1, -1, 30_000, 1) + name + struct.pack(">ii", 1, partition) + records
    head = struct.pack(">hhih", _PRODUCE, _VERSION, _NUMBER, -1)
    with closing(socket.create_connection((host, int(port)), _TIMEOUT_S)) as connection:
        connection.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        answer = _received(connection, struct.unpack(">i", _received(connection, 4))[0])
    at = 4 + 4 + len(name) + 4 + 4
    (error,) = struct.unpack_from(">h", answer, at)
    return int(error)


def _received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        assert more, "the broker has closed the connection"
        data += more
    return data
