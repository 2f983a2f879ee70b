"""Dense numbers for sparse ones."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.state.renumbering import distinct, renumbered

CLOSE = st.integers(1_600_000, 1_600_400)
ANYWHERE = st.integers(-(2**62), 2**62)


@given(st.lists(CLOSE) | st.lists(ANYWHERE) | st.lists(CLOSE | ANYWHERE))
def test_each_value_has_its_place_among_the_distinct_ones(values: list[int]) -> None:
    found, places = distinct(np.array(values, np.int64))
    assert found.tolist() == sorted(set(values))
    assert [found[place] for place in places] == values


@given(st.sets(st.integers(0, 50)))
def test_numbers_in_use_get_new_ones_in_their_order(used: set[int]) -> None:
    kept, new = renumbered(np.array([*used, *used], np.int64), 51)
    assert kept.tolist() == sorted(used)
    assert new[kept].tolist() == list(range(len(used)))
