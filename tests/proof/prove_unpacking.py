"""Batches that unpack to far more than they are, of every codec, under load."""

import struct
from pathlib import Path
from typing import Any

import pytest

from stream_app.core.events.dead_letter import DeadLetter
from stream_app.core.events.dead_letter import read as read_letter
from stream_app.kafka.format.batch import HEAD
from stream_app.kafka.format.compression import MALFORMED, TOO_LARGE
from stream_app.kafka.topics import changelogs_of
from tests.proof.contents import Recipe, made
from tests.proof.prove_kills import PATIENCE_S
from tests.proof.report import Proof
from tests.proof.scale import Scale
from tests.proof.stage import stage
from tests.proof.verifier import differences, everything, ledger_totals
from tests.servers.brokers import APACHE
from tests.servers.raw_batches import around, bomb, packed, produce_raw
from tests.unit.engine.packing import numbered, record_batch

pytestmark = pytest.mark.timeout(600)

MOST_MB = 512
BOUND = 8_000_000
RECORDS = 5
"""In each bomb."""
LARGE = {"gzip": 60_000_000, "snappy": 16_000_000, "snappy-raw": 16_000_000, "lz4": 60_000_000, "zstd": 60_000_000}
FRAME, FRAMES = 10_000_000, 100


def gigabyte() -> bytes:
    """One record of 1 GB in 30 kB of zstd."""
    size = FRAME * FRAMES
    start = b"\0\0\0\x02k" + _varint(size)
    body = packed("zstd", _varint(len(start) + size + 1) + start) + packed("zstd", bytes(FRAME)) * FRAMES
    return around(record_batch(numbered([0])), body + packed("zstd", b"\0"), 4)


def _varint(number: int) -> bytes:
    number <<= 1
    out = bytearray()
    while number > 127:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def damaged(codec: str) -> bytes:
    """What is no such compression; its check sum is right."""
    return around(
        record_batch(numbered(range(RECORDS))), b"no compression" * 9, {"gzip": 1, "lz4": 3, "zstd": 4}[codec]
    )


@pytest.mark.promise(19)
def test_batches_that_unpack_to_far_more_are_set_aside_and_counting_goes_on(
    kafka: str, brokers: str, tmp_path: Path, scale: Scale, proof: Proof
) -> None:
    given = made(Recipe(scale.events, seed=19))
    bombs = [bomb(numbered(range(RECORDS)), codec, size) for codec, size in LARGE.items()]
    bombs += [gigabyte()] if kafka == APACHE else [damaged(codec) for codec in ("gzip", "lz4", "zstd")]
    with stage(brokers, "unpacking", tmp_path, given, workers=2, max_unpacked_bytes=str(BOUND)) as on:
        settings = on.run.settings
        on.feed(len(given.records) / scale.load_s * 2)
        on.until_counting()
        for _ in range(3):
            for number, batch in enumerate(bombs):
                place = number % settings.partitions
                assert produce_raw(brokers, settings.input_topics[number % 2], place, batch) == 0
            on.during(1.0)
        set_aside = 3 * sum(struct.unpack_from(">i", batch, HEAD.size - 4)[0] for batch in bombs)
        on.until(lambda: on.read() >= len(given.records) + set_aside, "everything counted", PATIENCE_S)
        on.settle(PATIENCE_S)
        totals = ledger_totals(settings, everything(settings, changelogs_of(settings)[0]))
        lost, twice = differences(totals, given.totals)
        letters = map(letter_of, everything(settings, settings.dead_letters_topic))
        origins = {letter.origin for letter in letters if letter is not None}
        bytes_ = sum(map(len, bombs))
        proof.figure(bombs=3 * len(bombs), bomb_kb=bytes_ / 1000, letters=len(origins), peak_mb=on.crew.peak_rss_mb)
        proof.figure(events=len(given.records), lost=lost, twice=twice)
        assert (lost, twice) == (0, 0), on.state()
        assert on.seen.total("applied") == given.results["applied"], on.state()
        assert on.seen.total("rejected") == given.results["rejected"] + set_aside
        assert on.read() == len(given.records) + set_aside
        assert len(origins) == 3 * len(bombs)
        assert dict(on.crew.endings) == {}
        assert on.crew.peak_rss_mb <= MOST_MB


def letter_of(record: Any) -> DeadLetter | None:
    """The dead letter that stands for a batch."""
    found = read_letter(record.key, record.value, record.headers)
    return found if isinstance(found, DeadLetter) and found.reason in {TOO_LARGE, MALFORMED} else None
