"""Which records are not in the partition of their user."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_app.core.events.decode import Rejected
from stream_app.core.events.partition_check import PartitionsOf, misplaced


def _by_length(keys: Sequence[bytes]) -> NDArray[np.int64]:
    return np.array([len(key) % 4 for key in keys], np.int64)


def _misplaced(
    users: list[str],
    keys: list[bytes | None],
    *,
    indices: list[int] | None = None,
    partition: int = 1,
    partitions_of: PartitionsOf | None = _by_length,
    known: Mapping[str, object] | None = None,
) -> list[Rejected]:
    return list(misplaced(users, keys, indices or list(range(len(users))), partition, partitions_of, known or {}))


def test_a_record_keyed_by_its_user_in_the_users_partition_is_counted() -> None:
    assert _misplaced(["a", "üxxx", "b"], [b"a", "üxxx".encode(), b"b"]) == []


@pytest.mark.parametrize("key", [None, b"", b"A", b'"a"', b"a ", "ä".encode("latin-1")])
def test_a_record_with_another_key_is_rejected(key: bytes | None) -> None:
    (rejected,) = _misplaced(["a"], [key])
    assert (rejected.index, rejected.reason) == (0, "key-not-user")
    assert "produce with key = user_id" in rejected.message


def test_a_record_in_the_partition_of_another_partitioner_is_rejected() -> None:
    (rejected,) = _misplaced(["a", "bb"], [b"a", b"bb"])
    assert (rejected.index, rejected.reason) == (1, "wrong-partition")
    assert "belongs to partition 2 and was found in 1" in rejected.message
    assert "STREAM_APP_PARTITIONER=any" in rejected.message


def test_without_a_partitioner_only_the_key_is_looked_at() -> None:
    assert _misplaced(["a", "bb"], [b"a", b"bb"], partitions_of=None) == []
    assert [r.reason for r in _misplaced(["a", "bb"], [b"a", b"cc"], partitions_of=None)] == ["key-not-user"]


def test_a_user_that_was_checked_before_is_not_hashed_again() -> None:
    hashed: list[bytes] = []

    def noting(keys: Sequence[bytes]) -> NDArray[np.int64]:
        hashed.extend(keys)
        return _by_length(keys)

    assert _misplaced(["bb", "a"], [b"bb", b"a"], partitions_of=noting, known={"bb": 0}) == []
    assert hashed == [b"a"]


def test_the_place_in_the_whole_batch_is_reported() -> None:
    """Users are those of the readable records only; keys are those of all."""
    rejected = _misplaced(["a", "b"], [None, b"a", None, b"x"], indices=[1, 3])
    assert [(r.index, r.reason) for r in rejected] == [(3, "key-not-user")]


class Unwalkable(dict[str, object]):
    """All users of a ledger: a batch must not go through them."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("somebody goes through all users")


def test_the_users_that_are_known_are_looked_up_and_never_gone_through() -> None:
    known = Unwalkable(ann=1, bob=2)
    checked: list[bytes] = []

    def partitions_of(keys: Sequence[bytes]) -> NDArray[np.int64]:
        checked.extend(keys)
        return np.zeros(len(keys), np.int64)

    users = ["ann", "eve"]
    assert list(misplaced(users, [b"ann", b"eve"], [0, 1], 0, partitions_of, known)) == []
    assert checked == [b"eve"]
