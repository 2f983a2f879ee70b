"""The hash index against a dict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_app.core.dedup import hash_index
from stream_app.core.dedup.hash_index import MOST_ROUNDS, HashIndex

# Few small keys make repeats likely, a stride of a power of two makes home slots collide, the rest is the full range.
KEYS = st.one_of(st.integers(-3, 3), st.integers(0, 50).map(lambda n: n << 40), st.integers(-(2**63), 2**63 - 1))
BATCHES = st.lists(st.lists(KEYS, max_size=60), max_size=8)


def _keys(keys: list[int]) -> NDArray[np.int64]:
    return np.array(keys, np.int64)


@settings(max_examples=50)
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


@settings(max_examples=50)
@given(BATCHES, st.lists(KEYS, max_size=30))
def test_find_knows_what_was_added_and_nothing_else(batches: list[list[int]], others: list[int]) -> None:
    index, model = HashIndex(), dict[int, int]()
    for batch in batches:
        model.update(zip(batch, index.add(_keys(batch)).tolist(), strict=True))
    asked = [*others, *model]
    assert index.find(_keys(asked)).tolist() == [model.get(key, -1) for key in asked]


@settings(max_examples=40)
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


def test_an_index_from_which_all_keys_were_dropped_knows_none() -> None:
    index = HashIndex(_keys([]))
    assert index.find(_keys([5, -5])).tolist() == [-1, -1]
    assert index.add(_keys([5])).tolist() == [0]


ATTACK = 120_000


def _keys_of_one_slot() -> NDArray[np.int64]:
    """Keys that all begin at one slot under the constant mix of releases up to 0.2."""
    golden_inverse = pow(0x9E3779B97F4A7C15, -1, 1 << 64)
    mixes = np.arange(1, ATTACK + 1, dtype=np.uint64)
    return (mixes * np.uint64(golden_inverse)).view(np.int64)


def _keys_of_one_slot_of(index: HashIndex) -> NDArray[np.int64]:
    """The same by somebody who knows the salt: the mix undone."""
    first, second = (np.uint64(pow(int(factor), -1, 1 << 64)) for factor in (index._first, index._second))
    mixed = np.arange(1, ATTACK + 1, dtype=np.uint64) * second
    mixed ^= mixed >> np.uint64(32)
    return (mixed * first).view(np.int64)


def test_keys_made_to_collide_without_the_salt_cost_what_random_keys_cost() -> None:
    random_keys = np.random.default_rng(3).integers(-(2**63), 2**63 - 1, ATTACK)
    cost = []
    for keys in (random_keys, _keys_of_one_slot()):
        index = HashIndex()
        for part in np.array_split(keys, 60):
            index.add(part)
        assert (index.find(keys) == np.arange(ATTACK)).all()
        restored = HashIndex(keys)
        assert (index.rebuilds, restored.rebuilds) == (0, 0)
        cost.append(index.probes + restored.probes)
    assert cost[1] < 1.5 * cost[0]


def test_keys_that_collide_under_the_salt_cost_a_few_rebuilds_and_not_a_round_each() -> None:
    keys = _keys_of_one_slot_of(HashIndex())
    index = HashIndex()
    for part in np.array_split(keys, 60):
        index.add(part)
    assert (index.find(keys) == np.arange(ATTACK)).all()
    restored = HashIndex(keys)
    assert (restored.find(keys) == np.arange(ATTACK)).all()
    assert 1 <= index.rebuilds <= 3
    assert restored.rebuilds == 1
    # A round for each key would be 120,000² / 2 = 7,200,000,000 probes.
    assert index.probes < 200 * ATTACK
    assert restored.probes < 200 * ATTACK


def test_keys_that_collide_under_the_salt_get_their_rows_a_few_at_a_time_too() -> None:
    index = HashIndex()
    keys = _keys_of_one_slot_of(index)[: 4 * MOST_ROUNDS]
    rows = np.concatenate([index.add(np.tile(part, 2)) for part in keys.reshape(-1, 4)])
    assert (rows.reshape(-1, 2, 4) == np.arange(len(keys)).reshape(-1, 1, 4)).all()
    assert (index.find(keys) == np.arange(len(keys))).all()
    assert 1 <= index.rebuilds <= 3


def test_looking_up_keys_that_are_not_there_is_bounded_too() -> None:
    index = HashIndex()
    there, absent = np.array_split(_keys_of_one_slot_of(index), [100])
    index.add(there)
    assert (index.find(absent) == -1).all()
    assert (index.find(there) == np.arange(len(there))).all()
    assert index.probes < 3 * MOST_ROUNDS * ATTACK


def test_the_salt_changes_nothing_that_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = np.random.default_rng(4).integers(0, 500, 2000)
    found = []
    for salt in (1, 2):
        monkeypatch.setattr(hash_index, "_SALT", salt)
        found.append(HashIndex().add(keys).tolist())
    assert found[0] == found[1]
