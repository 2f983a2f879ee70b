"""Curve points: ranks are exact where a curve is small, near otherwise, for many curves at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.arrays import Ints
from stream_app.core.cuts.curve_points import FEW_CELLS, points_of, ranks_of, users_from
from stream_app.core.cuts.histogram import Cells


def cells_of(*curves: list[int]) -> Cells:
    columns = []
    for number, values in enumerate(curves):
        distinct, users = np.unique(np.array(values, np.int64), return_counts=True)
        columns.append((np.full(len(distinct), number), distinct[::-1], users[::-1], (distinct * users)[::-1]))
    return Cells(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def ranks(cells: Cells, curve: int, values: list[int]) -> Ints:
    points = points_of(cells)
    mine = points.curves == curve
    return ranks_of(np.array(values, np.int64), points.values[mine], points.above[mine])


def enough(values: list[int], least: int) -> int:
    points = points_of(cells_of(values))
    return users_from(least, np.column_stack([points.values, points.above, points.totals_above]), len(values))


def naive(values: list[int], value: int) -> int:
    return 1 + sum(other > value for other in values)


@given(st.lists(st.lists(st.integers(1, 50), min_size=1, max_size=FEW_CELLS), min_size=1, max_size=4))
def test_ranks_in_small_curves_are_exact(curves: list[list[int]]) -> None:
    cells = cells_of(*curves)
    for number, values in enumerate(curves):
        assert ranks(cells, number, values).tolist() == [naive(values, value) for value in values]


def test_ranks_in_large_curves_are_near_and_the_first_is_exact() -> None:
    chance = np.random.default_rng(1)
    values = np.unique(np.ceil(chance.pareto(1.2, 20_000) * 1000).astype(np.int64)).tolist()
    cells = cells_of([1, 2], values)
    assert len(points_of(cells).curves) < 30
    asked = sorted(chance.choice(values, 500).tolist())
    found, true = ranks(cells, 1, asked), np.array([naive(values, value) for value in asked])
    assert np.abs(np.log(found / true)).max() < 0.2
    assert np.median(np.abs(found / true - 1)) < 0.02
    assert ranks(cells, 1, [max(values), max(values) + 1]).tolist() == [1, 1]


def test_the_points_are_on_the_curve() -> None:
    points = points_of(cells_of([5, 5, 1], [7, 3]))
    assert [column.tolist() for column in points] == [[0, 0, 1, 1], [5, 1, 7, 3], [0, 2, 0, 1], [0, 10, 0, 7]]


@pytest.mark.parametrize("value", [0, 1, 10**15])
def test_a_curve_without_points_ranks_everybody_first(value: int) -> None:
    nothing = np.empty(0, np.int64)
    assert ranks_of(np.array([value]), nothing, nothing).tolist() == [1]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=FEW_CELLS), st.integers(1, 60))
def test_who_has_the_least_evidence_is_counted_exactly_in_small_curves(values: list[int], least: int) -> None:
    assert enough(values, least) == sum(value >= least for value in values)


def test_who_has_the_least_evidence_is_estimated_in_long_curves() -> None:
    chance = np.random.default_rng(1)
    values = np.unique(np.ceil(chance.pareto(1.2, 20_000) * 1000).astype(np.int64)).tolist()
    for least in (1, 1_000, 5_000, 10**9):
        true = sum(value >= least for value in values)
        assert abs(enough(values, least) - true) <= 0.05 * true
