"""Touched rows: before its first change a row is noted once, and keeps its note when rows are renumbered."""

import numpy as np
from numpy.typing import NDArray

from stream_app.core.state.rows import RowTable


def table(*values: int) -> RowTable:
    rows = RowTable()
    rows.rows(np.arange(len(values)), np.arange(len(values)))
    rows.take_touched()
    add(rows, dict(enumerate(values)))
    rows.take_touched()
    return rows


def add(rows: RowTable, posts: dict[int, int]) -> None:
    values = np.array(list(posts.values()), np.int64)
    rows.add(np.array(list(posts), np.int64), values, 10 * values, values.astype(np.float64))


def taken(rows: RowTable) -> dict[int, tuple[list[int], list[int]]]:
    before = rows.take_touched()
    assert before is not None
    return {
        row: (before.totals[:, place].tolist(), before.standings[:, place].tolist())
        for place, row in enumerate(before.rows.tolist())
    }


def keep(rows: RowTable, *kept: int) -> NDArray[np.int64]:
    mask = np.isin(np.arange(len(rows)), kept)
    return rows.renumber(mask, np.arange(len(rows)), np.arange(len(rows)))


def test_a_row_is_noted_as_it_was_before_its_first_change() -> None:
    rows = table(5, 6, 7)
    add(rows, {1: 1, 2: 2})
    rows.set_standings(0, np.array([1, 0]), [3, 4])
    add(rows, {1: 10})
    assert taken(rows) == {0: ([5, 50], [0, 0]), 1: ([6, 60], [0, 0]), 2: ([7, 70], [0, 0])}
    assert taken(rows) == {}
    add(rows, {0: 1})
    assert taken(rows) == {0: ([5, 50], [4, 0])}


def test_new_rows_were_nothing_before() -> None:
    rows = table(5)
    rows.rows(np.arange(200), np.arange(200))
    add(rows, {199: 3})
    assert taken(rows) == {199: ([0, 0], [0, 0])}


def test_what_was_noted_follows_its_row() -> None:
    rows = table(5, 6, 7)
    add(rows, {2: 1})
    keep(rows, 0, 2)
    assert taken(rows) == {1: ([7, 70], [0, 0])}


def test_all_are_taken_once_something_is_lost() -> None:
    rows = table(5, 6, 7)
    add(rows, {1: 1, 2: 1})
    keep(rows, 0, 2)
    assert rows.take_touched() is None
    add(rows, {0: 1})
    assert taken(rows) == {0: ([5, 50], [0, 0])}


def test_a_row_that_has_just_died_is_kept_until_that_was_taken() -> None:
    rows = table(5, 6)
    add(rows, {0: -5})
    assert rows.done_with().tolist() == [False, False]
    rows.take_touched()
    assert rows.done_with().tolist() == [True, False]
