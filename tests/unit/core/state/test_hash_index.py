"""The hash index against a dict."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_app.core.state.hash_index import HashIndex

# Few small keys make repeats likely, a stride of a power of two makes home slots collide, the rest is the full range.
KEYS = st.one_of(st.integers(-3, 3), st.integers(0, 50).map(lambda n: n << 40), st.integers(-(2**63), 2**63 - 1))
BATCHES = st.lists(st.lists(KEYS, max_size=60), max_size=8)


def _keys(keys: list[int]) -> NDArray[np.int64]:
    return np.array(keys, np.int64)


@settings(deadline=None, max_examples=50)
@given(BATCHES)
def test_a_key_gets_one_row_and_keeps_it(batches: list[list[int]]) -> None:
    index, model = HashIndex(), dict[int, int]()
    for batch in batches:
        before = len(model)
        rows = index.add(_keys(batch)).tolist()
        for key, row in zip(batch, rows, strict=True):
            assert model.setdefault(key, row) == row
        assert len(index) == len(model)
        assert sorted(set(model.values())) == list(range(len(model)))
        assert {row for row in rows if row >= before} == set(range(before, len(model)))
    assert index.keys.tolist() == sorted(model, key=model.__getitem__)


@settings(deadline=None, max_examples=50)
@given(BATCHES, st.lists(KEYS, max_size=30))
def test_find_knows_what_was_added_and_nothing_else(batches: list[list[int]], others: list[int]) -> None:
    index, model = HashIndex(), dict[int, int]()
    for batch in batches:
        model.update(zip(batch, index.add(_keys(batch)).tolist(), strict=True))
    asked = [*others, *model]
    assert index.find(_keys(asked)).tolist() == [model.get(key, -1) for key in asked]


@settings(deadline=None, max_examples=40)
@given(st.lists(KEYS, unique=True, max_size=200), st.lists(KEYS, max_size=60))
def test_an_index_of_given_keys_numbers_them_in_their_order_and_grows(given_keys: list[int], more: list[int]) -> None:
    kept = _keys(given_keys)
    index = HashIndex(kept)
    assert index.find(_keys(given_keys)).tolist() == list(range(len(given_keys)))
    new = set(more) - set(given_keys)
    index.add(_keys(more))
    assert len(index) == len(given_keys) + len(new)
    assert index.find(_keys(given_keys)).tolist() == list(range(len(given_keys)))
    assert kept.tolist() == given_keys


def test_the_index_holds_many_keys_that_hash_to_the_same_slots() -> None:
    keys = np.arange(50_000, dtype=np.int64) << 32
    index = HashIndex()
    rows = np.concatenate([index.add(part) for part in np.array_split(keys, 7)])
    assert sorted(rows.tolist()) == list(range(len(keys)))
    assert (index.find(keys) == rows).all()
    assert (index.find(keys + 1) == -1).all()
    assert index.nbytes < 40 * len(keys)
