"""Buckets of curves in parts: none is larger than it may be, and together they are the bucket again."""

from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.columns import Column, FormatError, pack, unpack
from stream_app.core.cuts import curve_message
from stream_app.core.cuts.curve_message import PART_VERSION, VERSION, CurveMessage
from stream_app.core.cuts.curve_parts import CurveParts, encoded
from stream_app.core.state.scopes import ScopeName

LEAST = 31_744
"""The smallest limit there is."""
NAMES = st.builds(ScopeName, st.text(max_size=100), st.text(max_size=200))
LONG = "\U0001f600" * 200
CELL = st.tuples(st.integers(1, 2**30), st.integers(1, 2**20))


def bucket(scopes: list[ScopeName], cells: list[list[tuple[int, int]]]) -> CurveMessage:
    """`cells`: of each scope, value and users; both roles have the same."""
    rows = [(number << 1 | role, *cell) for number, held in enumerate(cells) for role in (0, 1) for cell in held]
    curves, values, users = np.array(rows, np.int64).reshape(-1, 3).T
    counts = (pack(np.arange(len(scopes))), pack(np.arange(len(scopes)) * 2))
    columns = (pack(curves), pack(values), pack(users), pack(values * users))
    return CurveMessage(VERSION, 3, 9, scopes, counts, counts, *columns, epoch=7)


def content(message: CurveMessage) -> tuple[Counter[tuple[object, ...]], Counter[tuple[object, ...]]]:
    """Everything in a bucket, added up by scope."""
    made: Counter[tuple[object, ...]] = Counter()
    cells = message.cells()
    for curve, value, users, total in zip(*(column.tolist() for column in cells), strict=True):
        made[tuple(message.scopes[curve >> 1]), curve & 1, value, "users"] += users
        made[tuple(message.scopes[curve >> 1]), curve & 1, value, "total"] += total
    counted: Counter[tuple[object, ...]] = Counter()
    for name, pair in (("flagged", message.flagged), ("emerging", message.emerging)):
        for role in (0, 1):
            for scope, count in zip(message.scopes, unpack(pair[role]).tolist(), strict=True):
                counted[tuple(scope), name, role] += count
    return made, counted


def together(values: list[bytes]) -> CurveMessage:
    parts = CurveParts()
    *first, last = [parts.together(curve_message.decode(value)) for value in values]
    assert first == [None] * len(first)
    assert last is not None
    return last


@settings(deadline=None, max_examples=30)
@given(st.data(), st.sampled_from([500, 2_000, LEAST]))
def test_any_bucket_in_parts_is_the_same_bucket(data: st.DataObject, most_bytes: int) -> None:
    scopes = data.draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    cells = [data.draw(st.lists(CELL, max_size=60)) for _ in scopes]
    whole = bucket(scopes, cells)
    values = encoded(whole, max(most_bytes, 1_600))  # a single name must fit
    assert max(map(len, values)) <= max(most_bytes, 1_600)
    assert content(together(values)) == content(whole)


def test_topics_of_800_bytes_and_a_scope_with_a_million_values_fit_the_smallest_limit() -> None:
    scopes = [ScopeName("p" * 100, f"{LONG[:190]}{number}") for number in range(4_000)]
    whole = bucket(scopes, [[(n * n + 1, 1) for n in range(60_000)], *([[(1, 1)]] * 3_999)])
    values = encoded(whole, LEAST)
    assert len(values) > 100
    assert max(map(len, values)) <= LEAST
    assert content(together(values)) == content(whole)


def test_a_bucket_that_fits_is_written_as_earlier_releases_read_it() -> None:
    (value,) = encoded(bucket([ScopeName("all", "tea")], [[(5, 1)]]), LEAST)
    assert curve_message.decode(value).version == VERSION


def test_a_part_is_of_a_version_that_earlier_releases_refuse() -> None:
    """They keep what they have of the bucket; as version 1 a part would take the place of the whole."""
    values = encoded(bucket([ScopeName("all", f"{LONG}{n}") for n in range(50)], [[(1, 1)]] * 50), LEAST)
    assert {msgspec.msgpack.decode(value)[0] for value in values} == {PART_VERSION}


def test_parts_of_two_publications_are_never_mixed() -> None:
    scopes = [ScopeName("all", f"{LONG}{n}") for n in range(50)]
    old, new = (
        [curve_message.decode(value) for value in encoded(bucket(scopes, [[(value, 1)]] * 50), LEAST)]
        for value in (1, 2)
    )
    parts = CurveParts()
    assert [parts.together(part) for part in (old[0], *new[:-1], old[-1])] == [None] * (len(new) + 1)
    found = [parts.together(part) for part in new]
    assert found[:-1] == [None] * (len(new) - 1)
    assert content(found[-1] or old[0]) == content(bucket(scopes, [[(2, 1)]] * 50))


def test_a_bucket_that_shrinks_replaces_the_parts_it_had() -> None:
    scopes = [ScopeName("all", f"{LONG}{n}") for n in range(50)]
    first, *_ = (curve_message.decode(value) for value in encoded(bucket(scopes, [[(1, 1)]] * 50), LEAST))
    small = bucket(scopes[:1], [[(1, 1)]])
    parts = CurveParts()
    assert parts.together(first) is None
    assert parts.together(small) is small


def test_an_unknown_version_is_refused() -> None:
    fields = msgspec.msgpack.decode(curve_message.encode(bucket([ScopeName("all", "tea")], [[(5, 1)]])))
    with pytest.raises(FormatError, match=r"version 3.*reads 1 and 2"):
        curve_message.decode(msgspec.msgpack.encode([3, *fields[1:]]))


class CurveMessageOf02(msgspec.Struct, array_like=True):
    """As 0.2 has it."""

    version: int
    partition: int
    bucket: int
    scopes: list[ScopeName]
    flagged: tuple[Column, Column]
    emerging: tuple[Column, Column]
    curve: Column
    value: Column
    users: Column
    total: Column
    epoch: int = 0


def test_workers_of_0_2_read_a_bucket_in_one_message_and_see_the_version_of_a_part() -> None:
    read = msgspec.msgpack.Decoder(CurveMessageOf02).decode
    whole = bucket([ScopeName("all", "tea")], [[(5, 1)]])
    (value,) = encoded(whole, LEAST)
    found = read(value)
    assert (found.version, found.scopes, found.epoch) == (1, [ScopeName("all", "tea")], 7)
    assert unpack(found.value).tolist() == [5, 5]
    parts = encoded(bucket([ScopeName("all", f"{LONG}{n}") for n in range(50)], [[(1, 1)]] * 50), LEAST)
    assert {read(part).version for part in parts} == {2}


def test_workers_read_what_those_of_0_2_write() -> None:
    value = msgspec.msgpack.encode(CurveMessageOf02(*msgspec.structs.astuple(bucket([], []))[:11]))
    message = curve_message.decode(value)
    assert CurveParts().together(message) is message
