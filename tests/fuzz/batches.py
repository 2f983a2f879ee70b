"""Record batches, mutated at every level under a right check sum: their head, their records, the packed bytes."""

import asyncio
import struct
from random import Random
from typing import Any

from aiokafka.structs import ConsumerRecord
from kafka.record import MemoryRecords

from stream_app.core.events.decode import decode
from stream_app.core.events.limits import long_integer
from stream_app.core.events.schema import Post
from stream_app.core.messages import OTHER
from stream_app.kafka.format.batch import HEAD
from stream_app.kafka.format.compression import UnreadableError, unpack
from stream_app.kafka.format.kafka_python import CheckedRecords
from stream_app.kafka.record_batches import FetchedBatches
from stream_app.kafka.records import Partition
from tests.fuzz.mutations import EXTREMES, mutated_bytes
from tests.fuzz.naive import Expected, expected
from tests.servers.raw_batches import CODECS, around, packed
from tests.unit.engine.fakes import NOW_MS, PARTITION
from tests.unit.engine.packing import read, record_batch, sealed
from tests.unit.engine.parts import Parts

ROOM = 100_000
YEAR_2005_MS = 1_104_537_600_000
_FIELDS = {23: ">i", 57: ">i", 27: ">q", 35: ">q", 21: ">h"}
"""Of the head: last offset, number of records, times, attributes."""
_CONTROL, _CODEC = 0x20, 0x07


def _posts(chance: Random) -> list[Any]:
    posts = []
    for number in range(chance.randint(1, 12)):
        user = b"user-%d" % chance.randrange(5)
        value = b'{"event_id":"%d","ts":%d,"user_id":"%s"}' % (chance.randrange(20), NOW_MS - number, user)
        if chance.random() < 0.1:
            value = mutated_bytes(chance, value)
        headers = [(f"h{n}", chance.choice((None, b"", b"x" * 20))) for n in range(chance.choice((0, 0, 1, 5)))]
        posts.append(ConsumerRecord("posts", PARTITION, number, NOW_MS, 0, user, value, None, 1, 1, tuple(headers)))
    return posts


def _batch(chance: Random) -> tuple[bytes, Expected]:
    """A mutated batch, and what must come of it."""
    good = record_batch(_posts(chance))
    head, body = bytearray(good[: HEAD.size]), good[HEAD.size :]
    level = chance.choice(("head", "records", "packed", "none"))
    if level == "head":
        at = chance.choice(list(_FIELDS))
        choices = [n for n in (*EXTREMES, chance.randrange(30)) if _fits(_FIELDS[at], n)]
        struct.pack_into(_FIELDS[at], head, at, chance.choice(choices))
        head[22] &= ~(_CONTROL | _CODEC)
        if struct.unpack_from(">i", head, 23)[0] > 10_000:  # offsets beyond the end of a log do not exist
            struct.pack_into(">i", head, 23, chance.randrange(10_000))
    if level == "records":
        body = mutated_bytes(chance, body)
    codec = chance.choice(("none", *CODECS, "snappy-raw"))
    if codec == "none":
        return around(bytes(head), body), expected(bytes(head), body)
    squeezed = packed(codec, body)
    if level != "packed":
        return around(bytes(head), squeezed, CODECS[codec.removesuffix("-raw")]), expected(bytes(head), body)
    squeezed = mutated_bytes(chance, squeezed)
    try:
        unpacked: bytes | None = bytes(unpack(CODECS[codec.removesuffix("-raw")], memoryview(squeezed), ROOM))
    except UnreadableError:
        unpacked = None
    return around(bytes(head), squeezed, CODECS[codec.removesuffix("-raw")]), expected(bytes(head), unpacked)


def _fits(form: str, number: int) -> bool:
    try:
        struct.pack(form, number)
    except struct.error:
        return False
    return True


def counted_batches(chance: Random) -> None:
    """Batches are counted: every record has one outcome, and the events that are applied are those of the model."""
    parts = Parts(max_unpacked_bytes=ROOM, partitioner="any")
    topic = parts.fake.settings.posts_topic
    base, total, newest_ms, applied = 0, 0, 0, set()
    pane_ms, panes = parts.ledger.window.pane_ms, parts.ledger.window.panes
    for _ in range(chance.randint(1, 3)):
        batch, wanted = _batch(chance)
        moved = bytearray(batch)
        struct.pack_into(">q", moved, 0, base)
        packed_batches = list(read(sealed(moved), base))
        asyncio.run(parts.counter.count(FetchedBatches(topic, PARTITION, packed_batches)))
        total += len(wanted.offsets) + wanted.set_aside
        for key, value in wanted.values:
            for event in decode([value], Post, 65_536).events:
                if not isinstance(event.ts, int) or not _may_be_counted(event, event.ts, key):
                    continue
                newest_ms = max(newest_ms, event.ts)
                if event.ts // pane_ms > newest_ms // pane_ms - panes:
                    applied.add((str(event.user_id), str(event.event_id)))
        base = packed_batches[-1].offset + 1
    source = parts.ledger.source(topic)
    assert source.position == base
    assert source.read == total
    assert source.applied == len(applied)
    assert parts.fake.producer.durable or not total


def _may_be_counted(event: Any, ts_ms: int, key: bytes | None) -> bool:
    return (
        str(event.user_id).encode() == key
        and YEAR_2005_MS <= ts_ms <= NOW_MS + 300_000
        and not long_integer(event)
        and event.population != OTHER
    )


def scanned_batches(chance: Random) -> None:
    """Commands read the same records, and go on after the batch."""
    batch, wanted = _batch(chance)
    fetched = CheckedRecords(0, Partition("flags", 0), MemoryRecords(batch), room=ROOM)
    assert len(fetched.take()) >= len(wanted.offsets)
    assert fetched.next_fetch_offset > 0


def codecs(chance: Random) -> None:
    """Whatever is unpacked has at most the size that is allowed."""
    name = chance.choice([*CODECS, "snappy-raw"])
    data = chance.randbytes(10) * chance.choice((1, 100, 20_000))
    squeezed = mutated_bytes(chance, packed(name, data)) if chance.random() < 0.8 else packed(name, data)
    try:
        found = unpack(CODECS[name.removesuffix("-raw")], memoryview(squeezed), ROOM)
    except UnreadableError:
        return
    assert len(found) <= ROOM
