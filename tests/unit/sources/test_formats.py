"""Files as the world has them: every format, coding and compression gives the same events; errors are sentences."""

import bz2
import codecs
import decimal
import gzip
import json
import lzma
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_app.sources.files import read_events, require_events
from stream_app.sources.recorded_event import EventFileError
from stream_app.sources.text_lines import MAX_LINE_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EVENTS = [
    {
        "event_id": "1",
        "ts": 1475280000000,
        "user_id": "ann",
        "kind": "post",
        "topics": ["tea", "mate"],
        "audience": 5,
    },
    {"event_id": "2", "ts": "2016-10-01T02:00:00+02:00", "user_id": "007", "kind": "share", "author_id": "Zoë, “Z”"},
]
LINES = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in EVENTS)
CSV = (
    "event_id,ts,user_id,kind,topics,audience,author_id\n"
    "1,1475280000000,ann,post,tea|mate,5,\n"
    '2,2016-10-01T02:00:00+02:00,007,share,,,"Zoë, “Z”"\n'
)
TEXTS = {
    "lines": LINES,
    "crlf": LINES.replace("\n", "\r\n"),
    "no end": LINES.rstrip("\n"),
    "blank lines": "\n\r\n" + LINES.replace("\n", "\n\n"),
    "array": json.dumps(EVENTS, ensure_ascii=False),
    "pretty array": json.dumps(EVENTS, ensure_ascii=False, indent=2),
    "one array a line": "".join(json.dumps([event], ensure_ascii=False) + "\n" for event in EVENTS),
    "pretty objects": "\n".join(json.dumps(event, ensure_ascii=False, indent=4) for event in EVENTS),
    "csv": CSV,
    "csv crlf": CSV.replace("\n", "\r\n"),
    "csv capitals": CSV.replace("event_id,ts,user_id", "Event_ID, TS ,User_Id"),
    "tsv": CSV.replace('"Zoë, “Z”"', "Zoë; “Z”").replace(",", "\t").replace("Zoë;", "Zoë,"),
    "semicolons": CSV.replace('"Zoë, “Z”"', "Zoë “Z”").replace(",", ";").replace("Zoë ", "Zoë, "),
}
CODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16-le": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-16-le without mark": lambda text: text.encode("utf-16-le"),
    "utf-32": lambda text: text.encode("utf-32"),
}
PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "several gzip members": lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]),
    "several zstd frames": lambda data: zstd.compress(data[:7]) + zstd.compress(data[7:]),
    "gzip in zstd": lambda data: zstd.compress(gzip.compress(data)),
}


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def decoded(path: Path) -> list[dict[str, object]]:
    return [msgspec.json.decode(event.value) for event in read_events([path])]


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("text", "packing"), [*((text, "plain") for text in TEXTS), *(("lines", packing) for packing in PACKINGS)]
)
def test_every_file_gives_the_same_events(text: str, coding: str, packing: str, tmp_path: Path) -> None:
    path = written(tmp_path / "events.txt", PACKINGS[packing](CODINGS[coding](TEXTS[text])))
    assert decoded(path) == EVENTS
    require_events([path])


def test_marks_in_the_middle_are_dropped(tmp_path: Path) -> None:
    first, second = (codecs.BOM_UTF8 + line.encode() + b"\n" for line in LINES.splitlines())
    assert decoded(written(tmp_path / "joined", first + second)) == EVENTS


@pytest.mark.parametrize("text", ["lines", "pretty array", "csv"])
def test_a_pipe_is_read(text: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(TEXTS[text].encode())))
    writer.start()
    assert decoded(pipe) == EVENTS
    writer.join()


def test_a_pipe_gives_its_lines_as_they_come(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    events = read_events([pipe])
    got: list[object] = []
    reader = threading.Thread(target=lambda: got.append(next(iter(events))))
    reader.start()
    with pipe.open("wb", buffering=0) as end:
        end.write(LINES.encode())
        reader.join(10)
        assert got


def test_binary_and_decimal_columns_of_parquet_are_text_and_numbers(tmp_path: Path) -> None:
    columns = {
        "event_id": pa.array([decimal.Decimal(17), decimal.Decimal(18)], pa.decimal128(20, 0)),
        "user_id": pa.array([b"u00", "Zoë".encode()], pa.binary()),
        "ts": pa.array([decimal.Decimal(1475280000000)] * 2, pa.decimal128(38, 0)),
        "topics": pa.array([[b"tea", None], None], pa.list_(pa.binary())),
        "audience": pa.array([decimal.Decimal("7.5"), None], pa.decimal128(10, 2)),
        "channel": pa.array(["web", None], pa.string()).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "events")
    assert decoded(tmp_path / "events") == [
        {
            "event_id": 17,
            "user_id": "u00",
            "ts": 1475280000000,
            "topics": ["tea"],
            "audience": 7.5,
            "channel": "web",
        },
        {"event_id": 18, "user_id": "Zoë", "ts": 1475280000000},
    ]


def test_bytes_of_parquet_that_are_no_text_are_no_user(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": pa.array([b"\xff\xfe"]), "ts": [1]}), tmp_path / "events")
    (event,) = read_events([tmp_path / "events"])
    assert event.key == b""
    assert b"\xff\xfe" in event.value


BAD = {
    "a directory": (None, "cannot be read: Is a directory"),
    "an empty file": (b"", "is empty; name a file with one JSON event"),
    "nothing but blank lines": (b"\n\r\n\n", "holds no line"),
    "an empty array": (b"[ ]", "holds no line"),
    "an empty table": (CSV.splitlines()[0].encode(), "holds no line"),
    "a zip archive": (b"PK\x03\x04....", "is a zip archive, such as a workbook of a spreadsheet; unpack or export"),
    "lz4": (b"\x04\x22\x4d\x18....", "is compressed with lz4"),
    "Avro": (b"Obj\x01....", "is an Avro file"),
    "tar": (b"events.jsonl".ljust(257, b"\0") + b"ustar\x0000", "is a tar archive"),
    "tar.gz": (gzip.compress(b"events.jsonl".ljust(257, b"\0") + b"ustar\x0000"), "is a tar archive"),
    "Parquet in gzip": (gzip.compress(b"PAR1...."), "is Parquet in a pipe, or compressed as a whole"),
    "a cut gzip": (gzip.compress(os.urandom(99_999).hex().encode())[:50_000], "is damaged"),
    "a cut zstd": (zstd.compress(os.urandom(99_999).hex().encode())[:50_000], "is damaged"),
    "a cut bz2": (bz2.compress(os.urandom(99_999).hex().encode())[:50_000], "is damaged"),
    "a cut xz": (lzma.compress(os.urandom(99_999).hex().encode())[:50_000], "is damaged"),
    "a broken gzip": (b"\x1f\x8b" + b"x" * 100, "is damaged at its beginning"),
    "a line without end": (b"x" * (MAX_LINE_BYTES + 2), "has more than 1,000,000 bytes in line 1, without an end"),
    "a bomb of one line": (gzip.compress(b"x" * 50_000_000), "has more than 1,000,000 bytes in line 1"),
    "a bomb of a bomb": (zstd.compress(gzip.compress(b"x" * 50_000_000)), "has more than 1,000,000 bytes in line 1"),
    "four times compressed": (
        gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"x")))),
        "is compressed more than 3 times",
    ),
    "an array that ends in the middle": (b'[{"user_id":"ann","ts":1},{"user_id":"b', "is damaged after event 1"),
    "an array without end": (b'[{"user_id":"ann","ts":1},{"x":"' + b"y" * 2_000_000, "is damaged after event 1"),
    "a quote without end": (CSV.encode() + b'3,1,"ann\n', "is damaged after line 4"),
    "an odd byte of UTF-16": (codecs.BOM_UTF16_LE + LINES.encode("utf-16-le")[:-1], "is damaged after line"),
    "half a character of UTF-16": (codecs.BOM_UTF16_LE + b"\x00\xd8\x00\x00\n\x00", "is damaged"),
}


@pytest.mark.parametrize(("content", "sentence"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_read_is_a_sentence(content: bytes | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path if content is None else written(tmp_path / "file", content)
    with pytest.raises(EventFileError) as caught:
        list(read_events([path]))
    assert str(path) in str(caught.value)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_a_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "file", LINES.encode())
    path.chmod(0)
    with pytest.raises(EventFileError, match="cannot be read: Permission denied"):
        read_events([path])


def test_a_line_cut_off_at_the_end_is_no_event(tmp_path: Path) -> None:
    events = list(read_events([written(tmp_path / "file", LINES[:-20].encode())]))
    assert [event.key for event in events] == [b"ann", b""]


def test_a_row_with_too_many_cells_is_no_event(tmp_path: Path) -> None:
    events = list(read_events([written(tmp_path / "file", CSV.encode() + b"3,1,ann,post,,,,,,\n4,1,bob\n")]))
    assert [event.key for event in events] == [b"ann", b"007", b"", b"bob"]


def test_columns_that_are_not_those_of_an_event_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "file", b"Date,Author,\x1b[31mHashtags\n2016-10-01,ann,tea\n")
    with pytest.raises(EventFileError) as caught:
        require_events([path])
    assert "its columns are date, author, \ufffd[31mhashtags: name them as the fields of an event" in str(caught.value)


def test_reading_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "file", zstd.compress((b" " * 99_999 + b"\n") * 1000 + LINES.encode()))
    assert path.stat().st_size < 20_000
    tracemalloc.start()
    try:
        assert decoded(path) == EVENTS
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
