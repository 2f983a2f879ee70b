"""The Lorenz curve: few points, none of them beside the curve, and the cut lies on it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.cuts.curve_points import points_of
from stream_app.core.cuts.cut import merge
from stream_app.core.cuts.histogram import NO_BIN, cells_of
from stream_app.core.cuts.lorenz import lorenz

VALUES = st.lists(st.integers(1, 10**9), min_size=1, max_size=400)


def curve_of(values: list[int]) -> list[tuple[float, float]]:
    cells = cells_of(np.zeros(len(values), np.int64), np.array(values, np.int64), np.array([NO_BIN]))
    points = points_of(merge(cells))
    return lorenz(np.stack([points.values, points.above, points.totals_above], axis=1), len(values), sum(values))


@given(VALUES)
def test_the_curve_rises_from_nobody_to_everybody_and_bends_to_one_side(values: list[int]) -> None:
    points = curve_of(values)
    assert points[0] == (0.0, 0.0)
    assert points[-1] == (1.0, 1.0)
    assert points == sorted(points)
    assert all(y >= x - 1e-5 for x, y in points)


@given(VALUES)
def test_every_point_says_what_so_many_users_make(values: list[int]) -> None:
    made = np.append(0, np.cumsum(sorted(values, reverse=True)))
    for x, y in curve_of(values):
        users = x * len(values)
        assert y == pytest.approx(np.interp(users, np.arange(len(made)), made) / made[-1], abs=1e-4)


def test_many_values_make_few_points() -> None:
    rng = np.random.default_rng(1)
    points = curve_of((rng.pareto(1.1, 2000) * 1000 + 1).astype(int).tolist())
    assert 15 <= len(points) <= 40


def test_nobody_has_no_curve() -> None:
    assert curve_of([]) == []
