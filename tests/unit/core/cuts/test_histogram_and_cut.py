"""Curves and cuts against sorting, for small scopes and for large ones after one more round."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_app.core.cuts import histogram as curve_module
from stream_app.core.cuts.cut import CurveCuts, cuts_of, merge, users_above
from stream_app.core.cuts.histogram import NO_BIN, Cells, bin_floors, bins_of, cells_of
from tests.naive import NaiveCut, naive_cut

Ints = NDArray[np.int64]
SHARES = [0.5, 0.8, 0.95]
VALUES = st.one_of(st.integers(0, 9), st.integers(0, 400), st.integers(0, 10**13))
USERS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), VALUES), max_size=60)
"""(curve, partition, value) of each user."""
CURVES = 4


def _cells(partitions: Sequence[tuple[Ints, Ints]], exact_bins: Ints) -> Cells:
    parts = [cells_of(curves, values, exact_bins) for curves, values in partitions]
    return merge(Cells(*(np.concatenate(columns) for columns in zip(*parts, strict=True))))


def _partitions(users: Sequence[tuple[int, int, int]]) -> list[tuple[Ints, Ints]]:
    chosen = [[(curve, value) for curve, part, value in users if part == partition] for partition in range(3)]
    columns = [np.array(rows, np.int64).reshape(-1, 2).T for rows in chosen]
    return [(curves, values) for curves, values in columns]


def _theta_bins(cuts: CurveCuts, curves: int) -> Ints:
    bins = np.full(curves, NO_BIN)
    bins[cuts.curves] = bins_of(cuts.thresholds)
    return bins


def _as_naive(cuts: CurveCuts, place: int) -> NaiveCut:
    return NaiveCut(
        users=int(cuts.users[place]),
        total=int(cuts.totals[place]),
        k=int(cuts.k[place]),
        threshold=int(cuts.thresholds[place]),
        ties=int(cuts.ties[place]),
        coverage=float(cuts.coverage[place]),
        gini=float(cuts.gini[place]),
    )


def _assert_equal(cuts: CurveCuts, expected: dict[int, NaiveCut]) -> None:
    assert cuts.curves.tolist() == sorted(expected)
    for place, curve in enumerate(cuts.curves.tolist()):
        found, wanted = _as_naive(cuts, place), expected[curve]
        assert found.coverage == pytest.approx(wanted.coverage)
        assert (found.users, found.total, found.k) == (wanted.users, wanted.total, wanted.k)
        assert (found.threshold, found.ties) == (wanted.threshold, wanted.ties)
    assert cuts.exact.all()


def _expected(users: Sequence[tuple[int, int, int]], share: float) -> dict[int, NaiveCut]:
    found = {curve: naive_cut([v for number, _, v in users if number == curve], share) for curve in range(CURVES)}
    return {curve: cut for curve, cut in found.items() if cut is not None}


@settings(max_examples=70)
@given(USERS, st.sampled_from(SHARES))
def test_the_cut_of_a_small_scope_is_exact_however_it_is_spread(
    users: list[tuple[int, int, int]], share: float
) -> None:
    expected = _expected(users, share)
    cuts = cuts_of(_cells(_partitions(users), np.full(CURVES, NO_BIN)), share) if expected else None
    if cuts is None:
        return
    _assert_equal(cuts, expected)
    for place, curve in enumerate(cuts.curves.tolist()):
        assert float(cuts.gini[place]) == pytest.approx(expected[curve].gini, abs=1e-9)


@settings(max_examples=70)
@given(USERS, st.sampled_from(SHARES))
def test_the_cut_of_a_binned_scope_is_exact_after_one_more_round(
    users: list[tuple[int, int, int]], share: float
) -> None:
    """With hardly any user kept exact, and with partitions of which some are and some are not."""
    expected = _expected(users, share)
    if not expected:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve_module, "EXACT_USERS", 2)
        partitions = _partitions(users)
        rough = cuts_of(_cells(partitions, np.full(CURVES, NO_BIN)), share)
        assert rough.users.tolist() == [cut.users for cut in expected.values()]
        assert rough.totals.tolist() == [cut.total for cut in expected.values()]
        _assert_equal(cuts_of(_cells(partitions, _theta_bins(rough, CURVES)), share), expected)


@settings(max_examples=70)
@given(USERS, st.sampled_from(SHARES))
def test_a_cut_that_says_it_is_exact_is(users: list[tuple[int, int, int]], share: float) -> None:
    """A caller that relies on it asks for no other round."""
    expected = _expected(users, share)
    if not expected:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curve_module, "EXACT_USERS", 2)
        rough = cuts_of(_cells(_partitions(users), np.full(CURVES, NO_BIN)), share)
    for place in np.flatnonzero(rough.exact).tolist():
        found, wanted = _as_naive(rough, place), expected[int(rough.curves[place])]
        assert (found.k, found.threshold, found.ties) == (wanted.k, wanted.threshold, wanted.ties)


def test_a_partition_of_bins_beside_an_exact_one_makes_the_cut_inexact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact cell 6410 holds the cut only as long as nobody looks into the bin 6400–6655 of the other."""
    monkeypatch.setattr(curve_module, "EXACT_USERS", 1)
    partitions = [(np.zeros(1, np.int64), np.array([6410])), (np.zeros(3, np.int64), np.array([6500, 6400, 1]))]
    first = cuts_of(_cells(partitions, np.array([NO_BIN])), 0.3)
    assert not first.exact.any()
    second = cuts_of(_cells(partitions, _theta_bins(first, 1)), 0.3)
    assert (second.k.tolist(), second.thresholds.tolist(), second.exact.tolist()) == ([1], [6500], [True])


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("sigma", [1.949, 2.380])
def test_200_000_log_normal_users_have_an_exact_cut_after_one_more_round(sigma: float, share: float) -> None:
    values = np.rint(np.random.default_rng(7).lognormal(4, sigma, 200_000)).astype(np.int64)
    partitions = [(np.zeros(len(part), np.int64), part) for part in np.array_split(values, 8)]
    expected = naive_cut(values.tolist(), share)
    assert expected is not None
    rough_cells = _cells(partitions, np.array([NO_BIN]))
    rough = cuts_of(rough_cells, share)
    assert len(rough_cells.curves) < 8 * 1000
    assert not rough.exact[0]
    assert rough.k[0] == pytest.approx(expected.k, rel=0.005)
    assert rough.thresholds[0] == pytest.approx(expected.threshold, rel=0.032)
    fine = cuts_of(_cells(partitions, _theta_bins(rough, 1)), share)
    _assert_equal(fine, {0: expected})
    assert float(fine.gini[0]) == pytest.approx(expected.gini, abs=1e-3)


@pytest.mark.parametrize(
    ("values", "share", "k", "threshold", "ties"),
    [
        pytest.param([5], 0.8, 1, 5, 1, id="one user"),
        pytest.param([1] * 10, 0.8, 8, 1, 10, id="all the same"),
        pytest.param([8, 1, 1], 0.8, 1, 8, 1, id="just reached"),
        pytest.param([7, 2, 1], 0.8, 2, 2, 1, id="just missed"),
        pytest.param([4, 3, 3, 3], 0.5, 2, 3, 3, id="cut within a tie"),
        pytest.param([3, 0, 0], 0.95, 1, 3, 1, id="zeros are nobody"),
        pytest.param([10**15, 1], 0.5, 1, 10**15, 1, id="large numbers"),
        pytest.param([1, 1, 1], 0.3334, 2, 1, 3, id="no rounding down"),
    ],
)
def test_the_cut_of_a_few_users(values: list[int], share: float, k: int, threshold: int, ties: int) -> None:
    cuts = cuts_of(merge(cells_of(np.zeros(len(values), np.int64), np.array(values), np.array([NO_BIN]))), share)
    assert (cuts.k.tolist(), cuts.thresholds.tolist(), cuts.ties.tolist()) == ([k], [threshold], [ties])


@settings(max_examples=60)
@given(USERS, st.lists(st.tuples(st.integers(0, CURVES - 1), VALUES), max_size=10))
def test_the_users_above_a_value_are_counted(users: list[tuple[int, int, int]], asked: list[tuple[int, int]]) -> None:
    cells = _cells(_partitions(users), np.full(CURVES, NO_BIN))
    curves, values = np.array(asked, np.int64).reshape(-1, 2).T
    expected = [sum(number == curve and other > value for number, _, other in users) for curve, value in asked]
    assert users_above(cells, curves, values).tolist() == expected


def test_sums_near_the_limit_do_not_overflow() -> None:
    """A million users at the bound of what one event may hold, twice over."""
    values = np.full(1_000_000, 2 * 10**11)
    cuts = cuts_of(merge(cells_of(np.zeros(len(values), np.int64), values, np.array([NO_BIN]))), 0.8)
    assert (cuts.k.tolist(), cuts.totals.tolist()) == ([800_000], [2 * 10**17])
    assert float(cuts.gini[0]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("values", "gini"), [([7], 0.0), ([3, 3, 3], 0.0), ([1, 3], 0.25), ([1] * 99 + [10**9], 0.99)])
def test_gini_is_0_for_equals_and_near_1_for_one_who_has_all(values: list[int], gini: float) -> None:
    cuts = cuts_of(merge(cells_of(np.zeros(len(values), np.int64), np.array(values), np.array([NO_BIN]))), 0.8)
    assert float(cuts.gini[0]) == pytest.approx(gini, abs=1e-4)


@settings(max_examples=50)
@given(st.integers(1, 2**53))
def test_a_bin_begins_at_its_floor_and_is_narrow(value: int) -> None:
    (number,) = bins_of(np.array([value])).tolist()
    floor, after = bin_floors(np.array([number, number + 1])).tolist()
    assert floor <= value < max(after, floor + 1)
    assert bins_of(np.array([floor])).tolist() == [number]
    assert after - floor <= max(floor / 32 + 1, 1)
    assert value >= 64 or floor == value
