"""The keys of the funnel: the order of events of one time, and hashes that are not the same under another secret."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.funnel.funnel_keys import FunnelKeys, event_orders, mixed
from stream_app.core.state.scopes import ScopeName

NUMBERS = st.integers(0, 10**19 - 1).map(str) | st.text("0123456789", min_size=1, max_size=19)
IDS = NUMBERS | st.text(max_size=12)


@given(st.lists(NUMBERS, unique=True, min_size=2))
def test_ids_that_are_numbers_come_in_the_order_of_their_text(ids: list[str]) -> None:
    short = [number for number in ids if len(number) <= 17]
    assert sorted(short, key=_order) == sorted(short)
    for digits in (18, 19):
        long = [number for number in ids if len(number) == digits and number[0] != "0"]
        assert sorted(long, key=_order) == sorted(long)


@given(st.lists(IDS, unique=True))
def test_no_two_ids_have_the_same_order(ids: list[str]) -> None:
    assert len({*event_orders(ids).tolist()}) == len(ids)


def test_the_order_of_other_ids_begins_with_their_text() -> None:
    ids = ["zed", "17", "abc-2", "abb-9", "abc", ""]
    assert sorted(ids, key=_order)[:4] == ["17", "", "abb-9", "abc"]


def test_a_secret_changes_every_hash() -> None:
    first, second = FunnelKeys(1), FunnelKeys(2)
    names = ["ann", "bob"]
    assert not {*first.persons(names).tolist()} & {*second.persons(names).tolist()}
    assert not {*first.persons(names).tolist()} & {*first.posts(names).tolist()}


def test_names_of_scopes_cannot_be_read_in_two_ways() -> None:
    names = [ScopeName("a", "b"), ScopeName("ab", ""), ScopeName("a\0b", "c"), ScopeName("a", "\0bc")]
    assert len({*FunnelKeys(1).scopes(names).tolist()}) == len(names)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), unique=True, min_size=1))
def test_pairs_of_hashes_do_not_collide(pairs: list[tuple[int, int]]) -> None:
    hashes, others = np.array(pairs, np.uint64).T
    assert len({*mixed(hashes, others).tolist()}) == len(pairs)


def _order(event_id: str) -> int:
    return int(event_orders([event_id])[0])
