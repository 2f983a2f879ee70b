"""What makes an event the same one again."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from xxhash import xxh3_64_intdigest

from stream_app.core.events.credit import ViewRates, credit
from stream_app.core.events.identity import HashingPlan
from stream_app.core.events.schema import Event, Post, Share
from tests.naive import identity_of

KEY = 0x5EC2E7
# Texts of few characters, a separator and digits among them, make it likely that two run together to the same text.
IDS = st.one_of(st.text(st.sampled_from("a1\0"), min_size=1, max_size=4), st.integers(0, 12))
EVENTS = st.lists(st.tuples(IDS, IDS), min_size=1, max_size=40)


def _hashes(kind: type[Event], ids: list[tuple[int | str, int | str]], key: int = KEY) -> list[int]:
    events = [kind(event_id=event_id, ts=1, user_id=user) for user, event_id in ids]
    found: list[int] = credit(events, kind, ViewRates(), HashingPlan(key)).hashes.tolist()
    return found


@settings(max_examples=200)
@given(EVENTS, EVENTS)
def test_two_events_have_the_same_hash_if_kind_user_and_id_are_the_same(
    posts: list[tuple[int | str, int | str]], shares: list[tuple[int | str, int | str]]
) -> None:
    hashes = _hashes(Post, posts) + _hashes(Share, shares)
    events = [Post(event_id=number, ts=1, user_id=user) for user, number in posts]
    events += [Share(event_id=number, ts=1, user_id=user) for user, number in shares]  # type: ignore[misc]
    by_identity = dict(zip(map(identity_of, events), hashes, strict=True))
    assert len(set(by_identity.values())) == len(by_identity)
    assert hashes == [by_identity[identity_of(event)] for event in events]


def test_the_hashes_of_two_ledgers_have_nothing_in_common() -> None:
    ids: list[tuple[int | str, int | str]] = [(user, number) for user in ("ann", "bob") for number in range(50)]
    assert not {*_hashes(Post, ids, 1)} & {*_hashes(Post, ids, 2)}


def test_ids_that_collide_without_the_key_do_not_collide_under_it() -> None:
    """Two texts that XXH3 hashes alike at seed 0, found as an attacker does who knows the algorithm but not the key.

    In texts of 17 to 128 bytes a product is formed of either half of 16 bytes, each combined with a known constant. If
    one half equals its constant, the product is 0 whatever the other half is.
    """
    constant = 0xBE4BA423396CFEB8  # of XXH3's default secret, its first 8 bytes
    zero = constant.to_bytes(8, "little")
    first, second = (zero + bytes([number]) * 8 + b"x" * 16 for number in (1, 2))
    assert xxh3_64_intdigest(first) == xxh3_64_intdigest(second)
    assert xxh3_64_intdigest(first, KEY) != xxh3_64_intdigest(second, KEY)


def test_the_hash_of_the_event_id_alone_is_that_of_0_2() -> None:
    events = [Post(event_id=event_id, ts=1, user_id="ann") for event_id in (7, "7", "bøb")]
    columns = credit(events, Post, ViewRates(), HashingPlan(KEY, by_id=True))
    assert columns.id_hashes is not None
    expected = [xxh3_64_intdigest(text) for text in (b"7", b"7", "bøb".encode())]
    assert columns.id_hashes.tolist() == expected
    assert columns.only([2]).id_hashes == np.array(expected[2:], np.uint64)
    assert credit(events, Post, ViewRates(), HashingPlan(KEY)).only([0]).id_hashes is None
