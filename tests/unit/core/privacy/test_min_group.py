"""The rule of the minimum group by itself: steps, powers of ten, curves, who may be named."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.messages import Cut, Role
from stream_app.core.privacy.min_group import CutSize, Disclosure, UnruledError, power_of_ten
from stream_app.serving.api.responses import Curve
from stream_app.serving.api.users.why_response import Contribution
from tests.board_samples import a_cut, a_flag

FIVE = Disclosure(5)
DAY_MS = 86_400_000


def cut_of(users: int, k: int = 1, total: int = 100) -> Cut:
    return msgspec.structs.replace(a_cut("phone"), users=users, k=k, total=total)


@given(users=st.integers(1, 4))
def test_of_fewer_people_nothing_is_said(users: int) -> None:
    assert FIVE.of(cut_of(users)) is None
    assert Disclosure().of(cut_of(users)) == cut_of(users)


@given(one=st.integers(5, 10**6), other=st.integers(5, 10**6), m=st.integers(2, 50))
def test_no_difference_of_two_numbers_of_people_is_of_fewer_than_the_minimum(one: int, other: int, m: int) -> None:
    difference = abs(Disclosure(m).people(one) - Disclosure(m).people(other))
    assert difference == 0 or difference >= m


@given(users=st.integers(5, 10_000), k=st.integers(1, 10_000), total=st.integers(1, 10**12))
def test_a_cut_is_said_in_steps_and_said_again_it_stays(users: int, k: int, total: int) -> None:
    said = FIVE.of(cut_of(users, min(k, users), total))
    assert said is not None
    assert (said.users % 5, said.k % 5, said.flagged % 5, said.emerging % 5) == (0, 0, 0, 0)
    assert 0 < said.k <= said.users <= users
    assert set(str(said.total)[1:]) <= {"0"}
    assert (str(said.total)[0], said.total <= total < 10 * said.total) == ("1", True)
    assert said.percent_of_users == 100 * said.k / said.users
    assert (said.exact, said.k_low, said.threshold_high) == (False, None, None)
    assert FIVE.of(said) == said


@given(st.floats(-1e12, 1e12))
def test_a_power_of_ten_stays_one(value: float) -> None:
    reached = power_of_ten(value)
    assert power_of_ten(reached) == reached
    assert abs(reached) <= abs(value) * 1.000001 or not value


@given(st.lists(st.integers(1, 1000), min_size=5, max_size=200))
def test_between_two_points_of_a_curve_are_as_many_people_as_the_minimum(values: list[int]) -> None:
    values.sort(reverse=True)
    users, total = len(values), sum(values)
    sums = np.cumsum([0, *values]) / total
    points = [(n / users, float(y)) for n, y in enumerate(sums)]
    cut = cut_of(users, 1, total)
    curve = Curve(topic="*", population="all", role=Role.MAVEN, cut=cut, points=points, with_evidence=7)
    said = FIVE.of(curve)
    assert said is not None
    steps = np.diff([x for x, _ in said.points]) * users
    assert (steps > 4.99).all()
    assert said.points[0] == (0.0, 0.0)
    assert said.points[-1] == (1.0, 1.0)
    assert said.with_evidence == 5
    assert FIVE.of(said) == said


def test_a_curve_of_too_few_has_no_points() -> None:
    cut = cut_of(4)
    curve = Curve(
        topic="t", population="all", role=Role.MAVEN, cut=cut, points=[(0.0, 0.0), (1.0, 1.0)], with_evidence=4
    )
    said = FIVE.of(curve)
    assert said is not None
    assert (said.cut, said.points, said.with_evidence) == (None, [], 0)


def test_evidence_says_the_day_and_leads_to_nobody() -> None:
    event = Contribution(
        ts=3 * DAY_MS + 4_711,
        kind="share",
        impressions=1234,
        topics=["a", "b"],
        post_id="p",
        author_id="bob",
        channel="c",
    )
    said = FIVE.of(event)
    assert said is not None
    assert (said.ts, said.impressions, said.topics) == (3 * DAY_MS, 1000, [])
    assert (said.post_id, said.author_id, said.channel) == (None, None, None)


def test_a_flag_says_powers_of_ten_and_a_step_of_the_rank() -> None:
    flag = msgspec.structs.replace(a_flag("ann", "phone"), value=4711, threshold=812, share=0.31, rank=8, eta_s=5000.0)
    said = FIVE.of(flag)
    assert said is not None
    assert (said.value, said.threshold, said.share, said.rank, said.eta_s) == (1000, 100, 0.1, 6, 1000.0)


def test_a_field_without_a_rule_is_not_said() -> None:
    class Salary(msgspec.Struct):
        salary: int

    with pytest.raises(UnruledError, match=r"Salary\.salary"):
        FIVE.of(Salary(1))
    assert Disclosure().of(Salary(1)) == Salary(1)


SIZES = st.builds(CutSize, st.integers(0, 60), st.integers(0, 60), st.integers(1, 9), st.integers(1, 3))


@given(size=SIZES, value=st.integers(0, 10), flagged=st.booleans())
def test_who_is_named_is_hidden_among_as_many_others(size: CutSize, value: int, *, flagged: bool) -> None:
    named = Disclosure(5).may_name(flagged, value, size)
    assert not named or (size.users - size.k >= 5 and (flagged or value >= size.threshold))
    assert Disclosure(5, "flagged").may_name(flagged, value, size) == (named and flagged)
    assert Disclosure(0, "flagged").may_name(flagged, value, size) == flagged
    assert Disclosure().may_name(flagged, value, size)
    assert not Disclosure(0, "off").may_name(flagged, value, size)
    assert not Disclosure(5, "off").may_name(flagged, value, size)


def test_columns_are_named_like_single_users() -> None:
    size = CutSize(*(np.array(column) for column in ((40, 40, 6), (3, 38, 2), (5, 5, 5), (1, 1, 1))))
    standings, values = np.array([False, True, False]), np.array([5, 9, 5])
    for individuals, expected in (("all", [True, False, False]), ("flagged", [False] * 3), ("off", [False] * 3)):
        rule = Disclosure(5, individuals)  # type: ignore[arg-type]
        assert rule.may_name(standings, values, size).tolist() == expected


def test_flags_of_other_settings_are_not_shown_where_anything_is_held_back() -> None:
    flag = a_flag("ann", "phone")
    assert Disclosure().shows(flag, "other")
    assert FIVE.shows(flag, flag.settings_version)
    assert not FIVE.shows(flag, "other")
    assert not Disclosure(0, "off").shows(flag, flag.settings_version)
