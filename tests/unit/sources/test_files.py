"""Recorded events: read unchanged from JSON lines, gzip and Parquet, with key and time if they have them."""

import datetime as dt
import gzip
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.decode import decode
from stream_app.core.events.schema import Post
from stream_app.extras import MissingExtraError
from stream_app.settings import Settings
from stream_app.sources.files import read_events, recorded, require_events
from stream_app.sources.recorded_event import EventFileError, RecordedEvent
from tests.benchmarks.workload import END_MS, SPAN_MS, bench_events

POST = b'{"event_id":1,"ts":1475280000000,"user_id":"ann","kind":"post","topics":["a"]}'
SHARE = b'{"event_id":"s","ts":"2016-10-01T02:00:00+02:00","user_id":9007199254740993,"kind":"share"}'
DATA = Path(__file__).parents[4] / "shared" / "data"
RECORDED = {"troll-tweets-2016-10": (131_893, 104_662), "conferences": (19_727, 11_115), "enron-mail": (22_923, 0)}
"""Events and shares of each recorded stream."""


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_post_keeps_its_line_its_user_and_its_time() -> None:
    assert recorded(POST) == RecordedEvent(share=False, key=b"ann", value=POST, ts_ms=1475280000000)


def test_a_share_with_a_long_number_and_a_zone_is_exact() -> None:
    assert recorded(SHARE) == RecordedEvent(share=True, key=b"9007199254740993", value=SHARE, ts_ms=1475280000000)


@pytest.mark.parametrize("kind", ["comment", "review", "reply", "quote", "message", "nonsense"])
def test_every_other_kind_is_a_post(kind: str) -> None:
    assert not recorded(b'{"user_id":"ann","ts":1,"kind":"%b"}' % kind.encode()).share


@pytest.mark.parametrize(
    ("line", "share", "key", "ts_ms"),
    [
        (b"not json", False, b"", -1),
        (b"[1,2]", False, b"", -1),
        (b'{"user_id":', False, b"", -1),
        (b'{"user_id":"\xff","ts":1}', False, b"", -1),
        (b"[" * 5000, False, b"", -1),
        (b"{}", False, b"", -1),
        (b'{"ts":5,"kind":"share"}', True, b"", 5),
        (b'{"user_id":null,"ts":5}', False, b"", 5),
        (b'{"user_id":1.5,"ts":5}', False, b"", 5),
        (b'{"user_id":true,"ts":5}', False, b"", 5),
        (b'{"user_id":"ann"}', False, b"ann", -1),
        (b'{"user_id":"ann","ts":"yesterday"}', False, b"ann", -1),
        (b'{"user_id":"ann","ts":"2016-10-01T00:00:00"}', False, b"ann", -1),
        (b'{"user_id":"ann","ts":5,"kind":7}', False, b"ann", 5),
        (b'{"user_id":5,"ts":1e3}', False, b"5", -1),
    ],
)
def test_a_line_that_cannot_be_decoded_is_still_produced(line: bytes, share: bool, key: bytes, ts_ms: int) -> None:
    assert recorded(line) == RecordedEvent(share, key, line, ts_ms)


@pytest.mark.parametrize(
    ("ts", "ts_ms"),
    [
        (b'"1767225600000"', 1767225600000),
        (b'"2016-12-31T23:59:60Z"', 1483228800000),
        (b'"2016-12-31T18:59:60.250-05:00"', 1483228800250),
        (b'"1767225600000.5"', -1),
        (b'"9999-12-31T23:59:60Z"', -1),
        (b"true", -1),
    ],
)
def test_a_time_in_an_unusual_form_is_that_of_the_worker(tmp_path: Path, ts: bytes, ts_ms: int) -> None:
    line = b'{"event_id":"1","user_id":"ann","ts":%b}' % ts
    assert recorded(line) == RecordedEvent(share=False, key=b"ann", value=line, ts_ms=ts_ms)
    counted = credit(decode([line], Post, 1000).events, Post, ViewRates()).ts_ms.tolist()
    assert counted == ([ts_ms] if ts_ms >= 0 else [])
    path = written(tmp_path / "events.jsonl", line)
    with nullcontext() if ts_ms >= 0 else pytest.raises(EventFileError, match="holds no event"):
        require_events([path])


@pytest.mark.parametrize("kind", ["retract", "erase"])
def test_what_takes_back_goes_to_the_topic_of_retractions_readable_or_not(kind: str) -> None:
    line = b'{"kind":"%b","of":"share","event_id":"1","user_id":"ann","ts":5}' % kind.encode()
    unreadable = line.replace(b"5}", b'"now"}')
    assert recorded(line) == RecordedEvent(False, b"ann", line, 5, retraction=True)
    assert recorded(unreadable) == RecordedEvent(False, b"ann", unreadable, -1, retraction=True)
    topics = Settings().source_topics
    assert [topics[recorded(one).source] for one in (POST, SHARE, line)] == [*topics]


def test_an_event_after_the_bytes_of_a_schema_registry_is_one() -> None:
    assert recorded(b"\0\0\0\0\1" + POST)._replace(value=POST) == recorded(POST)


@pytest.mark.parametrize("name", ["events.jsonl", "events.gz", "events"])
def test_gzip_is_known_by_its_content(name: str, tmp_path: Path) -> None:
    plain = written(tmp_path / name, POST + b"\r\n\n" + SHARE)
    zipped = written(tmp_path / f"zipped-{name}", gzip.compress(POST + b"\n" + SHARE + b"\n"))
    assert [event.value for event in read_events([plain, zipped])] == [POST, SHARE, POST, SHARE]


def test_parquet_gives_the_same_events_without_their_nulls(tmp_path: Path) -> None:
    times = [dt.datetime(2016, 10, 1, tzinfo=dt.UTC), dt.datetime(2016, 10, 1, microsecond=1500, tzinfo=dt.UTC)]
    columns = {
        "event_id": [2**60 + 1, 2],
        "user_id": ["ann", "bob"],
        "kind": ["post", "share"],
        "topics": [["a"], []],
        "audience": pa.array([float("nan"), 7.0]),
        "author_id": [None, "ann"],
    }
    for number, kind in enumerate([pa.timestamp("ms", "UTC"), pa.timestamp("ns")]):
        table = pa.table({**columns, "ts": pa.array([time.replace(tzinfo=None) for time in times], kind)})
        pq.write_table(table, tmp_path / f"{number}.bin")
        first, second = read_events([tmp_path / f"{number}.bin"])
        ts_ms = 1475280000000
        assert msgspec.json.decode(first.value) == {
            "event_id": 2**60 + 1,
            "user_id": "ann",
            "kind": "post",
            "topics": ["a"],
            "ts": ts_ms,
        }
        assert first[:2] == (False, b"ann")
        assert (second.share, second.key, second.ts_ms) == (True, b"bob", ts_ms + 1)
        assert msgspec.json.decode(second.value)["author_id"] == "ann"


def test_without_pyarrow_a_parquet_file_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_app.extras.find_spec", lambda _module: None)
    with pytest.raises(MissingExtraError, match=r"pyarrow is not installed: pip install 'stream-app\[parquet\]'"):
        read_events([written(tmp_path / "events.parquet", b"PAR1")])


def test_integers_and_strings_of_parquet_are_the_users_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": [7, 2**62 + 1], "ts": [1, 2]}), tmp_path / "events.parquet")
    assert [event.key for event in read_events([tmp_path / "events.parquet"])] == [b"7", b"%d" % (2**62 + 1)]


def test_a_missing_file_is_reported_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match=r"nowhere.jsonl cannot be read: No such file"):
        read_events([written(tmp_path / "good.jsonl", POST), tmp_path / "nowhere.jsonl"])
    with pytest.raises(EventFileError, match="Is a directory"):
        read_events([tmp_path])


def test_an_empty_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match="is empty"):
        read_events([written(tmp_path / "empty.jsonl", b"")])
    with pytest.raises(EventFileError, match="holds no line"):
        list(read_events([written(tmp_path / "empty.gz", gzip.compress(b""))]))
    pq.write_table(pa.table({"user_id": pa.array([], pa.string())}), tmp_path / "empty.parquet")
    with pytest.raises(EventFileError, match="holds no row"):
        list(read_events([tmp_path / "empty.parquet"]))


def test_a_damaged_file_is_reported_with_the_place(tmp_path: Path) -> None:
    global_cuts = gzip.compress(b"\n".join([POST] * 3), compresslevel=0)
    with pytest.raises(EventFileError, match=r"cut.gz is damaged after line 1"):
        list(read_events([written(tmp_path / "cut.gz", global_cuts[:100])]))
    with pytest.raises(EventFileError, match="not a readable Parquet file"):
        list(read_events([written(tmp_path / "cut.parquet", b"PAR1 and no more")]))


@pytest.mark.oracle
@pytest.mark.parametrize("name", RECORDED)
def test_the_recorded_streams_are_read_as_they_are(name: str) -> None:
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    events = list(read_events([path]))
    assert (len(events), sum(event.share for event in events)) == RECORDED[name]
    assert all(event.key and event.ts_ms > 0 for event in events)
    with gzip.open(path) as lines:
        assert [event.value for event in events] == lines.read().splitlines()


def test_the_benchmark_stream_is_the_same_every_time_and_as_described() -> None:
    events = list(bench_events(20_000, seed=3))
    assert events == list(bench_events(20_000, seed=3))
    assert events != list(bench_events(20_000, seed=4))
    assert all(event == recorded(event.value) for event in events)
    times = [event.ts_ms for event in events]
    assert times == sorted(times)
    assert END_MS - SPAN_MS == times[0] <= times[-1] < END_MS
    assert 0.28 < sum(event.share for event in events) / len(events) < 0.32
    assert 190 < sum(len(event.value) for event in events) / len(events) < 210
    decoded = [msgspec.json.decode(event.value) for event in events]
    assert len({event["event_id"] for event in decoded}) == len(events)
    assert len({topic for event in decoded for topic in event["topics"]}) == 20
