"""Followed cuts: any order of records, renumbered or not, gives the cuts last published; forged records are refused."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.core.changelog.columns import FormatError
from stream_app.core.exchange import followed_cuts
from stream_app.core.exchange.cut_record import VERSION, CutRecord, decode, encode, key_of, scope_of
from stream_app.core.exchange.followed_cuts import FollowedCuts, LedgerScopes
from stream_app.core.state.ledger import Ledger
from stream_app.core.state.scopes import ScopeName


def record(users: int, **fields: object) -> CutRecord:
    both = (users, users)
    given_: dict[str, object] = {
        **dict.fromkeys(("users", "totals", "k", "thresholds", "ties", "flagged", "emerging"), both),
        **dict.fromkeys(("ranking", "ranked_s"), (2, 2)),
        **dict.fromkeys(("k_low", "k_high", "threshold_low", "threshold_high"), (0, 0)),
        "coverage": (0.8, 0.8),
        "gini": (0.5, 0.5),
        "exact": (True, False),
        "points": ([(10 * users, 0, 0), (users, 5, 90)], []),
        **fields,
    }
    return CutRecord(version=VERSION, **given_)  # type: ignore[arg-type]  # as given


def name(number: int) -> ScopeName:
    return ScopeName("consumer", f"t{number}")


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 5)), max_size=200))
def test_what_was_published_last_holds_for_the_scopes_of_a_ledger(published: list[tuple[int, int]]) -> None:
    followed, ledger, places, last = FollowedCuts(), Ledger(1000, 4, 1), LedgerScopes(), dict[int, int]()
    with patch.object(followed_cuts, "_UNUSED_KEPT", 3):
        for place, (number, users) in enumerate(published):
            before = followed.version
            followed.take(name(number), record(users) if users else None)
            assert followed.changed_since(before).tolist() in ([followed.find(name(number))], [])
            last[number] = users
            if place % 7 == 0:
                followed.forget_unused()
            if place % 3 == 0:
                ledger.scopes.add([name((number * 7) % 81)])
                places.numbers(ledger, followed)
    numbers = places.numbers(ledger, followed)
    found = followed.cuts.users[1, numbers].tolist()
    assert found == [last.get(int(scope.topic[1:]), 0) for scope in ledger.scopes.names()]


def test_ranks_come_from_the_points_of_the_scope_and_role() -> None:
    followed = FollowedCuts()
    followed.take(name(1), record(5))
    numbers, roles = np.array([1, 1, 1, 0]), np.array([0, 0, 1, 0])
    assert followed.ranks(numbers, roles, np.array([50, 5, 50, 50])).tolist() == [1, 6, 1, 1]


def test_intervals_follow_their_scopes() -> None:
    followed = FollowedCuts()
    for number in range(1, 100):
        followed.take(name(number), record(number, k_low=(number - 1, 1), threshold_high=(2, 10 * number)))
    followed.take(name(7), None)
    place = followed.find(name(99))
    assert [column[:2, place].tolist() for column in followed.intervals] == [[98, 1], [0, 0], [0, 0], [2, 990]]
    assert not any(column[:, followed.find(name(7))].any() for column in followed.intervals)


def test_a_record_is_read_as_it_was_written() -> None:
    assert decode(encode(record(5))) == record(5)
    assert decode(encode(record(5, k_low=(3, 4)))) != record(5)
    assert scope_of(key_of(name(3))) == name(3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"users": (-1, 0)},
        {"users": (2**31, 0)},
        {"emerging": (0, 2**31)},
        {"totals": (2**61, 0)},
        {"k_low": (-1, 0)},
        {"threshold_high": (2**61, 0)},
        {"gini": (float("nan"), 0.0)},
        {"coverage": (float("inf"), 0.0)},
        {"points": ([(5, 0, 0), (6, 1, 1)], [])},
        {"points": ([(n, 1, 1) for n in range(600, 0, -1)], [])},
        {"version": VERSION + 1},
        {"ranking": (3, 0)},
        {"ranked_s": (-1, 0)},
    ],
)
def test_a_record_that_no_worker_can_have_written_is_refused(wrong: dict[str, object]) -> None:
    forged = record(5)
    for field, value in wrong.items():
        setattr(forged, field, value)
    with pytest.raises(FormatError):
        decode(encode(forged))


@pytest.mark.parametrize("key", [b"cut/", b"cut/[1,2]", b'cut/["a"]', b'cut/["a","' + b"x" * 2000 + b'"]', b"\xff"])
def test_a_key_of_no_scope_is_refused(key: bytes) -> None:
    with pytest.raises(FormatError):
        scope_of(key)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_after_many_were_forgotten_new_ones_have_room(kept: int) -> None:
    followed = FollowedCuts()
    with patch.object(followed_cuts, "_UNUSED_KEPT", 3):
        for number in range(20):
            followed.take(name(number), record(1))
        for number in range(kept, 20):
            followed.take(name(number), None)
        followed.forget_unused()
    assert len(followed.names) == 1 + kept
    for number in range(20, 120):
        followed.take(name(number), record(number))
    assert followed.cuts.users[0, followed.find(name(119))] == 119
