"""The numbered rules of standings, one by one and in sequence."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.flags.standing import (
    CODE_OF,
    EMERGING,
    ENTERED,
    FADING,
    NONE,
    RULES,
    TYPE_OF,
    Facts,
    StandingRules,
    decide,
)

R = StandingRules()
FLOOR = 5
NOW_S = 1_475_280_000
LONG_AGO_S = NOW_S - round(R.dwell_s)


class User(NamedTuple):
    """The facts about one user; by default far below θ, and nothing is happening."""

    standing: int = NONE
    value: int = 50
    threshold: int = 100
    ties: int = 1
    eligible: bool = True
    z: float = 0.0
    events: float = 10.0
    eta_s: float = np.inf
    below_since_s: int = 0


RISING = User(z=4.0, events=5.0, eta_s=43_200.0)


def _decide(user: User, now_s: int = NOW_S) -> tuple[int, int, int]:
    """Standing, rule and since when it is not met."""
    facts = Facts(
        standing=np.array([user.standing], np.uint8),
        value=np.array([user.value]),
        threshold=np.array([user.threshold]),
        ties=np.array([user.ties]),
        eligible=np.array([user.eligible]),
        z=np.array([user.z]),
        events=np.array([user.events]),
        eta_s=np.array([user.eta_s]),
        below_since_s=np.array([user.below_since_s]),
    )
    decided = decide(facts, R, FLOOR, now_s)
    return int(decided.standing[0]), int(decided.rule[0]), int(decided.below_since_s[0])


CASES = {
    # Rule 1: over θ
    "1 over θ": (User(NONE, value=101), ENTERED, 1),
    "1 over θ after emerging": (User(EMERGING, value=101), ENTERED, 1),
    "1 alone at θ": (User(NONE, value=100), ENTERED, 1),
    "1 over θ where others tie": (User(NONE, value=101, ties=3), ENTERED, 1),
    "1 goes before 3": (RISING._replace(value=101), ENTERED, 1),
    "1 goes before 6": (User(EMERGING, value=101, below_since_s=LONG_AGO_S), ENTERED, 1),
    "1 not under θ": (User(NONE, value=99), NONE, 0),
    "1 not on a tie": (User(NONE, value=100, ties=2), NONE, 0),
    "1 not on a tie after emerging": (User(EMERGING, value=100, ties=2), EMERGING, 0),
    "1 not in a diffuse or small scope": (User(NONE, value=101, eligible=False), NONE, 0),
    "1 not on too little evidence": (User(NONE, value=4, threshold=3), NONE, 0),
    "1 at the floor": (User(NONE, value=5, threshold=3), ENTERED, 1),
    "1 not without a cut": (User(NONE, value=101, threshold=0), NONE, 0),
    # Rule 2: over θ again
    "2 over θ again": (User(FADING, value=101, below_since_s=NOW_S - 60), ENTERED, 2),
    "2 over θ again at the last moment": (User(FADING, value=101, below_since_s=LONG_AGO_S), ENTERED, 2),
    "2 not between ρ·θ and θ": (User(FADING, value=90, below_since_s=LONG_AGO_S), FADING, 0),
    "2 not on a tie": (User(FADING, value=100, ties=2), FADING, 0),
    # Rule 3: accelerating, on course to θ
    "3 accelerating": (RISING, EMERGING, 3),
    "3 accelerating from a tenth of θ": (RISING._replace(value=10), EMERGING, 3),
    "3 not clear enough": (RISING._replace(z=3.99), NONE, 0),
    "3 not carried by enough events": (RISING._replace(events=4.99), NONE, 0),
    "3 not within the horizon": (RISING._replace(eta_s=43_201.0), NONE, 0),
    "3 not on course at all": (RISING._replace(eta_s=np.inf), NONE, 0),
    "3 not below a tenth of θ": (RISING._replace(value=9), NONE, 0),
    "3 not on too little evidence": (RISING._replace(value=4, threshold=10), NONE, 0),
    "3 not in a diffuse or small scope": (RISING._replace(eligible=False), NONE, 0),
    "3 not when entered already": (RISING._replace(standing=ENTERED, value=90), ENTERED, 0),
    "3 not when fading": (RISING._replace(standing=FADING, value=90), FADING, 0),
    # Rule 4: under ρ·θ
    "4 under ρ·θ": (User(ENTERED, value=79), FADING, 4),
    "4 not at ρ·θ": (User(ENTERED, value=80), ENTERED, 0),
    "4 not on a tie at θ": (User(ENTERED, value=100, ties=9), ENTERED, 0),
    "4 the scope has become diffuse": (User(ENTERED, value=200, eligible=False), FADING, 4),
    "4 under the floor": (User(ENTERED, value=4, threshold=3), FADING, 4),
    # Rule 5: under ρ·θ for the dwell time
    "5 under ρ·θ for the dwell time": (User(FADING, value=79, below_since_s=LONG_AGO_S), NONE, 5),
    "5 not before": (User(FADING, value=79, below_since_s=LONG_AGO_S + 1), FADING, 0),
    "5 not when near θ again": (User(FADING, value=80, below_since_s=LONG_AGO_S), FADING, 0),
    "5 not at once": (User(FADING, value=0, below_since_s=0), FADING, 0),
    # Rule 6: no longer accelerating, for the dwell time
    "6 no longer accelerating": (User(EMERGING, z=1.99, below_since_s=LONG_AGO_S), NONE, 6),
    "6 not before": (User(EMERGING, z=1.99, below_since_s=LONG_AGO_S + 1), EMERGING, 0),
    "6 not while half as clear": (User(EMERGING, z=2.0, below_since_s=LONG_AGO_S), EMERGING, 0),
    "6 not near θ": (User(EMERGING, value=80, below_since_s=LONG_AGO_S), EMERGING, 0),
    "6 in a scope that has become diffuse": (
        RISING._replace(standing=EMERGING, eligible=False, below_since_s=1),
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
        pytest.param(User(EMERGING, z=2.5, below_since_s=NOW_S - 5), 0, id="ends when it accelerates again"),
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
    assert _follow([*rising, *[User(value=120)] * 5, *fallen]) == [(EMERGING, 3), (ENTERED, 1), (FADING, 4), (NONE, 5)]


def test_a_short_dip_does_not_end_a_standing() -> None:
    dip = [User(value=60)] * 14
    assert _follow([User(value=120), *dip, User(value=90), *dip, User(value=120)]) == [
        (ENTERED, 1),
        (FADING, 4),
        (ENTERED, 2),
    ]


FACTS = st.builds(
    User,
    value=st.integers(0, 200),
    threshold=st.sampled_from([0, 3, 100]),
    ties=st.integers(1, 3),
    eligible=st.sampled_from([True, True, True, False]),
    z=st.sampled_from([0.0, 2.5, 5.0]),
    events=st.sampled_from([1.0, 9.0]),
    eta_s=st.sampled_from([np.inf, 600.0]),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(FACTS, max_size=30), st.sampled_from([60, 400, 1000]))
def test_flags_alternate_and_nobody_leaves_before_the_dwell_time(users: list[User], step_s: int) -> None:
    standing, since, changed_s = NONE, 0, NOW_S
    may_follow = {NONE: {EMERGING, ENTERED}, EMERGING: {ENTERED, NONE}, ENTERED: {FADING}, FADING: {ENTERED, NONE}}
    for number, user in enumerate(users):
        now_s = NOW_S + number * step_s
        after, rule, since = _decide(user._replace(standing=standing, below_since_s=since), now_s)
        assert (after == standing) == (rule == 0)
        if rule:
            assert after in may_follow[standing]
            assert after != NONE or now_s - changed_s >= R.dwell_s
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
