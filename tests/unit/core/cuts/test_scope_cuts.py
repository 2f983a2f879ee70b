"""Scope cuts: their hashes are equal where the cuts are, and only there."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.cuts.scope_cuts import MOST_USERS, ScopeCuts
from stream_app.core.messages import ROLES

_FIELDS = ScopeCuts._fields


def cuts_of(values: dict[tuple[str, int, int], int]) -> ScopeCuts:
    """Cuts of four scopes with these values by column, role and scope."""
    cuts = ScopeCuts.empty(4)
    for (name, role, scope), value in values.items():
        column = getattr(cuts, name)
        column[role, scope] = value / 7 if column.dtype.kind == "f" else value
    return cuts


cuts = st.dictionaries(
    st.tuples(st.sampled_from(_FIELDS), st.integers(0, 1), st.integers(0, 3)), st.integers(0, 3), max_size=8
).map(cuts_of)


@given(cuts, cuts)
def test_hashes_are_equal_where_the_cuts_are(one: ScopeCuts, other: ScopeCuts) -> None:
    pairs: list[tuple[Any, Any]] = list(zip(one, other, strict=True))
    differs = np.logical_or.reduce([(a != b).any(axis=0) for a, b in pairs])
    assert (one.hashes() != other.hashes()).tolist() == differs.tolist()


def test_minus_zero_is_zero() -> None:
    cuts = ScopeCuts.empty(1)
    cuts.gini[:] = -0.0
    assert cuts.hashes() == ScopeCuts.empty(1).hashes()


def test_there_is_room_for_more_scopes_and_what_was_there_stays() -> None:
    cuts = ScopeCuts.empty(3)
    cuts.users[1, 2], cuts.exact[0, 1] = MOST_USERS, False
    wider = cuts.reaching(10)
    assert wider.users.shape == (len(ROLES), 10)
    assert wider.of(np.arange(3)).hashes().tolist() == cuts.hashes().tolist()
    assert wider.of(np.arange(3, 10)).hashes().tolist() == ScopeCuts.empty(7).hashes().tolist()
