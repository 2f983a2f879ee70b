"""The numbered rules of standings, one by one and in sequence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.flags.ranking import NEARLY_RANKED, RANKED, UNRANKED
from stream_app.core.flags.standing import (
    CODE_OF,
    EMERGING,
    ENTERED,
    FADING,
    NONE,
    RULES,
    TYPE_OF,
    Facts,
    decide,
)
from tests.unit.core.flags.people import FLOOR, LONG_AGO_S, NOW_S, RISING, SOON, R, User, facts_of


def _decide(user: User, now_s: int = NOW_S) -> tuple[int, int, int]:
    """Standing, rule and since when it is not met."""
    decided = decide(facts_of(user), R, FLOOR, now_s)
    return int(decided.standing[0]), int(decided.rule[0]), int(decided.below_since_s[0])


CASES = {
    # Rule 1: over θ
    "1 over θ": (User(NONE, value=101), ENTERED, 1),
    "1 over θ after emerging": (User(EMERGING, value=101), ENTERED, 1),
    "1 alone at θ": (User(NONE, value=100), ENTERED, 1),
    "1 over θ where others tie": (User(NONE, value=101, ties=3), ENTERED, 1),
    "1 goes before 3": (RISING._replace(value=101), ENTERED, 1),
    "1 goes before 6": (User(EMERGING, value=101, below_since_s=LONG_AGO_S), ENTERED, 1),
    "1 not under θ": (User(NONE, value=89), NONE, 0),
    "1 not on a tie after emerging": (User(EMERGING, value=100, ties=2), EMERGING, 0),
    "1 not in a scope that is not ranked": (User(NONE, value=101, ranking=UNRANKED), NONE, 0),
    "1 not on too little evidence": (User(NONE, value=4, threshold=3), NONE, 0),
    "1 at the floor": (User(NONE, value=5, threshold=3), ENTERED, 1),
    # Rule 2: over θ again
    "2 over θ again": (User(FADING, value=101, below_since_s=NOW_S - 60), ENTERED, 2),
    "2 over θ again at the last moment": (User(FADING, value=101, below_since_s=LONG_AGO_S), ENTERED, 2),
    "2 not between ρ·θ and θ": (User(FADING, value=90, below_since_s=LONG_AGO_S), FADING, 0),
    "2 not on a tie": (User(FADING, value=100, ties=2), FADING, 0),
    # Rule 7: at the door
    "7 at the door": (User(NONE, value=90), EMERGING, 7),
    "7 on a tie at θ": (User(NONE, value=100, ties=2), EMERGING, 7),
    "7 whatever the pace": (User(NONE, value=90, z=-9.0, moments=0.0), EMERGING, 7),
    "7 not on a tie of many": (User(NONE, value=100, ties=20), NONE, 0),
    "7 not before it": (User(NONE, value=89), NONE, 0),
    "7 not on too little evidence": (User(NONE, value=4, threshold=4, ties=2), NONE, 0),
    "7 not in a scope that is not ranked": (User(NONE, value=95, ranking=NEARLY_RANKED), NONE, 0),
    "7 not when entered already": (User(ENTERED, value=95), ENTERED, 0),
    # Rule 3: accelerating, on course to θ
    "3 accelerating": (RISING, EMERGING, 3),
    "3 accelerating from a tenth of θ": (RISING._replace(value=10), EMERGING, 3),
    "3 soon there from six tenths of θ": (SOON, EMERGING, 3),
    "3 not clear enough": (RISING._replace(z=2.99), NONE, 0),
    "3 not carried by enough moments": (RISING._replace(moments=4.99), NONE, 0),
    "3 not within the horizon": (RISING._replace(eta_s=14_401.0), NONE, 0),
    "3 not on course at all": (RISING._replace(eta_s=np.inf), NONE, 0),
    "3 not below a tenth of θ": (RISING._replace(value=9), NONE, 0),
    "3 not soon": (SOON._replace(eta_s=3_601.0), NONE, 0),
    "3 not soon from further away": (SOON._replace(value=59), NONE, 0),
    "3 not on too little evidence": (RISING._replace(value=4, threshold=10), NONE, 0),
    "3 not in a scope that is not ranked": (RISING._replace(ranking=NEARLY_RANKED), NONE, 0),
    "3 not when entered already": (RISING._replace(standing=ENTERED, value=85), ENTERED, 0),
    "3 not when fading": (RISING._replace(standing=FADING, value=85), FADING, 0),
    # Rule 8: over θ of a scope that is nearly ranked
    "8 over θ of a scope that is nearly ranked": (User(value=101, ranking=NEARLY_RANKED), EMERGING, 8),
    "8 not under θ": (User(value=99, ranking=NEARLY_RANKED), NONE, 0),
    "8 not on too little evidence": (User(value=4, threshold=3, ranking=NEARLY_RANKED), NONE, 0),
    "8 not in a scope that is not": (User(value=101, ranking=UNRANKED), NONE, 0),
    # Rule 4: under ρ·θ for the dwell time
    "4 under ρ·θ for the dwell time": (User(ENTERED, value=79, below_since_s=LONG_AGO_S), FADING, 4),
    "4 at half of θ": (User(ENTERED, value=50, below_since_s=LONG_AGO_S), FADING, 4),
    "4 not before": (User(ENTERED, value=79, below_since_s=LONG_AGO_S + 1), ENTERED, 0),
    "4 not at once": (User(ENTERED, value=79), ENTERED, 0),
    "4 not at ρ·θ": (User(ENTERED, value=80, below_since_s=LONG_AGO_S), ENTERED, 0),
    "4 not on a tie at θ": (User(ENTERED, value=100, ties=9, below_since_s=LONG_AGO_S), ENTERED, 0),
    # Rule 9: far under it for the dwell time
    "9 far under it for the dwell time": (User(ENTERED, value=49, below_since_s=LONG_AGO_S), NONE, 9),
    "9 the scope is not ranked any more": (
        User(ENTERED, value=200, ranking=NEARLY_RANKED, below_since_s=LONG_AGO_S),
        NONE,
        9,
    ),
    "9 under the floor": (User(ENTERED, value=4, threshold=3, below_since_s=LONG_AGO_S), NONE, 9),
    "9 not before": (User(ENTERED, value=49, below_since_s=LONG_AGO_S + 1), ENTERED, 0),
    # Rule 5: far under it after fading
    "5 far under it": (User(FADING, value=49, below_since_s=LONG_AGO_S), NONE, 5),
    "5 the scope is not ranked any more": (User(FADING, value=90, ranking=UNRANKED), NONE, 5),
    "5 not at half of θ": (User(FADING, value=50, below_since_s=LONG_AGO_S), FADING, 0),
    # Rule 6: no longer rising, for the dwell time
    "6 no longer rising": (User(EMERGING, below_since_s=LONG_AGO_S), NONE, 6),
    "6 not before": (User(EMERGING, below_since_s=LONG_AGO_S + 1), EMERGING, 0),
    "6 not while accelerating": (RISING._replace(standing=EMERGING, below_since_s=LONG_AGO_S), EMERGING, 0),
    "6 not near θ": (User(EMERGING, value=80, below_since_s=LONG_AGO_S), EMERGING, 0),
    "6 not near θ of a scope that is nearly ranked": (
        User(EMERGING, value=80, ranking=NEARLY_RANKED, below_since_s=LONG_AGO_S),
        EMERGING,
        0,
    ),
    "6 in a scope that is not ranked": (
        RISING._replace(standing=EMERGING, value=95, ranking=UNRANKED, below_since_s=1),
        NONE,
        6,
    ),
}


@pytest.mark.parametrize(("user", "standing", "rule"), CASES.values(), ids=CASES)
def test_the_rule_that_fits_decides(user: User, standing: int, rule: int) -> None:
    assert _decide(user)[:2] == (standing, rule)


def test_every_rule_has_cases_that_fit_and_cases_that_do_not() -> None:
    for rule in RULES:
        named = {name: decided for name, (_, _, decided) in CASES.items() if name.startswith(f"{rule.number} ")}
        assert rule.number in named.values()
        assert 0 in named.values()


@pytest.mark.parametrize(
    ("user", "since"),
    [
        pytest.param(User(ENTERED, value=79), NOW_S, id="begins when a standing is first not met"),
        pytest.param(User(FADING, value=79, below_since_s=NOW_S - 5), NOW_S - 5, id="goes on while it is not met"),
        pytest.param(User(FADING, value=85, below_since_s=NOW_S - 5), 0, id="begins anew once it was met"),
        pytest.param(User(EMERGING), NOW_S, id="begins when nothing accelerates"),
        pytest.param(
            RISING._replace(standing=EMERGING, below_since_s=NOW_S - 5), 0, id="ends when it accelerates again"
        ),
        pytest.param(User(FADING, value=9, below_since_s=LONG_AGO_S), 0, id="is forgotten with the standing"),
        pytest.param(User(NONE), 0, id="is not for those without a standing"),
        pytest.param(User(ENTERED, value=150), 0, id="is not for those who meet it"),
    ],
)
def test_the_time_below_the_threshold_is_counted(user: User, since: int) -> None:
    assert _decide(user)[2] == since


def _follow(users: list[User], step_s: int = 60) -> list[tuple[int, int]]:
    """(standing, rule) of each change, for one user observed every `step_s`."""
    standing, since, changes = NONE, 0, []
    for number, user in enumerate(users):
        now = user._replace(standing=standing, below_since_s=since)
        standing, rule, since = _decide(now, NOW_S + number * step_s)
        if rule:
            changes.append((standing, rule))
    return changes


def test_a_value_that_swings_around_the_cut_raises_one_flag() -> None:
    assert _follow([User(value=value) for _ in range(200) for value in (110, 85)]) == [(ENTERED, 1)]


def test_a_standing_goes_from_emerging_over_entered_and_fading_to_none() -> None:
    rising = [RISING._replace(value=value) for value in (8, 20, 60, 99)]
    fallen = [User(value=60)] * 20
    gone = [User(value=40)] * 2
    assert _follow([*rising, *[User(value=120)] * 5, *fallen, *gone]) == [
        (EMERGING, 3),
        (ENTERED, 1),
        (FADING, 4),
        (NONE, 5),
    ]


def test_who_falls_far_leaves_without_fading() -> None:
    assert _follow([User(value=120), *[User(value=40)] * 20]) == [(ENTERED, 1), (NONE, 9)]


def test_a_short_dip_does_not_end_a_standing() -> None:
    dip = [User(value=60)] * 14
    assert _follow([User(value=120), *dip, User(value=90), *dip, User(value=120)]) == [(ENTERED, 1)]


def test_who_fades_can_come_back() -> None:
    assert _follow([User(value=120), *[User(value=60)] * 20, User(value=120)]) == [
        (ENTERED, 1),
        (FADING, 4),
        (ENTERED, 2),
    ]


FACTS = st.builds(
    User,
    value=st.integers(0, 200),
    threshold=st.sampled_from([0, 3, 100]),
    ties=st.integers(1, 3),
    ranking=st.sampled_from([RANKED, RANKED, RANKED, NEARLY_RANKED, UNRANKED]),
    z=st.sampled_from([0.0, 2.5, 5.0]),
    moments=st.sampled_from([1.0, 9.0]),
    eta_s=st.sampled_from([np.inf, 600.0]),
)


@settings(max_examples=50)
@given(st.lists(FACTS, max_size=30), st.sampled_from([60, 400, 1000]))
def test_flags_alternate_and_nobody_leaves_before_the_dwell_time(users: list[User], step_s: int) -> None:
    standing, since, changed_s = NONE, 0, NOW_S
    may_follow = {
        NONE: {EMERGING, ENTERED},
        EMERGING: {ENTERED, NONE},
        ENTERED: {FADING, NONE},
        FADING: {ENTERED, NONE},
    }
    for number, user in enumerate(users):
        now_s = NOW_S + number * step_s
        after, rule, since = _decide(user._replace(standing=standing, below_since_s=since), now_s)
        assert (after == standing) == (rule == 0)
        if rule:
            assert after in may_follow[standing]
            assert after != NONE or standing == FADING or now_s - changed_s >= R.dwell_s
            standing, changed_s = after, now_s


def test_rules_decide_for_each_user_alone() -> None:
    users = [user for user, _, _ in CASES.values()]
    columns = [np.array(column) for column in zip(*users, strict=True)]
    facts = Facts(*columns)._replace(standing=np.array([user.standing for user in users], np.uint8))
    decided = decide(facts, R, FLOOR, NOW_S)
    assert decided.standing.tolist() == [standing for _, standing, _ in CASES.values()]
    assert decided.rule.tolist() == [rule for _, _, rule in CASES.values()]


def test_every_standing_has_a_flag_and_back() -> None:
    assert {CODE_OF[flag] for flag in TYPE_OF.values()} == {NONE, EMERGING, ENTERED, FADING}
