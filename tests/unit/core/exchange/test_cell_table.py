"""The cell table against a dict of cells: additions of any order and size, and partitions that are taken out again."""

from collections import Counter
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.exchange import cell_table
from stream_app.core.exchange.cell_table import CellTable, SourceCells, negated
from stream_app.core.exchange.curve_deltas import FLAGGED

Row = tuple[int, int, int, int, int]
"""Curve, value, partition, users, and by how much their total is above users × value."""
Naive = dict[tuple[int, int, int], tuple[int, int]]
"""Users and total by curve, value and partition."""

VALUE = st.sampled_from([FLAGGED, 1, 2, 3, 4, 2**34])
CELL = st.tuples(st.integers(0, 12), VALUE, st.integers(0, 3), st.integers(-2, 5), st.sampled_from([0, 0, 0, 1, 7]))


@pytest.fixture(autouse=True)
def _often_merged() -> Iterator[None]:
    with patch.object(cell_table, "_FEWEST", 6):
        yield


def cells_of(rows: list[Row]) -> SourceCells:
    curves, values, sources, users, above = np.array(rows, np.int64).reshape(-1, 5).T
    return SourceCells(curves, values, sources, users, users * values + above)


def expected(naive: Naive, curves: list[int]) -> list[tuple[int, int, int, int]]:
    users, totals = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    for (curve, value, _), (some, total) in naive.items():
        users[curve, value] += some
        totals[curve, value] += total
    held = {(curve, value) for (curve, value, _), counts in naive.items() if any(counts) and curve in curves}
    ordered = sorted(held, key=lambda cell: (cell[0], -cell[1]))
    return [(*cell, users[cell], totals[cell]) for cell in ordered]


@settings(max_examples=200)
@given(st.lists(st.lists(CELL, max_size=12), max_size=12), st.integers(0, 3))
def test_the_table_holds_what_was_added_to_it(additions: list[list[Row]], gone: int) -> None:
    table, naive = CellTable(), Naive()
    for rows in additions:
        curves = table.add(cells_of(rows))
        merged = table.of(curves)
        for curve, value, source, users, above in rows:
            before = naive.get((curve, value, source), (0, 0))
            naive[curve, value, source] = (before[0] + users, before[1] + users * value + above)
        assert curves.tolist() == sorted({row[0] for row in rows})
        assert list(zip(*(column.tolist() for column in merged), strict=True)) == expected(naive, curves.tolist())
    everything = np.arange(20)
    assert list(zip(*(c.tolist() for c in table.of(everything)), strict=True)) == expected(naive, list(range(20)))
    table.add(negated(table.of_source(gone)))
    left = {key: counts for key, counts in naive.items() if key[2] != gone}
    assert list(zip(*(c.tolist() for c in table.of(everything)), strict=True)) == expected(left, list(range(20)))


def test_a_change_of_one_curve_leaves_the_others_where_they_are() -> None:
    table = CellTable()
    table.add(cells_of([(curve, value, 0, 1, 0) for curve in range(50) for value in (1, 2)]))
    with patch.object(cell_table, "_FEWEST", 100):
        base = table._base
        table.add(cells_of([(7, 3, 1, 1, 0)]))
        table.add(cells_of([(7, 2, 1, 1, 0)]))
        assert table._base is base
        assert len(table._fresh.curves) == 4
    assert table.of_source(1, np.array([7])).values.tolist() == [3, 2]


def test_curves_without_cells_can_be_left_out() -> None:
    table = CellTable()
    table.add(cells_of([(2, 5, 0, 1, 0), (4, 6, 0, 1, 0), (5, 7, 1, 1, 3)]))
    table.add(cells_of([(4, 6, 0, -1, 0)]))
    table.renumber(np.array([2, 5]))
    assert [column.tolist() for column in table.of(np.arange(4))] == [[0, 1], [5, 7], [1, 1], [5, 10]]


def test_cells_that_do_not_fit_into_one_number_are_in_the_same_order() -> None:
    numbers = np.random.default_rng(1).integers
    columns = (numbers(0, 9, 500), numbers(-2, 50, 500), numbers(0, 5, 500), np.ones(500, np.int64))
    cells = SourceCells(*columns, totals=np.ones(500, np.int64))
    in_order = list(zip(*(column.tolist() for column in cells.at(cell_table._order(cells))), strict=True))
    assert in_order == sorted(in_order, key=lambda cell: (cell[0], -cell[1], cell[2]))
    far = cells._replace(values=cells.values << 57)
    assert cell_table._order(far).tolist() == cell_table._order(cells).tolist()


def test_a_cell_takes_14_bytes_and_a_curve_4() -> None:
    table = CellTable()
    table.add(cells_of([(curve, 1, 0, 1, 0) for curve in range(10_000)]))
    table._merge()
    assert table.nbytes - table._is_fresh.nbytes == 18 * 10_000 + 4
