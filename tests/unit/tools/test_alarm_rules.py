"""The tool that compares the tracker's rule with one-liners: alarms begin once, and limits fit the number asked for."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.alarm_rules import Moments, alarms_of, decayed, limited

DWELL_MS = 900_000
STEP_MS = 300_000


def moments(standings: list[int], steps: list[int], scores: list[float]) -> Moments:
    columns = (np.array(standings), np.array(steps) * STEP_MS, np.zeros(len(steps), np.int64))
    return Moments(*columns, np.array(scores), np.zeros(len(steps)), np.array(scores))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.booleans()), unique_by=lambda one: one[:2]))
def test_an_alarm_is_raised_again_only_after_the_dwell_time(seen: list[tuple[int, int, bool]]) -> None:
    seen.sort()
    found = alarms_of(moments(*zip(*seen, strict=True)) if seen else moments([], [], []), over(seen), DWELL_MS)  # type: ignore[arg-type]
    expected, last = [], dict[int, int]()
    for place, (standing, step, is_over) in enumerate(seen):
        if is_over:
            if standing not in last or (step - last[standing]) * STEP_MS > DWELL_MS:
                expected.append(place)
            last[standing] = step
    assert found.tolist() == expected


def over(seen: list[tuple[int, int, bool]]) -> np.ndarray:
    return np.array([is_over for _, _, is_over in seen], np.bool_)


def test_limits_are_those_with_about_as_many_alarms() -> None:
    scores = [float(number) for number in range(100)]
    seen = moments([*range(100)], [0] * 100, scores)
    counts = {len(alarms) for alarms in limited(seen, np.array(scores), 10, DWELL_MS)}
    assert counts == {8, 9, 10, 11, 12}
    (nearest,) = limited(seen, np.ones(100), 10, DWELL_MS)
    assert len(nearest) == 100
    assert limited(seen, np.array(scores), 0, DWELL_MS) == []


def test_a_trend_loses_half_of_its_height_in_four_hours() -> None:
    hour = 12
    found = decayed(moments([0, 1, 0, 0], [0, 0, 4 * hour, 8 * hour], [8.0, 1.0, 0.0, 5.0]))
    assert found.tolist() == [8.0, 1.0, 4.0, 5.0]
