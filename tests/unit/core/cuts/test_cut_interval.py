"""Intervals against loops over users, what must hold of any interval, and how often the truth is inside."""

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.cuts.cut import cuts_of, merge
from stream_app.core.cuts.cut_interval import CurveIntervals, intervals_of, statistics_of
from stream_app.core.cuts.histogram import NO_BIN, Cells, bins_of, cells_of
from stream_app.core.cuts.interval_width import CurveStatistics, widths_of
from stream_app.core.decoding import LARGEST
from tests.naive import naive_cut
from tests.tools.intervals import populations as of
from tests.tools.intervals.coverage import cells_of_samples, coverage
from tests.tools.intervals.populations import Population

SHARE = 0.8
VALUES = st.lists(st.one_of(st.integers(1, 4), st.integers(1, 400), st.integers(1, 10**12)), min_size=1, max_size=50)
CURVES = st.lists(VALUES, min_size=1, max_size=4)
Interval = tuple[int, int, int, int]


def _cells(curves: Sequence[Sequence[int]]) -> Cells:
    numbers = np.repeat(np.arange(len(curves)), [len(values) for values in curves])
    flat = np.array([value for values in curves for value in values], np.int64)
    return merge(Cells(numbers, flat, np.ones_like(flat), flat))


def _intervals(cells: Cells, share: float) -> CurveIntervals:
    return intervals_of(cells, cuts_of(cells, share), share)


def _statistics(cells: Cells, share: float) -> CurveStatistics:
    return statistics_of(cells, cuts_of(cells, share), share)


def _rows(found: CurveIntervals) -> list[Interval]:
    low, high, threshold_low, threshold_high = (column.tolist() for column in found[1:])
    return list(zip(low, high, threshold_low, threshold_high, strict=True))


def _naive_statistics(values: Sequence[int], share: float) -> dict[str, float]:
    """What the widths depend on, from the definitions."""
    cut, users, total = naive_cut(values, share), len(values), sum(values)
    assert cut is not None
    theta, before, inside = cut.threshold, 0, list[tuple[float, float]]()
    for value in sorted(values, reverse=True):
        inside.append((value / theta, min(1.0, max(0.0, (share * total - before) / value))))
        before += value
    head = sum(part for _, part in inside)
    squares = sum(part * ratio**2 for ratio, part in inside)
    rest = sum((1.0 - part) * ratio**2 for ratio, part in inside)
    influence = [share * ratio - max(ratio - 1.0, 0.0) - head / users for ratio, _ in inside]
    logs = [math.log(ratio) for ratio, _ in inside]
    mean = sum(logs) / users
    return {
        "users": users,
        "head": head,
        "k_error": math.sqrt(sum(each**2 for each in influence)) / head,
        "error": math.sqrt(squares / (share * total / theta) ** 2 + rest / ((1.0 - share) * total / theta) ** 2),
        "skewness": sum(part * ratio**3 for ratio, part in inside) / squares**1.5,
        "spread": math.sqrt(sum((each - mean) ** 2 for each in logs) / users),
        "excess": sum(part * max(math.log(ratio), 0.0) for ratio, part in inside) / head,
        "excess_square": sum(part * max(math.log(ratio), 0.0) ** 2 for ratio, part in inside) / head,
    }


def _value_at(ordered: Sequence[int], log_odds: float) -> int:
    """The value at which the highest ones reach a share."""
    reached, wanted = 0, sum(ordered) / (1.0 + math.exp(-log_odds))
    for value in ordered:
        reached += value
        if reached >= wanted:
            return value
    return ordered[-1]


def _naive_interval(values: Sequence[int], share: float, wider: float) -> Interval:
    """By loops over the users; `wider` by that much, for results of floats at an edge."""
    cut, found, ordered = naive_cut(values, share), _naive_statistics(values, share), sorted(values, reverse=True)
    assert cut is not None
    widths = widths_of(CurveStatistics(**{name: np.array([number]) for name, number in found.items()}))
    k_low, k_high, above, below = (float(width[0]) for width in widths)
    low = round(found["head"] * math.exp(-k_low * found["k_error"] - wider) - wider)
    high = round(found["head"] * math.exp(k_high * found["k_error"] + wider) + wider)
    odds = math.log(share / (1.0 - share))
    threshold_low = _value_at(ordered, odds + below * found["error"] + wider)
    threshold_high = float(_value_at(ordered, odds - above * found["error"] - wider))
    if threshold_high == ordered[0]:
        alone = ordered[0] / sum(ordered)
        beyond = math.log(alone / max(1.0 - alone, 1e-12)) - odds + above * found["error"] + wider
        threshold_high *= math.exp(min(max(beyond, 0.0), math.log(1000.0)))
    return (
        min(max(low, 1), cut.k),
        max(min(high, cut.users), cut.k),
        min(threshold_low, cut.threshold),
        max(math.ceil(threshold_high * (1.0 + math.copysign(1e-11, wider))), cut.threshold),
    )


@settings(max_examples=150)
@given(CURVES, st.sampled_from([0.5, 0.8, 0.9]))
def test_the_statistics_are_those_of_the_definitions(curves: list[list[int]], share: float) -> None:
    found = _statistics(_cells(curves), share)
    for place, values in enumerate(curves):
        naive = _naive_statistics(values, share)
        for name, column in found._asdict().items():
            assert column[place] == pytest.approx(naive[name], rel=1e-6, abs=3e-6), name


@settings(max_examples=150)
@given(CURVES)
def test_the_intervals_are_those_of_the_definitions(curves: list[list[int]]) -> None:
    for values, found in zip(curves, _rows(_intervals(_cells(curves), SHARE)), strict=True):
        inner, outer = (_naive_interval(values, SHARE, wider) for wider in (-3e-5, 3e-5))
        assert outer[0] <= found[0] <= inner[0]
        assert inner[1] <= found[1] <= outer[1]
        assert outer[2] <= found[2] <= inner[2]
        assert inner[3] <= found[3] <= outer[3]


@settings(max_examples=150)
@given(CURVES, st.sampled_from([0.5, 0.8, 0.99]))
def test_an_interval_contains_the_cut_and_stays_within_what_there_can_be(curves: list[list[int]], share: float) -> None:
    cells = _cells(curves)
    cuts, found = cuts_of(cells, share), _intervals(cells, share)
    assert found.curves.tolist() == cuts.curves.tolist()
    assert np.all((found.k_low >= 1) & (found.k_low <= cuts.k))
    assert np.all((found.k_high >= cuts.k) & (found.k_high <= cuts.users))
    assert np.all((found.threshold_low >= 1) & (found.threshold_low <= cuts.thresholds))
    assert np.all((found.threshold_high >= cuts.thresholds) & (found.threshold_high <= LARGEST))


@settings(max_examples=100)
@given(CURVES, st.integers(1, 10), st.randoms())
def test_neither_the_order_of_cells_nor_other_curves_nor_the_unit_matter(
    curves: list[list[int]], doublings: int, chance: random.Random
) -> None:
    found = _rows(_intervals(_cells(curves), SHARE))
    for values, expected in zip(curves, found, strict=True):
        shuffled = chance.sample(values, len(values))
        low, high, threshold_low, threshold_high = _rows(_intervals(_cells([shuffled]), SHARE))[0]
        assert (low, high, threshold_low) == expected[:3]
        assert threshold_high == pytest.approx(expected[3], rel=1e-9, abs=1)
        scaled = [value << doublings for value in shuffled]
        again = _rows(_intervals(_cells([scaled]), SHARE))[0]
        assert again[:3] == (low, high, threshold_low << doublings)
        assert again[3] == pytest.approx(threshold_high << doublings, rel=1e-9, abs=1 << doublings)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([7], (1, 1, 7, 7_000), id="one user says nothing about others"),
        pytest.param([3] * 1000, (800, 800, 3, 3), id="all the same"),
        pytest.param([LARGEST // 4, 1], (1, 1, LARGEST // 4, LARGEST), id="one user has it all"),
    ],
)
def test_the_interval_of_a_corner(values: list[int], expected: Interval) -> None:
    assert _rows(_intervals(_cells([values]), SHARE)) == [expected]


def test_a_curve_in_bins_has_nearly_the_interval_of_one_that_is_exact() -> None:
    values = np.rint(np.random.default_rng(5).lognormal(9.0, 1.949, 100_000)).astype(np.int64) + 1
    curve = np.zeros_like(values)
    exact = _intervals(merge(Cells(curve, values, np.ones_like(values), values)), SHARE)
    rough = cuts_of(merge(cells_of(curve, values, np.array([NO_BIN]))), SHARE)
    binned = _intervals(merge(cells_of(curve, values, bins_of(rough.thresholds))), SHARE)
    assert _rows(binned)[0][:2] == pytest.approx(_rows(exact)[0][:2], rel=0.002)
    assert _rows(binned)[0][2:] == pytest.approx(_rows(exact)[0][2:], rel=0.032)


def test_the_interval_narrows_with_the_root_of_the_users() -> None:
    """By about 1.96 standard errors on each side, where users are many and tails are light."""
    values = of.log_normal(1.0).values(np.random.default_rng(1), 1, 1_000_000)
    widths = widths_of(_statistics(cells_of_samples(values), SHARE))
    assert [float(width[0]) for width in widths] == pytest.approx([1.96] * 4, rel=0.06)


@pytest.mark.parametrize("users", [20, 100, 1000])
@pytest.mark.parametrize(
    ("true", "least_k", "least_threshold"),
    [
        pytest.param(of.log_normal(1.0), 0.945, 0.94, id="log-normal 1"),
        pytest.param(of.log_normal(1.949), 0.95, 0.95, id="log-normal 1.949"),
        pytest.param(of.log_normal(2.38), 0.95, 0.95, id="log-normal 2.38"),
        pytest.param(of.log_normal(2.8), 0.93, 0.925, id="log-normal 2.8"),
        pytest.param(of.pareto(1.16), 0.915, 0.93, id="Pareto 1.16"),
        pytest.param(of.pareto(1.5), 0.95, 0.95, id="Pareto 1.5"),
        pytest.param(of.lomax(2.0), 0.95, 0.95, id="Lomax 2"),
    ],
)
def test_the_truth_is_inside(true: Population, least_k: float, least_threshold: float, users: int) -> None:
    """Of about 95 of 100 samples; `python -m tests.tools.intervals.coverage` has the whole table."""
    found = coverage(true, users, 1500 if users < 1000 else 700, np.random.default_rng(users))
    assert found.k > least_k
    assert found.threshold > least_threshold
