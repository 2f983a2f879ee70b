"""Stored pieces of a ledger: keys, columns, parts, and refusing what this release cannot read."""

from itertools import chain

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from stream_app.core.changelog import segments
from stream_app.core.changelog.columns import Column, FormatError, pack, runs, unpack
from stream_app.core.changelog.content import parts as parts_module
from stream_app.core.changelog.content.pane_content import Entries, PaneContent
from stream_app.core.changelog.header import Header
from stream_app.core.changelog.segments import Segment, SegmentKey
from stream_app.core.state.watermark import Source

HEADER = Header({"posts": Source(7, 1000, 3, 1, 1, 2, 1)}, 990, -5, 2)
SCOPES = [("all", "*"), ("staff", "x"), ("all", "ä")]
USERS = ["u", "v/1", "", "日"]

ENTRY = st.tuples(
    st.integers(0, 2), st.integers(0, 3), st.integers(0, 300), st.integers(0, 2**40), st.integers(0, 2**60)
)
PANES = st.lists(
    st.tuples(st.integers(-3, 10**9), st.lists(ENTRY, max_size=8), st.lists(st.integers(0, 2**64 - 1), max_size=8)),
    max_size=4,
)
Panes = list[tuple[int, list[tuple[int, ...]], list[int]]]


def _entries(rows: list[tuple[int, ...]]) -> Entries:
    scopes, users, posts, impressions, squares = np.array(rows, np.int64).reshape(-1, 5).T
    return Entries(scopes, users, posts, impressions, squares.astype(np.float64))


def _encode(panes: Panes) -> list[bytes]:
    encoded = [PaneContent(pane, {0: _entries(rows)}, np.array(hashes, np.uint64)) for pane, rows, hashes in panes]
    return segments.encode(HEADER, SCOPES, USERS, encoded)


def _rows_of(parts: list[Segment], pane: int) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for part in parts:
        for run in part.runs():
            columns = (column.tolist() for column in part.entries(run.entries) if column is not None)
            found = zip(*columns, strict=True) if run.pane == pane else ()
            rows += [(part.scopes()[scope], part.users()[user], *made) for scope, user, *made in found]
    return rows


@settings(max_examples=40)
@given(PANES, st.integers(1, 10))
def test_decoding_returns_what_was_encoded_in_any_number_of_parts(panes: Panes, most_entries: int) -> None:
    panes = list({pane: (pane, rows, hashes) for pane, rows, hashes in panes}.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts_module, "MOST_ENTRIES", most_entries)
        values = _encode(panes)
    parts = [segments.decode(value) for value in values]
    assert {part.parts for part in parts} == {len(values)}
    assert all(part.header == HEADER for part in parts)
    assert all(sum(part.entry_counts) <= most_entries for part in parts)
    for pane, rows, hashes in panes:
        expected = [(SCOPES[scope], USERS[user], *made[:2], float(made[2])) for scope, user, *made in rows]
        assert _rows_of(parts, pane) == expected
        found = [run.hashes.tolist() for part in parts for run in part.runs() if run.pane == pane]
        assert sorted(chain.from_iterable(found)) == sorted(hashes)
        assert all(run == sorted(run) for run in found)


def test_a_batch_that_added_nothing_still_has_a_part_with_the_positions() -> None:
    (value,) = _encode([])
    part = segments.decode(value)
    assert (part.header, part.panes, part.scopes(), part.users()) == (HEADER, [], [], [])
    assert list(part.runs()) == []


def test_a_part_names_only_what_it_holds() -> None:
    part = segments.decode(_encode([(4, [(2, 3, 1, 0, 0)], [])])[0])
    assert ([tuple(name) for name in part.scopes()], part.users()) == ([("all", "ä")], ["日"])


@settings(max_examples=40)
@given(
    st.builds(
        SegmentKey,
        st.integers(0, 2**20),
        st.sampled_from(["delta", "pane", "epoch"]),
        st.integers(-(10**9), 10**12),
        *[st.integers(0, 2**60)] * 3,
    )
)
def test_a_key_is_read_as_it_was_written(key: SegmentKey) -> None:
    assert SegmentKey.decode(key.encode()) == key


@pytest.mark.parametrize(
    "key",
    [
        *(b"", b"0", b"0/delta/0/1/2", b"0/delta/0/1/2/3/4", b"0/x/0/1/2/3", b"0/delta/x/1/2/3", b"\xff/a/b/c/d/e"),
        *(b"0/delta/0/%d/2/3" % 2**63, b"0/epoch/0/1/-1/0"),
    ],
)
def test_a_key_of_something_else_is_refused(key: bytes) -> None:
    with pytest.raises(FormatError, match="not the key of a segment"):
        SegmentKey.decode(key)


def test_a_segment_of_another_version_is_refused_with_its_version() -> None:
    fields = msgspec.msgpack.decode(_encode([])[0])
    with pytest.raises(FormatError, match=r"version 3.* reads 1 and 2"):
        segments.decode(msgspec.msgpack.encode([3, *fields[1:]]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (msgspec.msgpack.encode([9, "another", "layout"]), "it says version 9"),
        (b"", "it begins with b''"),
        (b"\xc1garbage", "it begins with"),
        (msgspec.msgpack.encode({"version": 1}), "it begins with"),
        (_encode([])[0][:-1], "not a segment of version 1"),
    ],
)
def test_a_value_that_is_no_segment_is_refused_with_the_reason(value: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        segments.decode(value)


@settings(max_examples=40)
@given(
    st.one_of(
        arrays.arrays(np.int64, st.integers(0, 20), elements=st.integers(0, 2**63 - 1)),
        arrays.arrays(np.uint64, st.integers(0, 20), elements=st.integers(0, 2**64 - 1)),
        arrays.arrays(np.float64, st.integers(0, 20), elements=st.floats(0, 1e300)),
        arrays.arrays(np.float64, st.integers(0, 20), elements=st.integers(0, 2**53).map(float)),
    )
)
def test_a_column_is_unpacked_as_it_was_packed(values: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    column = msgspec.msgpack.decode(msgspec.msgpack.encode(pack(values)), type=Column)
    assert unpack(column).tolist() == values.tolist()


@pytest.mark.parametrize(("largest", "dtype"), [(0, "u1"), (255, "u1"), (256, "u2"), (65_536, "u4"), (2**32, "u8")])
def test_a_column_takes_the_smallest_type(largest: int, dtype: str) -> None:
    assert pack(np.array([0, largest])).dtype == dtype
    assert pack(np.array([0.0, float(largest)])).dtype == dtype


def test_a_column_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(FormatError, match="unknown column type 'i3'"):
        unpack(Column("i3", memoryview(b"")))


def test_runs_follow_each_other() -> None:
    assert runs([2, 0, 3]) == [slice(0, 2), slice(2, 2), slice(2, 5)]
    assert runs([]) == []


@settings(max_examples=30)
@given(
    st.lists(st.text(min_size=1, max_size=256), min_size=1, max_size=30, unique=True),
    st.lists(st.tuples(st.text(max_size=100), st.text(max_size=200)), min_size=1, max_size=20, unique=True),
    st.integers(1, 4),
    st.sampled_from([4_000, 10_000, 31_744]),
)
def test_no_part_is_larger_than_it_may_be_whatever_the_names(
    users: list[str], scopes: list[tuple[str, str]], count: int, most_bytes: int
) -> None:
    rows: list[tuple[int, ...]] = [
        (scope, user, 1, user, user * user) for scope in range(len(scopes)) for user in range(len(users))
    ]
    panes = [PaneContent(pane, {0: _entries(rows)}, np.arange(len(rows), dtype=np.uint64)) for pane in range(count)]
    values = segments.encode(HEADER, scopes, users, panes, most_bytes)
    assert max(map(len, values)) <= most_bytes
    parts = [segments.decode(value) for value in values]
    assert {part.parts for part in parts} == {len(values)}
    for pane in range(count):
        named = [(scope, user) for part in parts for scope, user in _names_of(part, pane)]
        assert named == [(scopes[scope], users[user]) for scope, user, *_ in rows]
        hashes = [run.hashes.tolist() for part in parts for run in part.runs() if run.pane == pane]
        assert list(chain.from_iterable(hashes)) == list(range(len(rows)))


def _names_of(part: Segment, pane: int) -> list[tuple[tuple[str, str], str]]:
    return [
        (tuple(part.scopes()[scope]), part.users()[user])
        for run in part.runs()
        if run.pane == pane
        for scope, user in zip(*(column.tolist() for column in part.entries(run.entries)[:2]), strict=True)
    ]


def test_8000_users_of_a_kilobyte_fit_the_smallest_limit() -> None:
    users = [f"{n:04}" + "\U0001f600" * 252 for n in range(8_000)]
    rows: list[tuple[int, ...]] = [(0, user, 1, 1, 1) for user in range(8_000)]
    content = PaneContent(4, {0: _entries(rows)}, np.arange(8_000, dtype=np.uint64))
    values = segments.encode(HEADER, SCOPES, users, [content], 31_744)
    assert max(map(len, values)) <= 31_744
    assert sum(len(segments.decode(value).users()) for value in values) == 8_000
